"""The mirror's twin is a folder here; with S3 it is tried in tests/integration/test_s3.py."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.mirror import INDEX, Index, Mirror
from afrl_ray.storage import StorageError


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    return tmp_path / "twin" / "stage"


@pytest.fixture
def mirror(twin: Path) -> Mirror:
    twin.mkdir(parents=True)
    return Mirror(str(twin))


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder


def contents(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")]
    return {str(file.relative_to(folder)): file.read_text() for file in files}


def fetched(mirror: Mirror, folder: Path) -> dict[str, str]:
    index = mirror.index()
    assert index is not None
    mirror.fetch(folder, index)
    return contents(folder)


def test_nothing_is_published_at_first(mirror: Mirror) -> None:
    assert mirror.index() is None


def test_another_machine_gets_what_was_published(mirror: Mirror, twin: Path, tmp_path: Path) -> None:
    here = write(tmp_path / "here", policy="p", checkpoint__deep__state="1", checkpoint__rows="2")
    mirror.publish(here, "key")
    assert mirror.index().key == "key"  # type: ignore[union-attr]
    assert contents(twin).keys() >= {"policy", "checkpoint/deep/state"}  # readable without the index
    assert fetched(mirror, tmp_path / "there") == contents(here)


def test_changes_replace_whole_entries_and_leave_nothing_behind(mirror: Mirror, twin: Path, tmp_path: Path) -> None:
    here = write(tmp_path / "here", policy="p", checkpoint__one="1", checkpoint__two="2")
    mirror.publish(here, "key")
    there = tmp_path / "there"
    fetched(mirror, there)
    policy = (there / "policy").stat().st_ino
    (here / "checkpoint" / "two").unlink()
    write(here, checkpoint__one="11", checkpoint__three="3")
    mirror.publish(here, "key")
    assert fetched(mirror, there) == contents(here) == {"policy": "p", "checkpoint/one": "11", "checkpoint/three": "3"}
    assert (there / "policy").stat().st_ino == policy  # not fetched again
    assert len(list(twin.iterdir())) == 3  # policy, one version of the checkpoint, the index


def test_what_has_not_changed_is_not_sent(mirror: Mirror, twin: Path, tmp_path: Path) -> None:
    here = write(tmp_path / "here", policy="p")
    mirror.publish(here, "key")
    (twin / "policy").unlink()
    before = (twin / INDEX).stat().st_mtime_ns
    mirror.publish(here, "key")
    assert not (twin / "policy").exists()
    assert (twin / INDEX).stat().st_mtime_ns == before


def test_a_death_before_the_index_changes_nothing(mirror: Mirror, twin: Path, tmp_path: Path) -> None:
    here = write(tmp_path / "here", checkpoint__one="1", checkpoint__two="2")
    mirror.publish(here, "key")
    old = (twin / INDEX).read_bytes()
    write(here, checkpoint__one="11", checkpoint__two="22")
    mirror.publish(here, "key")
    lost = json.loads((twin / INDEX).read_text())["entries"]["checkpoint"]["object"]
    assert lost.startswith("checkpoint@")
    # as if it had died after the upload: the old objects are still there, and so is the old index
    write(twin / "checkpoint", one="1", two="2")
    (twin / INDEX).write_bytes(old)
    assert fetched(mirror, tmp_path / "there") == {"checkpoint/one": "1", "checkpoint/two": "2"}


def test_a_working_copy_that_went_on_alone_is_set_back(mirror: Mirror, tmp_path: Path) -> None:
    here = write(tmp_path / "here", checkpoint__one="1")
    mirror.publish(here, "key")
    write(here, checkpoint__one="2", unpublished="x")
    assert fetched(mirror, here) == {"checkpoint/one": "1"}


def test_hidden_entries_and_those_not_named_stay_here(mirror: Mirror, tmp_path: Path) -> None:
    chosen = Mirror(mirror.uri, only=("config",))
    here = write(tmp_path / "here", config="c", other="o")
    (here / ".under way").touch()
    chosen.publish(here, "key")
    assert fetched(chosen, tmp_path / "there") == {"config": "c"}
    fetched(chosen, here)
    assert (here / "other").exists()


def test_the_remains_of_a_killed_upload_are_no_part_of_the_next_one(mirror: Mirror, twin: Path, tmp_path: Path) -> None:
    """It ended before there was an index; what it had uploaded is older than what is published next."""
    write(twin, checkpoint__one="0", checkpoint__stale="of another step")
    here = write(tmp_path / "here", checkpoint__one="1", policy="p")
    mirror.publish(here, "key")
    assert fetched(mirror, tmp_path / "there") == {"checkpoint/one": "1", "policy": "p"}
    assert json.loads((twin / INDEX).read_text())["entries"]["policy"]["object"] == "policy"


def test_an_index_that_cannot_be_written_down_leaves_the_published_one(
    mirror: Mirror, twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = write(tmp_path / "here", policy="1")
    mirror.publish(here, "key")
    before = (twin / INDEX).read_bytes()
    write(here, policy="22")

    def interrupted(_index: Index) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Index, "to_json", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mirror.publish(here, "key")
    assert (twin / INDEX).read_bytes() == before
    mirror.publish(here, "key")
    assert fetched(mirror, tmp_path / "there") == {"policy": "22"}


@pytest.mark.parametrize(
    "content", ["", '{"key": "k", "entr', "[]", '{"key": "k"}', '{"key": "k", "entries": {"a": 1}}']
)
def test_a_damaged_index_is_one_line(content: str, mirror: Mirror, twin: Path) -> None:
    (twin / INDEX).write_text(content)
    with pytest.raises(StorageError) as error:
        mirror.index()
    assert str(error.value) == (
        f"{mirror.uri}/index.json is damaged: put an earlier version of it back, or delete it to begin this anew"
    )


def test_a_damaged_record_of_the_working_copy_costs_one_more_exchange(mirror: Mirror, tmp_path: Path) -> None:
    here = write(tmp_path / "here", policy="p")
    mirror.publish(here, "key")
    (here / ".mirror.json").write_text("")
    assert fetched(mirror, here) == {"policy": "p"}
    write(here, policy="pp")
    mirror.publish(here, "key")
    assert fetched(mirror, tmp_path / "there") == {"policy": "pp"}


# ---- stages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(twin: Path, tmp_path: Path) -> Callable[..., Stage]:
    def make(machine: str, **settings: Any) -> Stage:
        return Stage("stage", tmp_path / machine / "stage", settings, {}, Mirror(str(twin)))

    return make


def test_a_stage_finished_on_one_machine_is_finished_on_all(stage: Callable[..., Stage]) -> None:
    one = stage("one", updates=10)
    assert one.begin() is False
    write(one.directory, policy="p")
    manifest = one.finish({"score": 1.5}, seed=0)
    two = stage("two", updates=10)
    assert two.finished() == manifest
    assert (two.directory / "policy").read_text() == "p"
    assert two.location == one.location == two.mirror.uri  # type: ignore[union-attr]


def test_an_interrupted_stage_goes_on_elsewhere_from_what_was_kept(stage: Callable[..., Stage]) -> None:
    one = stage("one", updates=10)
    one.begin()
    write(one.directory, checkpoint__step="5")
    one.keep()
    write(one.directory, checkpoint__step="7", policy="unpublished")
    two = stage("two", updates=10)
    assert two.finished() is None
    assert two.begin() is True
    assert contents(two.directory).keys() == {"started.json", "checkpoint/step"}
    assert (two.directory / "checkpoint" / "step").read_text() == "5"


def test_other_settings_move_the_published_stage_aside(stage: Callable[..., Stage], twin: Path) -> None:
    old = stage("one", updates=10)
    old.begin()
    write(old.directory, policy="old")
    old.finish({}, seed=0)
    write(twin / "tune", trial="written past the mirror")

    new = stage("one", updates=11)
    assert new.finished() is None
    assert new.begin() is False
    assert contents(new.directory).keys() == {"started.json"}
    [aside] = twin.parent.glob(f"stage.replaced-{old.key[:8]}-*")
    assert (aside / "policy").read_text() == "old"
    assert (aside / "tune" / "trial").exists()
    assert not (twin / "tune" / "trial").exists()


class Dying:
    """A file system whose user is killed at the `last` change of it."""

    def __init__(self, filesystem: Any, last: int) -> None:
        self._filesystem, self._left = filesystem, last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._filesystem, name)

    def copy_file(self, source: str, target: str) -> None:
        self._change(self._filesystem.copy_file, source, target)

    def delete_file(self, path: str) -> None:
        self._change(self._filesystem.delete_file, path)

    def _change(self, change: Callable[..., None], *arguments: str) -> None:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        change(*arguments)


@pytest.mark.parametrize("last", range(6))
def test_whoever_is_killed_while_moving_aside_leaves_all_or_nothing(
    last: int, mirror: Mirror, twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = write(tmp_path / "here", one="1", two="2")
    mirror.publish(here, "key")  # with the index three files, so six changes
    filesystem, path = mirror._place
    with monkeypatch.context() as patch:
        patch.setitem(mirror.__dict__, "_place", (Dying(filesystem, last), path))
        with pytest.raises(KeyboardInterrupt):
            mirror.move_aside("aside")
    anybody = Mirror(str(twin))
    if (index := anybody.index()) is not None:
        anybody.fetch(tmp_path / "there", index)
        assert contents(tmp_path / "there") == contents(here)
    else:
        assert contents(twin.parent / "aside").items() >= contents(here).items()
    write(here, one="another")
    anybody.publish(here, "key")
    assert fetched(anybody, tmp_path / "later") == {"one": "another", "two": "2"}


def test_an_emptied_twin_begins_the_stage_anew(stage: Callable[..., Stage], twin: Path) -> None:
    one = stage("one", updates=10)
    one.begin()
    one.finish({}, seed=0)
    for file in sorted(twin.iterdir()):
        file.unlink()
    assert one.finished() is None
    assert one.begin() is False
