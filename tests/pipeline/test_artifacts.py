import json
import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from afrl_ray.config import EnvironmentSettings
from afrl_ray.pipeline import artifacts
from afrl_ray.pipeline.artifacts import (
    Stage,
    command_line,
    content_key,
    package_versions,
    read_json,
    recover_directory,
    replace_directory,
    write_json,
)


@pytest.fixture
def make_stage(tmp_path: Path) -> Callable[..., Stage]:
    def make(settings: dict[str, Any] | None = None, inputs: dict[str, str] | None = None) -> Stage:
        return Stage("pretrain", tmp_path / "pretrain", settings or {"updates": 10}, inputs or {"data": "abc"})

    return make


def complete(directory: Path, content: str) -> Path:
    directory.mkdir()
    (directory / "content").write_text(content)
    return directory


# ---- json ----------------------------------------------------------------------------------------------------------


def test_json_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    write_json(path, {"b": [1, 2.5, None], "a": Path("x")})
    assert read_json(path) == {"b": [1, 2.5, None], "a": "x"}
    write_json(path, 3)
    assert read_json(path) == 3
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]


def test_no_file_is_none(tmp_path: Path) -> None:
    assert read_json(tmp_path / "nothing.json") is None


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, 1)
    with pytest.raises(TypeError):
        write_json(path, {(1, 2): "a tuple is no key"})
    assert read_json(path) == 1


# ---- whole directories ---------------------------------------------------------------------------------------------


def test_a_directory_is_replaced_whole(tmp_path: Path) -> None:
    final = complete(tmp_path / "checkpoint", "old")
    (final / "only in the old one").touch()
    replace_directory(complete(tmp_path / "new", "new"), final)
    assert [entry.name for entry in final.iterdir()] == ["content"]
    assert (final / "content").read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def test_the_first_directory_needs_no_old_one(tmp_path: Path) -> None:
    replace_directory(complete(tmp_path / "new", "new"), tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint" / "content").read_text() == "new"
    assert recover_directory(tmp_path / "checkpoint") == tmp_path / "checkpoint"


def test_nothing_was_ever_written(tmp_path: Path) -> None:
    assert recover_directory(tmp_path / "checkpoint") is None


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize(("renames", "survivor"), [(0, "old"), (1, "old"), (2, "new")])
def test_a_kill_between_the_renames_leaves_one_complete_directory(
    renames: int, survivor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = complete(tmp_path / "checkpoint", "old")
    temporary = complete(tmp_path / ".checkpoint.new", "new")
    done = 0
    really_replace, really_remove = os.replace, shutil.rmtree

    def replace(source: Path, target: Path) -> None:
        nonlocal done
        if done == renames:
            raise KilledError
        done += 1
        really_replace(source, target)

    def remove(path: Path, **options: Any) -> None:
        if done:  # the clean-up after the renames
            raise KilledError
        really_remove(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        patch.setattr(shutil, "rmtree", remove)
        with pytest.raises(KilledError):
            replace_directory(temporary, final)

    assert recover_directory(final) == final
    assert (final / "content").read_text() == survivor
    # and the next save goes through
    shutil.rmtree(temporary, ignore_errors=True)
    replace_directory(complete(temporary, "newest"), final)
    assert (final / "content").read_text() == "newest"
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


# ---- a power cut -----------------------------------------------------------------------------------------------------


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that reach the disk, and renames, in their order."""
    seen: list[str] = []
    really_sync, really_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        really_sync(descriptor)

    def replace(source: Path, target: Path) -> None:
        seen.append(f"{Path(source).name} -> {Path(target).name}")
        really_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    return seen


on_linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files are in /proc")


@on_linux
def test_json_reaches_the_disk_before_it_gets_its_name(tmp_path: Path, events: list[str]) -> None:
    write_json(tmp_path / "file.json", 1)
    temporary = f".file.json.{os.getpid()}"
    assert events == [temporary, f"{temporary} -> file.json", tmp_path.name]


@on_linux
def test_a_directory_reaches_the_disk_before_it_takes_anothers_place(tmp_path: Path, events: list[str]) -> None:
    final, new = complete(tmp_path / "checkpoint", "old"), complete(tmp_path / "new", "new")
    (new / "deep").mkdir()
    (new / "deep" / "state").touch()
    replace_directory(new, final)
    first = events.index("checkpoint -> .checkpoint.previous")
    assert {"content", "deep", "state", "new"} == set(events[:first])
    assert events[-2:] == ["new -> checkpoint", tmp_path.name]


@on_linux
def test_a_finished_stage_is_on_the_disk_before_its_manifest(
    make_stage: Callable[..., Stage], events: list[str]
) -> None:
    stage = make_stage()
    stage.begin()
    (stage.directory / "policy").touch()
    stage.finish({}, seed=0)
    manifest = f".manifest.json.{os.getpid()}"
    assert events.index("policy") < events.index(f"{manifest} -> manifest.json")


# ---- stages --------------------------------------------------------------------------------------------------------


def test_a_key_depends_on_content_and_not_on_order() -> None:
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 2})


def test_the_key_sees_settings_inputs_and_name(make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    stages = [
        make_stage(),
        make_stage({"updates": 11}),
        make_stage(inputs={"data": "abd"}),
        Stage("attack", tmp_path / "pretrain", {"updates": 10}, {"data": "abc"}),
    ]
    assert len({stage.key for stage in stages}) == 4
    elsewhere = Stage("pretrain", tmp_path / "moved", {"updates": 10}, {"data": "abc"})
    assert elsewhere.key == make_stage().key  # a folder that was moved is still the same work


def test_a_finished_stage_is_known_and_its_manifest_says_everything(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    assert stage.finished() is None
    stage.begin()
    assert stage.finished() is None
    written = stage.finish({"score": 12.5}, seed=3)
    assert make_stage().finished() == written == read_json(stage.directory / "manifest.json")
    assert (written["stage"], written["key"], written["seed"]) == ("pretrain", stage.key, 3)
    assert written["settings"] == {"updates": 10}
    assert written["inputs"] == {"data": "abc"}
    assert written["outputs"] == {"score": 12.5}
    assert written["finished"].endswith("Z")
    assert {"python", "ray", "torch", "numpy", "afrl-ray"} <= written["versions"].keys()
    assert "commit" in written


def test_an_interrupted_stage_is_resumed_with_its_files(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    assert stage.begin() is False
    (stage.directory / "checkpoint").write_text("half")
    assert make_stage().begin() is True
    assert (stage.directory / "checkpoint").read_text() == "half"


def test_a_finished_stage_of_other_settings_is_moved_aside(make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    old = make_stage()
    old.begin()
    (old.directory / "policy").write_text("old")
    old.finish({}, seed=0)

    new = make_stage({"updates": 11})
    assert new.finished() is None
    assert new.begin() is False
    assert [entry.name for entry in new.directory.iterdir()] == ["started.json"]
    (aside,) = (entry for entry in tmp_path.iterdir() if entry != new.directory)
    assert aside.name.startswith(f"pretrain.replaced-{old.key[:8]}-")
    assert (aside / "policy").read_text() == "old"
    assert json.loads((aside / "manifest.json").read_text())["key"] == old.key


def test_a_directory_of_somebody_else_is_left_alone(make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    complete(tmp_path / "pretrain", "mine")
    with pytest.raises(ValueError, match="pretrain holds files that afrl has not made; move them away"):
        make_stage().begin()
    assert [entry.name for entry in (tmp_path / "pretrain").iterdir()] == ["content"]
    (tmp_path / "pretrain" / "content").rename(tmp_path / "pretrain" / ".started.json.1234")
    assert not make_stage().begin()


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", '{"key": 1}'])
@pytest.mark.parametrize("name", ["manifest.json", "started.json"])
def test_a_damaged_record_is_named(name: str, content: str, make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    (tmp_path / "pretrain").mkdir()
    (tmp_path / "pretrain" / name).write_text(content)
    with pytest.raises(ValueError, match=rf"{name} is damaged \(.*\); move .*/pretrain away, and it is made anew"):
        make_stage().finished() if name == "manifest.json" else make_stage().begin()


def test_settings_that_change_back_and_forth_lose_nothing(make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    """Several moves within one second must not meet in one name."""
    for round_ in range(3):
        for updates in (10, 11):
            stage = make_stage({"updates": updates})
            assert stage.begin() is False
            (stage.directory / "content").write_text(f"{updates} in round {round_}")
    contents = {file.read_text() for file in tmp_path.glob("pretrain*/content")}
    assert contents == {f"{updates} in round {round_}" for round_ in range(3) for updates in (10, 11)}


def test_changed_inputs_make_a_finished_stage_unfinished(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    stage.begin()
    stage.finish({}, seed=0)
    assert make_stage(inputs={"data": "other"}).finished() is None
    assert make_stage().finished() is not None


def test_the_manifest_says_what_simulated_the_environment(make_stage: Callable[..., Stage]) -> None:
    settings = EnvironmentSettings(id="Ant-v4", backend="gymnasium")
    for stage in (make_stage(), make_stage({"environment": settings.model_dump(mode="json")})):
        stage.begin()
        written = stage.finish({}, seed=0)
        expected = {"backend": "gymnasium", "mujoco": version("mujoco")} if stage.settings.get("environment") else None
        assert written.get("simulator") == expected


def test_versions_skip_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_RECORDED_PACKAGES", ("numpy", "no-such-package"))
    assert package_versions().keys() == {"python", "numpy"}


# ---- the command ---------------------------------------------------------------------------------------------------


def test_the_command_can_be_typed_again_and_holds_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "tracking.uri=http://me:secret@host:5000"
    monkeypatch.setattr("sys.argv", ["/usr/bin/afrl", "run", "my file.yaml", "seed=1", uri])
    assert command_line() == "afrl run 'my file.yaml' seed=1 'tracking.uri=http://me:***@host:5000'"
