"""Every study for real at smoke scale, in one go, with one Ray; then what was shared, kept and continued."""

import fcntl
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from afrl_ray.cli import main
from afrl_ray.config.study import AnyStudy, StudySettings
from afrl_ray.curriculum.schedules import mean_q
from afrl_ray.datasets import generated
from afrl_ray.networks import load_policy_file
from afrl_ray.studies.cost import Cost, works_of
from afrl_ray.studies.expand import expand
from afrl_ray.studies.files import load_scale, load_study, study_names
from afrl_ray.studies.plan import Case, Plan
from experiments import afrl_command, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]
DOCS = Path(__file__).parents[2] / "docs" / "studies.md"


def smoke_plan(name: str, output: Path) -> Plan:
    return Plan(name, load_study(name), "smoke", load_scale("smoke"), output)


def smoke_cases(name: str, output: Path) -> list[Case]:
    return expand(smoke_plan(name, output))


def reproduce(output: Path, *arguments: str) -> None:
    assert main(["--traceback", "reproduce", *arguments, "--scale", "smoke", "--output", str(output)]) == 0


def curves(stages: Path) -> dict[str, Any]:
    """training.json of every run, by the run's folder."""
    return {file.parts[-3]: json.loads(file.read_text()) for file in stages.glob("run-*/checkpoint/training.json")}


def changed_at(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all studies, after all of them have been reproduced."""
    folder = tmp_path_factory.mktemp("studies")
    reproduce(folder, "all")
    return folder


@pytest.mark.parametrize("name", study_names())
def test_every_study_ends_with_its_report(name: str, output: Path) -> None:
    directory = output / "smoke" / name
    report = (directory / "report.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[.*?\]\((.*?)\)", report)
    assert load_study(name).title in report
    assert shown or "| --- |" in report
    for figure in shown:
        assert (directory / figure).read_bytes().startswith(b"\x89PNG")
        assert (directory / figure).with_suffix(".svg").stat().st_size > 0
    study = load_study(name)
    for table in _tables_of(study):
        for suffix in ("md", "csv", "tex"):
            assert (directory / f"{table}.{suffix}").stat().st_size > 0
    if not isinstance(study, StudySettings):
        assert set(pd.read_csv(directory / "comparison.csv")["optimizer"]) == set(study.optimizers)
        return
    scores = pd.read_parquet(directory / "scores.parquet")
    cases = smoke_cases(name, output)
    assert set(scores["arm"]) == {case.arm for case in cases}
    assert set(scores["condition"]) == set(study.condition_names)
    for case in cases:
        measured = scores[(scores["arm"] == case.arm) & (scores["policy"] == "final")]
        assert set(measured["step"]) == (set(case.reads) if case.trained else {0})
    assert not scores.duplicated(["arm", "policy", "step", "condition", "seed", "episode"]).any()


def _tables_of(study: AnyStudy) -> list[str]:
    if not isinstance(study, StudySettings):
        return ["table"]
    files = {"scores": "table", "convergence": "convergence", "mean_q": "mean_q", "against_data": "against_data"}
    return [files[result.type] for result in study.results if result.type in files]


def test_studies_share_all_that_they_can(output: Path) -> None:
    cases = [case for name in study_names() for case in smoke_cases(name, output)]
    wanted = Cost.of(works_of([smoke_plan(name, output) for name in study_names()]))
    runs = curves(output / "stages")
    assert len(runs) == wanted.runs < sum(case.trained for case in cases)
    assert sum(run["step"] for run in runs.values()) == wanted.training_steps
    assert len(list(output.glob("stages/data-*"))) == 1
    pretrainings = [json.loads(file.read_text()) for file in output.glob("stages/pretrain-*/manifest.json")]
    assert sum(stage["settings"]["pretrain"]["updates"] for stage in pretrainings) == wanted.offline_updates


def test_arms_that_are_trained_differently_score_differently(output: Path) -> None:
    scores = pd.read_parquet(output / "smoke" / "table1" / "scores.parquet")
    final = scores[scores["policy"] == "final"].pivot(columns="arm", index=["condition", "episode"], values="return")
    assert len(final.columns) == 5
    assert len({tuple(returns) for returns in final.to_numpy().T}) == 5


def test_linear_has_the_adaptive_run_s_mean_q(output: Path) -> None:
    rows = pd.read_csv(output / "smoke" / "fig5" / "curves.csv")
    means = {arm: mean_q(list(part["env_steps"]), list(part["q"])) for arm, part in rows.groupby("arm")}
    assert means["fixed"] == 0.5
    assert means["adaptive"] > 0
    assert means["linear"] == pytest.approx(means["adaptive"], abs=1e-5)
    trained_with = rows[rows["arm"] == "linear"]["q_max"].iloc[0]
    recorded = json.loads((output / "smoke" / "fig5" / "study.json").read_text())["settings"]
    assert recorded["hopper 0 linear"]["curriculum"]["q_max"] == pytest.approx(trained_with, abs=1e-6)


def test_a_second_call_keeps_everything(output: Path) -> None:
    before = changed_at(output / "stages")
    reproduce(output, "table2", "fig8")
    assert changed_at(output / "stages") == before


def test_results_are_written_anew_without_the_stages_that_they_came_from(output: Path, tmp_path: Path) -> None:
    reproduce(tmp_path, "table2", "fig8", "--reuse", str(output / "smoke"))
    assert not list(tmp_path.glob("stages/*-*"))
    for name in ("table2", "fig8"):
        for file in (output / "smoke" / name).iterdir():
            if file.name not in ("report.md", "study.json"):
                assert (tmp_path / "smoke" / name / file.name).read_bytes() == file.read_bytes()


def test_a_seed_is_added_to_results_whose_stages_are_gone(output: Path, tmp_path: Path) -> None:
    reproduce(tmp_path, "fig8", "--seeds", "2", "--reuse", str(output / "smoke"))
    manifests = [json.loads(file.read_text()) for file in tmp_path.glob("stages/*/manifest.json")]
    assert {manifest["seed"] for manifest in manifests} == {1}
    both, one = (pd.read_csv(folder / "smoke" / "fig8" / "curves.csv") for folder in (tmp_path, output))
    assert set(both["seed"]) == {0, 1}
    pd.testing.assert_frame_equal(both[both["seed"] == 0].reset_index(drop=True), one)


def test_results_to_reuse_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["reproduce", "fig8", "--scale", "smoke", "--output", str(tmp_path / "new")]
    assert main([*command, "--reuse", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"fig8: 0 cases are taken from {tmp_path}/fig8, 2 are run\n"
        f"error: --reuse {tmp_path} has no results of trainings in a folder fig8\n"
    )
    assert main([*command, "--reuse", str(tmp_path / "new" / "smoke")]) == 2
    (tmp_path / "results" / "smoke" / "fig8").mkdir(parents=True)
    own = ["reproduce", "fig8", "--scale", "smoke", "--output", str(tmp_path / "results")]
    assert main([*own, "--reuse", str(tmp_path / "results" / "smoke")]) == 2
    assert "results are written there; write --output with another folder" in capsys.readouterr().err
    assert main([*command, "--reuse", str(tmp_path / "no")]) == 2
    assert f"error: --reuse {tmp_path / 'no'}: there is no such folder" in capsys.readouterr().err
    assert main(["reproduce", "list", "fig8", "--reuse", str(tmp_path)]) == 2
    assert "leave --reuse out" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def copy_foundations(output: Path, folder: Path) -> None:
    """What fine-tunings start from."""
    for kind in ("data", "pretrain", "attack"):
        for stage in (output / "stages").glob(f"{kind}-*"):
            shutil.copytree(stage, folder / "stages" / stage.name)


def study_file(folder: Path, steps: int) -> str:
    path = folder / f"adaptive{steps}.yaml"
    path.write_text(
        "title: One training\n"
        "arms: {adaptive: {presets: [adaptive]}}\n"
        "results: [{type: curves}]\n"
        f"scales: {{smoke: {{steps: {steps}}}}}\n"
    )
    return str(path)


def test_a_run_that_is_continued_is_the_one_that_never_stopped(output: Path, tmp_path: Path) -> None:
    (tmp_path / "tune").mkdir()
    (tmp_path / "tune/notes.txt").write_text("somebody's own")
    copy_foundations(output, tmp_path)
    for steps in (200, 400):
        reproduce(tmp_path, study_file(tmp_path, steps))
    assert (tmp_path / "tune/notes.txt").exists()
    assert not (tmp_path / "stages/.tune").exists()
    ((name, continued),) = curves(tmp_path / "stages").items()
    # the whole run, of 400 steps, is there from table2
    assert continued == curves(output / "stages")[name]
    policies = sorted(path.name for path in (tmp_path / "stages" / name / "policies").iterdir())
    assert policies == ["200.best.safetensors", "200.safetensors", "400.best.safetensors", "400.safetensors"]
    files = [folder / "stages" / name / "policies" / "400.safetensors" for folder in (tmp_path, output)]
    assert len({load_policy_file(file)[0].fingerprint() for file in files}) == 1
    # the shorter study still shows the shorter training
    reproduce(tmp_path, study_file(tmp_path, 200))
    assert list(pd.read_csv(tmp_path / "smoke" / "adaptive200" / "curves.csv")["env_steps"]) == [0, 100, 200]


def test_the_study_in_the_docs_runs(output: Path, tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(block.splitlines()) < 30
    path = tmp_path / "exploration.yaml"
    path.write_text(block)
    reproduce(output, str(path))
    scores = pd.read_parquet(output / "smoke" / "exploration" / "scores.parquet")
    noises = [f"fine-tuned, exploration_noise={noise}" for noise in (0.05, 0.1)]
    assert list(dict.fromkeys(scores["arm"])) == ["offline", *noises]


def test_two_commands_cannot_work_in_one_folder(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (output / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert main(["reproduce", "fig5", "--scale", "smoke", "--output", str(output)]) == 2
    assert "another afrl is at work in" in capsys.readouterr().err


def test_robots_without_an_expert_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generated, "resources", SimpleNamespace(files=lambda _: tmp_path))
    assert main(["reproduce", "fig5", "--scale", "smoke", "--robot", "ant", "--output", str(tmp_path / "o")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: study fig5, arm fixed, ant: no expert is bundled for ant; run `afrl train-expert")
    assert not (tmp_path / "o").exists()


@pytest.mark.cluster
def test_killed_and_resumed_goes_on_from_its_checkpoints(output: Path, tmp_path: Path) -> None:
    study, folder = study_file(tmp_path, 1200), tmp_path / "killed" / "studies"
    copy_foundations(output, folder)
    arguments = ["reproduce", study, "--scale", "smoke", "--output", str(folder), "tracking.enabled=true"]
    process = subprocess.Popen(
        afrl_command(*arguments),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: any(run["step"] >= 200 for run in curves(folder / "stages").values()), process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "smoke").exists()
    before = next(iter(curves(folder / "stages").values()))["curve"]
    assert main(arguments) == 0
    (run,) = curves(folder / "stages").values()
    assert [row["env_steps"] for row in run["curve"]] == list(range(0, 1201, 100))
    assert run["curve"][: len(before)] == before
    with sqlite3.connect(folder.parent / "mlflow.db") as database:
        runs = dict(database.execute("select name, status from runs").fetchall())
        repeated = database.execute("select 1 from metrics group by run_uuid, key, step having count(*) > 1").fetchall()
        steps = database.execute(
            "select step from metrics join runs using (run_uuid)"
            " where runs.name = 'hopper 0 adaptive' and key = 'score/mean' order by step"
        ).fetchall()
    assert runs["studies"] == runs["hopper 0 adaptive"] == "FINISHED"
    assert len(runs) == 2
    assert repeated == []
    assert [step for (step,) in steps] == list(range(0, 1201, 100))
