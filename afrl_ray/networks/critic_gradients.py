"""The gradient of a critic with respect to the action alone, without autograd's overhead on small batches."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from afrl_ray.networks.actor_critic import Critic, ObservationNormalizer

_Backward = Callable[[Tensor], Tensor]
"""∂Q/∂input of a layer from ∂Q/∂output, (n, out) -> (n, in)."""


class CriticGradients:
    """∂Q(s, a)/∂a of a critic, for raw observations. The modules are used as they are at each call."""

    def __init__(self, normalizer: ObservationNormalizer, critic: Critic) -> None:
        self._normalizer = normalizer
        self._critic = critic

    @property
    def observation_std(self) -> NDArray[np.float32]:
        """σ (O,) of the observations in the data that it has learned from; 1 where there were none."""
        return self._normalizer.std.cpu().numpy().copy()

    @torch.inference_mode()
    def at(self, observations: NDArray[np.float32]) -> Callable[[Tensor], Tensor]:
        """The gradient (n, A) as a function of actions (n, A), at `observations` (n, O)."""
        layers = list(self._critic.layers)
        normalized = self._normalizer(torch.from_numpy(observations))

        @torch.inference_mode()
        def gradient(actions: Tensor) -> Tensor:
            hidden = torch.cat([normalized, actions], dim=1)
            backwards: list[_Backward] = []
            for layer in layers:
                hidden, backward = _through(layer, hidden)
                backwards.append(backward)
            slope = torch.ones_like(hidden)  # (n, 1), ∂Q/∂Q
            for backward in reversed(backwards):
                slope = backward(slope)
            return slope[:, normalized.shape[1] :]

        return gradient


def _through(layer: nn.Module, values: Tensor) -> tuple[Tensor, _Backward]:
    """What `layer` makes of `values` (n, in), and how a gradient goes back through it."""
    if isinstance(layer, nn.Linear):
        return torch.addmm(layer.bias, values, layer.weight.t()), lambda slope: slope @ layer.weight
    if isinstance(layer, nn.ReLU):
        return values.relu(), lambda slope: slope * (values > 0)
    if isinstance(layer, nn.LayerNorm):
        shape, weight, bias = layer.normalized_shape, layer.weight, layer.bias
        output, mean, scale = torch.native_layer_norm(values, shape, weight, bias, layer.eps)

        def backward(slope: Tensor) -> Tensor:
            wanted = [True, False, False]
            back = torch.ops.aten.native_layer_norm_backward
            gradient: Tensor = back(slope, values, shape, mean, scale, weight, bias, wanted)[0]
            return gradient

        return output, backward
    raise TypeError(f"critics have linear, ReLU and normalisation layers, not {type(layer).__name__}")
