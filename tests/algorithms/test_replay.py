import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from afrl_ray.algorithms.replay import ColumnarReplay, Fragment, RowLayout, complete_replay
from afrl_ray.algorithms.replay_log import ReplayLog

WIDTH = 3
CPU = torch.device("cpu")


def numbered(start: int, stop: int) -> np.ndarray:
    """Rows whose every value is the row's number."""
    return np.repeat(np.arange(start, stop, dtype=np.float32)[:, None], WIDTH, axis=1)


def filled(capacity: int, *counts: int) -> ColumnarReplay:
    """A replay after rows 0, 1, 2 … came in portions of `counts`."""
    replay, start = ColumnarReplay(capacity, WIDTH, CPU), 0
    for count in counts:
        replay.add(numbered(start, start + count))
        start += count
    return replay


def contents(replay: ColumnarReplay) -> list[int]:
    """The rows' numbers, oldest first, found out by overwriting nothing: from what a draw of everything shows."""
    rows = replay.sample(1, 200 * max(len(replay), 1), torch.Generator().manual_seed(0))
    return sorted({int(value) for value in rows[0, :, 0]})


def overwritten_next(replay: ColumnarReplay) -> int:
    """The number of the row that the next one replaces."""
    before = set(contents(replay))
    replay.add(np.full((1, WIDTH), 999, np.float32))
    (gone,) = before - set(contents(replay))
    return gone


# ---- layout ----------------------------------------------------------------------------------------------------------


def test_packing_and_splitting_are_inverse() -> None:
    layout = RowLayout(observation_size=3, action_size=2)
    generator = np.random.default_rng(0)
    columns = {
        "observations": generator.normal(size=(5, 3)).astype(np.float32),
        "actions": generator.normal(size=(5, 2)).astype(np.float32),
        "rewards": generator.normal(size=5).astype(np.float32),
        "next_observations": generator.normal(size=(5, 3)).astype(np.float32),
        "terminations": np.array([0, 1, 0, 0, 1], dtype=np.bool_),
    }
    rows = layout.pack(columns)
    assert rows.shape == (5, layout.width) == (5, 10)
    assert rows.dtype == np.float32
    for column, part in zip(columns.values(), layout.split(torch.from_numpy(rows)), strict=True):
        np.testing.assert_array_equal(part.numpy(), column)


def test_splitting_keeps_leading_dimensions() -> None:
    layout = RowLayout(3, 2)
    shapes = [tuple(part.shape) for part in layout.split(torch.zeros(7, 4, layout.width))]
    assert shapes == [(7, 4, 3), (7, 4, 2), (7, 4), (7, 4, 3), (7, 4)]


def test_a_fragment_counts_its_rows() -> None:
    fragment = Fragment(numbered(0, 5))
    assert fragment.env_steps() == fragment.agent_steps() == 5


# ---- ring ------------------------------------------------------------------------------------------------------------


def test_it_grows_to_its_capacity() -> None:
    replay = ColumnarReplay(5, WIDTH, CPU)
    sizes = []
    for start in range(0, 8, 2):
        replay.add(numbered(start, start + 2))
        sizes.append(len(replay))
    assert sizes == [2, 4, 5, 5]


@pytest.mark.parametrize(
    ("counts", "kept"),
    [
        ((), []),
        ((0,), []),
        ((3,), [0, 1, 2]),
        ((5,), [0, 1, 2, 3, 4]),
        ((3, 4), [2, 3, 4, 5, 6]),  # one portion over the end of the ring
        ((5, 5), [5, 6, 7, 8, 9]),
        ((2, 13), [10, 11, 12, 13, 14]),  # a portion longer than the ring
        ((1,) * 12, [7, 8, 9, 10, 11]),
    ],
)
def test_it_keeps_the_newest_rows_whole(counts: tuple[int, ...], kept: list[int]) -> None:
    replay = filled(5, *counts)
    assert len(replay) == len(kept)
    if kept:
        assert contents(replay) == kept
        rows = replay.sample(1, 100, torch.Generator())[0]
        assert (rows == rows[:, :1]).all()  # no row is made of two


@pytest.mark.parametrize("counts", [(5,), (3, 4), (7,), (2, 13), (1,) * 12])
def test_the_oldest_row_goes_first(counts: tuple[int, ...]) -> None:
    replay = filled(5, *counts)
    oldest = sum(counts) - 5
    assert overwritten_next(replay) == oldest
    assert overwritten_next(replay) == oldest + 1


@pytest.mark.parametrize("shape", [(2, WIDTH + 1), (2, WIDTH - 1), (WIDTH,), (2, WIDTH, 1)])
def test_rows_of_another_width_are_refused(shape: tuple[int, ...]) -> None:
    replay = filled(5, 2)
    with pytest.raises(ValueError, match="rows are 3 wide, got an array of shape"):
        replay.add(np.zeros(shape, np.float32))
    assert len(replay) == 2


def test_adding_copies() -> None:
    rows = numbered(0, 3)
    replay = ColumnarReplay(5, WIDTH, CPU)
    replay.add(rows)
    rows[:] = 77
    assert contents(replay) == [0, 1, 2]


def test_rows_may_be_read_only_or_strided() -> None:
    """Rows that come through Ray's object store cannot be written to."""
    rows = numbered(0, 6)
    rows.flags.writeable = False
    replay = ColumnarReplay(5, WIDTH, CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replay.add(rows[:2])
        replay.add(rows[3::2])
    assert contents(replay) == [0, 1, 3, 5]


# ---- sampling --------------------------------------------------------------------------------------------------------


def test_samples_are_batches_of_rows() -> None:
    assert filled(50, 30).sample(4, 8, torch.Generator()).shape == (4, 8, WIDTH)


def test_samples_are_uniform() -> None:
    rows = filled(8, 11).sample(100, 160, torch.Generator().manual_seed(0))[..., 0]
    counts = torch.bincount(rows.flatten().long(), minlength=11)
    assert not counts[:3].any()  # overwritten
    np.testing.assert_allclose(counts[3:] / 16_000, 1 / 8, atol=0.01)


def test_the_generator_decides_the_sample() -> None:
    replay = filled(50, 30)
    draws = [replay.sample(2, 8, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


# ---- checkpoints -----------------------------------------------------------------------------------------------------


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
    copy = logged(tmp_path / "log")
    copy.restore_from_path(tmp_path / "first")
    copy.add(numbered(3, 7))
    copy.save_to_path(tmp_path / "second")
    again = logged(tmp_path / "log")
    again.restore_from_path(tmp_path / "second")
    assert same_ring(again, filled(5, 3, 4))
    assert sorted(written(tmp_path / "log")) == [2, 3, 4]


@pytest.mark.parametrize("capacity", [3, 8])
@pytest.mark.parametrize("counts", [(3,), (5,), (3, 4), (1,) * 12])
def test_a_logged_ring_goes_on_in_one_of_another_size(counts: tuple[int, ...], capacity: int, tmp_path: Path) -> None:
    replay = logged(tmp_path / "log")
    replay.add(numbered(0, sum(counts)))
    replay.save_to_path(tmp_path / "saved")
    copy = logged(tmp_path / "log", capacity)
    copy.restore_from_path(tmp_path / "saved")
    expected = contents(replay)[-capacity:]
    assert contents(copy) == expected
    copy.save_to_path(tmp_path / "again")
    again = logged(tmp_path / "log", capacity)
    again.restore_from_path(tmp_path / "again")
    assert contents(again) == expected


def test_a_whole_checkpoint_goes_on_with_a_log(tmp_path: Path) -> None:
    filled(5, 8).save_to_path(tmp_path / "whole")
    copy = logged(tmp_path / "log")
    copy.restore_from_path(tmp_path / "whole")
    copy.add(numbered(8, 9))
    copy.save_to_path(tmp_path / "saved")
    again = logged(tmp_path / "log")
    again.restore_from_path(tmp_path / "saved")
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
    copy = logged(tmp_path / "moved")
    copy.restore_from_path(tmp_path / "saved")
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
