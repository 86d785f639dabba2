"""Settings that every process which computes needs."""

import torch


def limit_threads(num_threads: int = 1) -> None:
    """One torch thread per process, and denormal numbers as zero: both cost a multiple here when left alone."""
    torch.set_num_threads(num_threads)
    torch.set_flush_denormal(True)
