from pathlib import Path

import pytest

from afrl_ray.config import ConfigError
from afrl_ray.studies.files import load_scale, load_study, scale_names, short_name, study_names

STUDY = """
title: Mine
arms: {one: {}}
results: [{type: curves}]
scales: {smoke: {steps: 200}}
"""


def test_the_package_has_the_paper_s_studies_in_order() -> None:
    names = study_names()
    assert names[:2] == ["table1", "table2"]
    assert names.index("table2") < names.index("fig5") < names.index("fig9") < names.index("conditions")
    assert scale_names() == ["smoke", "small", "paper"]


@pytest.mark.parametrize("name", study_names())
def test_every_study_has_all_scales_and_says_what_of_the_paper_it_regenerates(name: str) -> None:
    study = load_study(name)
    assert list(study.scales) == scale_names()
    assert study.title
    assert "Ayabe et al. 2025" in study.source or not name.startswith(("table", "fig"))


@pytest.mark.parametrize("name", scale_names())
def test_every_scale_loads(name: str) -> None:
    assert load_scale(name).description


def test_a_study_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY)
    assert load_study(str(path)).title == "Mine"
    assert short_name(str(path)) == "mine"
    assert short_name("table1") == "table1"


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"there is no study 'tabel2'; write one of table1, table2, .*or the path"):
        load_study("tabel2")
    with pytest.raises(ConfigError, match="there is no scale 'tiny'; write one of smoke, small, paper"):
        load_scale("tiny")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: Mine", "", r"mine\.yaml: title must be given"),
        ("curves", "curve", r"results\[0\]\.type is \"curve\"; did you mean curves\?"),
        (
            "{type: curves}",
            "{type: scores, baseline: two}",
            r"results\[0\]\.baseline is 'two'; write one of the arms one",
        ),
        ("{type: curves}", "{type: scores_against, setting: seed}", r"setting is 'seed', but the grid has nothing"),
        ("{one: {}}", "{one: {match_mean_q: two}}", r"arms\.one\.match_mean_q is 'two'"),
        (
            "title: Mine",
            "title: Mine\ntype: trainings",
            r"mine\.yaml: type is 'trainings'; write training or attackers",
        ),
        ("{one: {}}", '{"one\\ntwo": {}}', "write a name, on one line"),
        (
            "{one: {}}",
            "{one: {settings: {curriculum.q: 1}}}\ngrid: {curriculum.q: [0.1, 0.2]}",
            r"arms\.one sets curriculum\.q, which the grid gives its values",
        ),
        (
            "{one: {}}",
            "{one: {}}\ngrid: {curriculum.q: [0.1], curriculum: [{type: adaptive}]}",
            r"curriculum\.q and curriculum are about the same setting; write one of them",
        ),
        ("steps: 200", "steps: 200, read_at: [200]", "read_at 200 is not before the end"),
        ("steps: 200", "seeds: 1", r"scales\.smoke\.steps must be given"),
        (
            "steps: 200",
            "steps: 200, grid: {seed: [1]}",
            r"scales\.smoke\.grid has seed, which the study's grid has not",
        ),
    ],
)
def test_mistakes_say_where_they_are(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_study(str(path))
