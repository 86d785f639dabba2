"""Small replays whose rows say which they are."""

import numpy as np
import torch

from afrl_ray.algorithms.replay import ColumnarReplay

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
