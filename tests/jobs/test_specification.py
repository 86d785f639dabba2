from pathlib import Path

import pytest

from afrl_ray.config import ExperimentSettings, RuntimeSettings
from afrl_ray.config.loading import with_settings
from afrl_ray.jobs.errors import JobError
from afrl_ray.jobs.specification import JobSpecification, check_job_id, experiment_job


def changed(**values: object) -> ExperimentSettings:
    return with_settings(ExperimentSettings(name="hopper"), {k.replace("__", "."): v for k, v in values.items()})


def test_the_same_settings_have_the_same_id() -> None:
    job_id = experiment_job(changed()).job_id
    assert job_id.startswith("hopper-")
    assert len(job_id) == len("hopper-") + 12
    assert experiment_job(changed(seed=0)).job_id == job_id
    others = [experiment_job(settings).job_id for settings in (changed(seed=1), changed(output="x"))]
    assert len({job_id, *others}) == 3
    assert len(experiment_job(ExperimentSettings(name="n" * 200)).job_id) == 60 + 1 + 12


def test_which_cluster_it_went_to_is_no_part_of_a_job() -> None:
    specification = experiment_job(changed(runtime__address="http://head:8265"))
    assert specification == experiment_job(changed())
    assert ExperimentSettings.model_validate(specification.files["config.yaml"]).runtime == RuntimeSettings()


def test_it_comes_back_from_the_metadata_of_the_cluster() -> None:
    specification = experiment_job(changed(runtime__resources__trial__custom={"highmem": 1}))
    assert JobSpecification.model_validate_json(specification.model_dump_json()) == specification
    assert specification.output == "runs/hopper"
    assert specification.arguments == ("run", "config.yaml")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"data__policy": "policy.safetensors"}, "data.policy"),
        ({"data": {"type": "d4rl", "dataset": "policy.safetensors"}}, "data.dataset"),
        ({"tracking__uri": "sqlite:///mlflow.db"}, "tracking.uri"),
    ],
)
def test_files_of_this_machine_are_refused(
    changes: dict[str, object], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.safetensors").touch()
    with pytest.raises(JobError, match=f"^{name} is "):
        experiment_job(changed(**changes))


def test_what_mlflow_could_not_use_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"^tracking\.uri=ftp://host is no database or server; write "):
        experiment_job(changed(tracking__uri="ftp://host"))
    experiment_job(changed(tracking__uri="ftp://host", tracking__enabled=False))


def test_a_password_is_refused_since_a_job_would_show_it() -> None:
    with pytest.raises(JobError, match=r"^tracking\.uri has a password in it") as error:
        experiment_job(changed(tracking__uri="postgresql://mlflow:secret@host/db"))
    assert "secret@" not in str(error.value)


def test_names_and_absolute_paths_may_mean_something_on_the_cluster(tmp_path: Path) -> None:
    for changes in (
        {"data": {"type": "d4rl", "dataset": "hopper-expert-v2"}},
        {"data__policy": str(tmp_path / "policy.safetensors")},
        {"tracking__uri": "sqlite:////shared/mlflow.db"},
        {"tracking__uri": "http://mlflow:5000"},
    ):
        experiment_job(changed(**changes))


@pytest.mark.parametrize("job_id", ["", "-x", "a b", "a/b", "a.2", "x" * 101])
def test_ids_are_names_of_files(job_id: str) -> None:
    with pytest.raises(JobError, match="--id"):
        check_job_id(job_id)
    assert check_job_id("hopper_seed-1") == "hopper_seed-1"
