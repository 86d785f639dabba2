"""What Tune would go on from, torn: it must never begin a sweep anew without a word."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from pyarrow.fs import LocalFileSystem, copy_files
from ray import tune

from afrl_ray.pipeline import tune_state
from afrl_ray.pipeline.tune_state import can_go_on, tune_filesystem
from afrl_ray.storage import StorageError

STATE = "experiment_state-2026-01-02_00-00-00.json"
OLDER = "experiment_state-2026-01-01_00-00-00.json"
SEARCH = "basic-variant-state-2026-01-02_00-00-00.json"


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Tune's folder after one checkpoint of its only trial."""
    folder = tmp_path / "finetune" / "tune"
    (folder / "trial_a_00000" / "checkpoint_000000").mkdir(parents=True)
    state = {"trial_data": [["{}", "{}"]], "runner_data": {}}
    (folder / STATE).write_text(json.dumps(state))
    (folder / OLDER).write_text(json.dumps(state))
    for name in ("tuner.pkl", SEARCH):
        (folder / name).write_bytes(pickle.dumps({"of": name, "filling": list(range(100))}))
    return folder


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def test_a_whole_state_is_gone_on_from(sweep: Path) -> None:
    assert can_go_on(str(sweep)) is True


@pytest.mark.parametrize("harm", [truncate, Path.unlink, Path.touch, lambda file: file.write_bytes(b"")])
@pytest.mark.parametrize("name", [STATE, "tuner.pkl", SEARCH])
def test_a_damaged_state_is_refused_in_one_line(name: str, harm: Any, sweep: Path) -> None:
    harm(sweep / name)
    if harm is Path.touch or (harm is Path.unlink and name == STATE):  # nothing is wrong, or the older one is read
        assert can_go_on(str(sweep)) is True
        return
    with pytest.raises(StorageError) as error:
        can_go_on(str(sweep))
    [line] = str(error.value).splitlines()
    assert "is damaged, missing or of another version" in line
    assert f"move {sweep.parent} elsewhere" in line


def test_callbacks_need_no_state_but_a_torn_one_is_refused(sweep: Path) -> None:
    (sweep / "callback-states-2026-01-02_00-00-00.pkl").write_bytes(b"\x80")
    with pytest.raises(StorageError, match=r"callback-states-2026-01-02_00-00-00\.pkl is damaged"):
        can_go_on(str(sweep))


def test_before_the_first_checkpoint_there_is_nothing_to_lose(sweep: Path, tmp_path: Path) -> None:
    assert can_go_on(str(tmp_path / "nothing" / "tune")) is False
    truncate(sweep / STATE)
    (sweep / "trial_a_00000" / "checkpoint_000000").rmdir()
    assert can_go_on(str(sweep)) is False


# ---- files that are written whole ------------------------------------------------------------------------------------


def test_a_file_is_the_old_one_until_the_new_one_is_complete(tmp_path: Path) -> None:
    filesystem, file = tune_filesystem(str(tmp_path)), tmp_path / "tuner.pkl"
    file.write_bytes(b"old")
    with filesystem.open_output_stream(str(file)) as stream:
        stream.write(b"half")
        stream.flush()
        assert file.read_bytes() == b"old"
        stream.write(b" and half")
    assert file.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [file]


def test_what_nobody_closed_replaces_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tuner.pkl"
    file.write_bytes(b"old")
    abandoned = tune_state._WholeFile(file)
    abandoned.write(b"half")
    del abandoned
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (b"old", [file])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_what_the_disk_had_no_room_for_replaces_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tuner.pkl"
    file.write_bytes(b"old")
    failing = tune_state._WholeFile(file)
    with Path("/dev/full").open("wb") as device:
        os.dup2(device.fileno(), failing.fileno())
    failing.write(b"new")
    with pytest.raises(OSError, match="No space"):
        failing.close()
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (b"old", [file])


def test_a_state_copied_while_tune_was_writing_it_replaces_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "staging", tmp_path / "storage"
    source.mkdir()
    target.mkdir()
    for content, expected in (('{"whole": 1}', {"whole": 1}), ('{"whole": 2', {"whole": 1}), ("", {"whole": 1})):
        (source / STATE).write_text(content)
        copy_files(
            str(source),
            str(target),
            source_filesystem=LocalFileSystem(),
            destination_filesystem=tune_filesystem(str(target)),
        )
        assert json.loads((target / STATE).read_text()) == expected
    assert [file.name for file in target.iterdir()] == [STATE]


def test_only_folders_need_it(tmp_path: Path) -> None:
    assert tune_filesystem("s3://bucket/sweep/tune") is None
    filesystem = pickle.loads(pickle.dumps(tune_filesystem(str(tmp_path))))  # trials write their checkpoints with it
    with filesystem.open_output_stream(str(tmp_path / "file")) as stream:
        stream.write(b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


# ---- Tune itself -----------------------------------------------------------------------------------------------------


class Counting(tune.Trainable):  # type: ignore[misc]
    """Counts its steps; the fourth fails as long as there is a file that says so."""

    def setup(self, config: dict[str, Any]) -> None:
        self._fails, self._count = Path(config["fails"]), 0

    def step(self) -> dict[str, Any]:
        if self._count == 3 and self._fails.exists():
            raise RuntimeError("as was asked for")
        self._count += 1
        return {"count": self._count, "done": self._count == 5}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "count").write_text(str(self._count))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self._count = int((Path(checkpoint_dir) / "count").read_text())


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("ray_session")
def test_tune_writes_what_it_goes_on_from(tmp_path: Path) -> None:
    path, filesystem = str(tmp_path / "tune"), tune_filesystem(str(tmp_path))
    fails = tmp_path / "fails"
    fails.touch()
    config = tune.RunConfig(
        name="tune",
        storage_path=str(tmp_path),
        storage_filesystem=filesystem,
        verbose=0,
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=2),
    )
    assert can_go_on(path) is False
    results = tune.Tuner(
        Counting,
        param_space={"fails": str(fails)},
        tune_config=tune.TuneConfig(trial_dirname_creator=lambda trial: f"trial_{trial.trial_id}"),
        run_config=config,
    ).fit()
    assert results.num_errors == 1
    assert can_go_on(path) is True

    fails.unlink()
    [result] = tune.Tuner.restore(path, Counting, resume_errored=True, storage_filesystem=filesystem).fit()
    assert (result.metrics["count"], result.metrics["training_iteration"]) == (5, 5)
    assert result.metrics["iterations_since_restore"] == 2
    with result.checkpoint.as_directory() as folder:
        assert (Path(folder) / "count").read_text() == "5"

    [newest] = [max((tmp_path / "tune").glob("experiment_state-*.json"))]
    truncate(newest)
    with pytest.raises(StorageError, match=f"{newest.name} is damaged"):
        can_go_on(path)
