import warnings

import numpy as np
import pytest
import torch

from afrl_ray.algorithms.replay import ColumnarReplay, Fragment, RowLayout
from replay import CPU, WIDTH, contents, filled, numbered, overwritten_next

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
