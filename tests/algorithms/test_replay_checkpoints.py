import os
from pathlib import Path

import numpy as np
import pytest
import torch

from afrl_ray.algorithms.replay import ColumnarReplay, complete_replay
from afrl_ray.algorithms.replay_log import ReplayLog
from replay import CPU, WIDTH, contents, filled, numbered, overwritten_next

# ---- whole checkpoints -----------------------------------------------------------------------------------------------


def restored(replay: ColumnarReplay, folder: Path, capacity: int) -> ColumnarReplay:
    replay.save_to_path(folder / "replay")
    other = ColumnarReplay(capacity, WIDTH, CPU)
    other.add(numbered(500, 502))  # whatever was there before is gone
    other.restore_from_path(folder / "replay")
    return other


@pytest.mark.parametrize("counts", [(), (3,), (5,), (8,), (3, 4, 4)])
def test_a_restored_ring_is_the_same_ring(counts: tuple[int, ...], tmp_path: Path) -> None:
    replay = filled(5, *counts)
    copy = restored(replay, tmp_path, 5)
    assert len(copy) == len(replay)
    for _ in range(2):
        if len(replay):
            draws = [ring.sample(2, 16, torch.Generator().manual_seed(0)) for ring in (replay, copy)]
            assert torch.equal(*draws)  # each row is in its old place
        for ring in (replay, copy):
            ring.add(numbered(100, 103))


@pytest.mark.parametrize("counts", [(5,), (8,), (2, 13), (1,) * 12])
def test_a_full_ring_goes_on_in_a_larger_one(counts: tuple[int, ...], tmp_path: Path) -> None:
    total = sum(counts)
    copy = restored(filled(5, *counts), tmp_path, 8)
    assert contents(copy) == list(range(total - 5, total))
    copy.add(numbered(total, total + 3))  # fills it
    assert contents(copy) == list(range(total - 5, total + 3))
    assert overwritten_next(copy) == total - 5
    assert overwritten_next(copy) == total - 4


@pytest.mark.parametrize("counts", [(5,), (8,), (2, 13), (1,) * 12])
def test_a_full_ring_goes_on_in_a_smaller_one_with_its_newest_rows(counts: tuple[int, ...], tmp_path: Path) -> None:
    total = sum(counts)
    copy = restored(filled(5, *counts), tmp_path, 3)
    assert contents(copy) == list(range(total - 3, total))
    assert overwritten_next(copy) == total - 3
    assert overwritten_next(copy) == total - 2


@pytest.mark.parametrize(("capacity", "kept"), [(2, [1, 2]), (3, [0, 1, 2]), (4, [0, 1, 2])])
def test_a_ring_that_was_not_full_goes_on_in_another(capacity: int, kept: list[int], tmp_path: Path) -> None:
    copy = restored(filled(5, 3), tmp_path, capacity)
    assert contents(copy) == kept
    copy.add(numbered(3, 4))
    assert contents(copy) == [*kept, 3][-capacity:]


def test_rows_that_do_not_belong_to_their_state_are_refused(tmp_path: Path) -> None:
    replay = filled(5, 3)
    replay.save_to_path(tmp_path / "replay")
    np.save(tmp_path / "replay" / "rows.npy", numbered(0, 2))
    with pytest.raises(ValueError, match=r"rows.npy has shape \(2, 3\), expected \(3, 3\)"):
        replay.restore_from_path(tmp_path / "replay")


def test_rows_of_another_environment_are_refused(tmp_path: Path) -> None:
    filled(5, 3).save_to_path(tmp_path / "replay")
    with pytest.raises(ValueError, match="expected"):
        ColumnarReplay(5, WIDTH + 2, CPU).restore_from_path(tmp_path / "replay")


# ---- checkpoints that write each row once ----------------------------------------------------------------------------


def logged(location: Path, capacity: int = 5) -> ColumnarReplay:
    return ColumnarReplay(capacity, WIDTH, CPU, ReplayLog(str(location)))


def continued(location: Path, checkpoint: Path, capacity: int = 5) -> ColumnarReplay:
    """One with a log at `location` that goes on from a checkpoint."""
    replay = logged(location, capacity)
    replay.restore_from_path(checkpoint)
    return replay


def same_ring(one: ColumnarReplay, other: ColumnarReplay) -> bool:
    """Whether every row is in the same slot, and the next one goes into the same."""
    draws = [ring.sample(2, 16, torch.Generator().manual_seed(0)) for ring in (one, other)]
    return one.get_state() == other.get_state() and torch.equal(*draws)


def written(location: Path) -> list[int]:
    """How many rows each file has, in the order of their numbers."""
    return [len(np.load(file)) for file in sorted(location.iterdir())]


@pytest.mark.parametrize("counts", [(3,), (3, 1), (5, 5), (3, 4, 4), (2, 13, 1), (1,) * 12, (4, 0, 3)])
def test_every_checkpoint_of_a_log_is_the_ring_as_it_was(counts: tuple[int, ...], tmp_path: Path) -> None:
    replay, start, rings = logged(tmp_path / "log"), 0, []
    for index, count in enumerate(counts):
        replay.add(numbered(start, start + count))
        start += count
        replay.save_to_path(tmp_path / str(index))
        assert not (tmp_path / str(index) / "rows.npy").exists()
        rings.append(filled(5, *counts[: index + 1]))
    for index in range(max(len(counts) - 5, 0), len(counts)):  # the last five
        copy = logged(tmp_path / "log")
        copy.add(numbered(500, 502))
        copy.restore_from_path(tmp_path / str(index))
        assert same_ring(copy, rings[index])


def test_a_row_is_written_once(tmp_path: Path) -> None:
    replay = logged(tmp_path / "log", capacity=100)
    for index, count in enumerate((60, 3, 0, 3)):
        replay.add(numbered(0, count))
        replay.save_to_path(tmp_path / str(index))
    assert written(tmp_path / "log") == [60, 3, 3]


def test_files_that_no_recent_checkpoint_needs_are_deleted(tmp_path: Path) -> None:
    replay = logged(tmp_path / "log", capacity=5)
    for index in range(30):
        replay.add(numbered(index, index + 1))
        replay.save_to_path(tmp_path / str(index))
    assert len(written(tmp_path / "log")) == 5 + 4  # the rows of the ring, and of the four checkpoints before


def test_a_restored_log_goes_on_and_an_abandoned_one_does_no_harm(tmp_path: Path) -> None:
    replay = logged(tmp_path / "log")
    replay.add(numbered(0, 3))
    replay.save_to_path(tmp_path / "first")
    replay.add(numbered(100, 102))  # never seen again: the run goes back to the first checkpoint
    replay.save_to_path(tmp_path / "lost")
    copy = continued(tmp_path / "log", tmp_path / "first")
    copy.add(numbered(3, 7))
    copy.save_to_path(tmp_path / "second")
    again = continued(tmp_path / "log", tmp_path / "second")
    assert same_ring(again, filled(5, 3, 4))
    assert sorted(written(tmp_path / "log")) == [2, 3, 4]


@pytest.mark.parametrize("capacity", [3, 8])
@pytest.mark.parametrize("counts", [(3,), (5,), (3, 4), (1,) * 12])
def test_a_logged_ring_goes_on_in_one_of_another_size(counts: tuple[int, ...], capacity: int, tmp_path: Path) -> None:
    replay = logged(tmp_path / "log")
    replay.add(numbered(0, sum(counts)))
    replay.save_to_path(tmp_path / "saved")
    copy = continued(tmp_path / "log", tmp_path / "saved", capacity)
    expected = contents(replay)[-capacity:]
    assert contents(copy) == expected
    copy.save_to_path(tmp_path / "again")
    again = continued(tmp_path / "log", tmp_path / "again", capacity)
    assert contents(again) == expected


def test_a_whole_checkpoint_goes_on_with_a_log(tmp_path: Path) -> None:
    filled(5, 8).save_to_path(tmp_path / "whole")
    copy = continued(tmp_path / "log", tmp_path / "whole")
    copy.add(numbered(8, 9))
    copy.save_to_path(tmp_path / "saved")
    again = continued(tmp_path / "log", tmp_path / "saved")
    assert same_ring(again, filled(5, 8, 1))


def test_the_log_may_have_been_moved_or_be_another_ones(tmp_path: Path) -> None:
    replay = logged(tmp_path / "log")
    replay.add(numbered(0, 7))
    replay.save_to_path(tmp_path / "saved")
    for location in (None, tmp_path / "other"):  # no log, and a trial that takes over another one's checkpoint
        copy = ColumnarReplay(5, WIDTH, CPU) if location is None else logged(location)
        copy.restore_from_path(tmp_path / "saved")
        assert same_ring(copy, filled(5, 7))
        copy.save_to_path(tmp_path / "again")
        copy.restore_from_path(tmp_path / "again")
    assert written(tmp_path / "other") == [5]
    (tmp_path / "log").rename(tmp_path / "moved")
    copy = continued(tmp_path / "moved", tmp_path / "saved")
    assert same_ring(copy, filled(5, 7))


@pytest.mark.parametrize("counts", [(), (3,), (5,), (8,), (3, 4, 4)])
def test_a_completed_checkpoint_needs_no_log(counts: tuple[int, ...], tmp_path: Path) -> None:
    replay, start = logged(tmp_path / "log"), 0
    for count in counts:
        replay.add(numbered(start, start + count))
        start += count
        replay.save_to_path(tmp_path / "earlier")
    replay.save_to_path(tmp_path / "checkpoint" / "replay")
    if counts:
        (tmp_path / "log").rename(tmp_path / "moved")
    complete_replay(tmp_path / "checkpoint", str(tmp_path / "moved"))
    copy = ColumnarReplay(5, WIDTH, CPU)
    copy.restore_from_path(tmp_path / "checkpoint" / "replay")
    assert copy.get_state() == replay.get_state()
    if counts:
        assert same_ring(copy, replay)


def test_a_log_without_its_file_says_which(tmp_path: Path) -> None:
    replay = logged(tmp_path / "log")
    replay.add(numbered(0, 3))
    replay.save_to_path(tmp_path / "saved")
    [file] = (tmp_path / "log").iterdir()
    file.unlink()
    with pytest.raises(FileNotFoundError, match=file.name):
        logged(tmp_path / "log").restore_from_path(tmp_path / "saved")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files are in /proc")
def test_rows_are_on_the_disk_before_a_checkpoint_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    log = ReplayLog(str(tmp_path / "log"))
    log.append(numbered(0, 4), 0)
    [segment] = log.serve(0)
    assert synced == [str(tmp_path / "log" / segment.file), str(tmp_path / "log")]
