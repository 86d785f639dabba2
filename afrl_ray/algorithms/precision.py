"""When bfloat16 matrix products pay."""

from contextlib import AbstractContextManager
from typing import Literal

import torch


def has_bfloat16_instructions(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 natively; emulated it would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe() for probe in probes if probe is not None)


def matrix_product_precision(mode: Literal["auto", "on", "off"], device: torch.device) -> AbstractContextManager[None]:
    """The autocast region of one update; weights, targets and losses stay float32.

    Rounded copies of weights are not kept: the actor has to climb the critic as it is after its step.
    """
    enabled = mode == "on" or (mode == "auto" and has_bfloat16_instructions(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled, cache_enabled=False)
