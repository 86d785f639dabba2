"""Statistics that standardise observations."""

import numpy as np
from numpy.typing import NDArray

STD_OFFSET = 1e-3
"""Added to every standard deviation, so that a constant observation stays finite (the value of TD3+BC's own code)."""


def observation_statistics(
    observations: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (O,) and standard deviation + 1e-3 (O,) over the rows of `observations` (N, O).

    Accumulated in float64: a float32 sum over millions of rows loses digits.

    Raises:
        ValueError: there is no row.
    """
    if len(observations) == 0:
        raise ValueError("there are no observations to take statistics of")
    mean = observations.mean(axis=0, dtype=np.float64)
    std = observations.std(axis=0, dtype=np.float64) + STD_OFFSET
    return mean.astype(np.float32), std.astype(np.float32)
