"""How many rows a network is called with, wherever episodes run side by side."""

_MULTIPLE = 16


def missing_rows(count: int) -> int:
    """How many rows a batch of `count` is padded with, so that no episode depends on how many run beside it.

    Matrix products of very few rows take another kernel, whose last bits differ, and chaotic dynamics blow that up.
    """
    return -count % _MULTIPLE
