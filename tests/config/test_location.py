from pathlib import Path

import pytest
from pydantic import ValidationError

from afrl_ray.config import ExperimentSettings, with_settings
from afrl_ray.config.location import without_password, without_passwords


def settings(output: str | None = None) -> ExperimentSettings:
    return ExperimentSettings.model_validate({"name": "hopper", "output": output})


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFRL_SCRATCH", "/scratch")
    monkeypatch.delenv("AFRL_STORAGE", raising=False)


def test_a_uri_has_a_working_copy_in_the_scratch_folder() -> None:
    one = settings("s3://bucket/runs/hopper/")
    assert one.output == one.output_uri == "s3://bucket/runs/hopper"
    assert one.output_directory == Path("/scratch/s3/bucket/runs/hopper")
    assert settings(one.model_dump(mode="json")["output"]) == one


def test_a_folder_is_no_uri() -> None:
    assert settings("runs/x").output == Path("runs/x")
    assert settings("runs/x").output_uri is None


@pytest.mark.parametrize("root", ["s3://bucket", "s3://bucket/"])
def test_relative_outputs_are_below_a_storage_that_is_a_uri(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFRL_STORAGE", root)
    assert settings().output_uri == "s3://bucket/runs/hopper"
    assert settings("x").output_uri == "s3://bucket/x"
    assert settings("/data/x").output_uri is None
    assert settings("/data/x").output_directory == Path("/data/x")
    assert settings("s3://other/x").output_uri == "s3://other/x"


@pytest.mark.parametrize(
    "output", ["s3://bucket", "s3://", "s3:/bucket/x", "ftp://host/x", "s3://b/x?endpoint=y", "S3://b/x"]
)
def test_other_uris_are_refused_with_what_to_write(output: str) -> None:
    with pytest.raises(ValidationError, match="write s3://BUCKET/PREFIX, or a folder"):
        settings(output)


def test_mlflows_file_is_never_below_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings("s3://bucket/x").tracking_neighbour == tmp_path / "runs" / "hopper"
    assert settings("/data/x").tracking_neighbour == Path("/data/x")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://mlflow:se/cr@et@host:5432/db", "postgresql://mlflow:***@host:5432/db"),
        ("postgresql://mlflow@host/db?password=secret&x=1", "postgresql://mlflow@host/db?password=***&x=1"),
        ("https://:token@host", "https://:***@host"),
        ("http://mlflow:5000", "http://mlflow:5000"),
        ("postgresql://mlflow@host/db", "postgresql://mlflow@host/db"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ],
)
def test_passwords_are_not_shown(uri: str, shown: str) -> None:
    assert without_password(uri) == shown


def test_a_password_is_in_memory_alone() -> None:
    settings = with_settings(ExperimentSettings(), {"tracking.uri": "postgresql://mlflow:secret@host/db"})
    assert settings.tracking.uri == "postgresql://mlflow:secret@host/db"
    assert with_settings(settings, {"seed": 1}).tracking.uri == settings.tracking.uri
    assert "secret" not in settings.model_dump_json()
    assert settings.model_dump(mode="json")["tracking"]["uri"] is None
    plain = with_settings(settings, {"tracking.uri": "http://mlflow:5000"})
    assert plain.model_dump(mode="json")["tracking"]["uri"] == "http://mlflow:5000"


def test_passwords_are_hidden_however_deep_they_are() -> None:
    settings = {"tracking": {"uri": "http://me:secret@host", "enabled": True}, "list": [1, "s3://b/p?token=secret"]}
    shown = {"tracking": {"uri": "http://me:***@host", "enabled": True}, "list": [1, "s3://b/p?token=***"]}
    assert without_passwords(settings) == shown
