"""What a report says that its results came from, and what becomes of earlier results in its folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.mirror import Mirror
from afrl_ray.studies.collect import foundation_of
from afrl_ray.studies.expand import expand
from afrl_ray.studies.plan import Plan
from afrl_ray.studies.report import Origin, begin_results, require_results_folder, write_report
from afrl_ray.studies.sheet import Section

MakePlan = Callable[..., Plan]


def origin(plan: Plan, *stages: Stage) -> Origin:
    return Origin({case.name: case.settings.model_dump(mode="json") for case in expand(plan)}, stages)


def report(plan: Plan, folder: Path) -> Path:
    begin_results(folder, plan, expand(plan))
    write_report(plan, expand(plan), origin(plan), [Section("Scores", "| a |\n")], folder)
    return folder


@pytest.mark.parametrize(
    ("study", "scale", "options", "kept"),
    [
        ({}, {}, {}, True),
        ({}, {}, {"seeds": 3}, True),
        ({}, {}, {"overrides": {"runtime.trials_at_once": 1}}, True),
        ({"title": "Spelt otherwise", "scales": {"tiny": {"steps": 400}, "huge": {"steps": 800}}}, {}, {}, True),
        ({}, {"presets": {}}, {}, True),  # of none of its arms
        ({}, {}, {"overrides": {"finetune.checkpoint_interval": 200}}, False),  # at each episodes begin anew
        ({}, {}, {"seeds": 1}, False),
        ({}, {}, {"robots": ("ant",)}, False),
        ({}, {}, {"overrides": {"finetune.num_envs": 2}}, False),
        ({"arms": {"tuned": {}}}, {}, {}, False),
        ({"settings": {"finetune.num_envs": 2}}, {}, {}, False),
        ({"results": [{"type": "scores"}, {"type": "curves"}]}, {}, {}, False),
        ({"conditions": ["normal"]}, {}, {}, False),
        ({"scales": {"tiny": {"steps": 600}}}, {}, {}, False),
        ({}, {"robot_settings": {"hopper": {"pretrain.updates": 20_000}}}, {}, False),
    ],
)
def test_results_are_replaced_only_by_the_same_with_as_many_seeds(
    study: dict[str, Any],
    scale: dict[str, Any],
    options: dict[str, Any],
    kept: bool,
    make_plan: MakePlan,
    tmp_path: Path,
) -> None:
    folder = report(make_plan(), tmp_path / "mine")
    (folder / "old.png").touch()
    report(make_plan(study, scale, **options), folder)
    assert (folder / "old.png").exists() == kept
    asides = list(tmp_path.glob("mine.replaced-*"))
    assert [(aside / "old.png").exists() for aside in asides] == ([] if kept else [True])


def test_the_commits_of_the_work_are_those_of_its_stages(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan()
    foundation = foundation_of(expand(plan)[0], plan.output / "stages")
    stages = [foundation.data, foundation.pretrain, foundation.attack]
    for stage in stages[1:]:
        stage.begin()
        stage.finish({}, 0)
    manifest = foundation.attack.directory / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "commit": "earlier"}))
    write_report(plan, expand(plan), origin(plan, *stages), [Section("Scores", "| a |\n")], tmp_path / "mine")
    facts = json.loads((tmp_path / "mine/study.json").read_text())
    assert list(facts["settings"]) == ["hopper 0 offline", "hopper 0 tuned", "hopper 1 offline", "hopper 1 tuned"]
    assert facts["settings"]["hopper 1 tuned"]["seed"] == 1
    now = facts["commit"]
    assert facts["commits of the work"] == sorted(["earlier", *([now] if now else [])])
    text = (tmp_path / "mine" / "report.md").read_text()
    assert "commits of the work:" in text
    assert "- plan:" not in text
    assert "## Scores\n\n| a |\n" in text


@pytest.mark.parametrize(("seeds", "kept"), [(3, True), (1, False)])
def test_results_below_a_uri_are_those_of_every_machine(
    seeds: int, kept: bool, make_plan: MakePlan, tmp_path: Path
) -> None:
    mirror, first, second = Mirror(f"file://{tmp_path}/twin/mine"), tmp_path / "first/mine", tmp_path / "second/mine"
    report(make_plan(), first)
    (first / "old.png").touch()
    mirror.publish(first, "results")
    plan = make_plan(seeds=seeds)
    begin_results(second, plan, expand(plan), mirror)
    assert (second / "old.png").exists() == kept
    write_report(plan, expand(plan), origin(plan), [], second)
    mirror.publish(second, "results")
    index = mirror.index()
    assert index is not None
    assert ("old.png" in index.entries) == kept
    asides = list((tmp_path / "twin").glob("mine.replaced-*"))
    assert [(aside / "old.png").exists() for aside in asides] == ([] if kept else [True])


def test_files_that_no_study_has_made_are_left_alone(make_plan: MakePlan, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"mine holds files that no study has made; move them away, or write --output"):
        begin_results(folder, make_plan(), expand(make_plan()))
    assert (folder / "notes.txt").read_text() == "precious"


def test_a_report_names_only_what_it_has(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(overrides={"finetune.num_envs": 2, "attack": {"episodes": 3}})
    text = (report(plan, tmp_path / "mine") / "report.md").read_text()
    assert "- settings changed on the command line: finetune.num_envs = 2; attack.episodes = 3\n" in text
    assert "ant by the scale" not in text
    assert "commits of the work" not in text


@pytest.mark.parametrize("text", ["{", "[]", "null", "3"])
def test_a_damaged_study_file_is_seen_before_anything_runs(text: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(ValueError, match=rf"{tmp_path}/study\.json is damaged \(.*\); move {tmp_path} away") as failure:
        require_results_folder(tmp_path)
    assert "\n" not in str(failure.value)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ValueError, match="mine is a file; move it away, or write --output"):
        require_results_folder(tmp_path / "mine")


@pytest.mark.parametrize("made_of", [{}, [], "x", {"cases": []}, {"cases": {}}])
def test_results_that_do_not_say_what_they_are_of_are_kept_aside(
    made_of: object, make_plan: MakePlan, tmp_path: Path
) -> None:
    folder = report(make_plan(), tmp_path / "mine")
    facts = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**facts, "made of": made_of}))
    report(make_plan(), folder)
    assert len(list(tmp_path.glob("mine.replaced-*"))) == 1
