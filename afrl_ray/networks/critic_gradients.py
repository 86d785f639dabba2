"""The gradient of a critic with respect to the action alone, without autograd's overhead on small batches."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from afrl_ray.networks.actor_critic import Critic, ObservationNormalizer


class CriticGradients:
    """∂Q(s, a)/∂a of a plain ReLU critic, for raw observations. The modules are used as they are at each call."""

    def __init__(self, normalizer: ObservationNormalizer, critic: Critic) -> None:
        self._normalizer = normalizer
        self._critic = critic

    @torch.inference_mode()
    def at(self, observations: NDArray[np.float32]) -> Callable[[Tensor], Tensor]:
        """The gradient (n, A) as a function of actions (n, A), at `observations` (n, O).

        The part of the first layer that only sees s is computed once. Backwards, a ReLU passes on what it let through.
        """
        first, *others = (layer for layer in self._critic.layers if isinstance(layer, nn.Linear))
        size = observations.shape[1]
        normalized = self._normalizer(torch.from_numpy(observations))
        from_state = torch.addmm(first.bias, normalized, first.weight[:, :size].t())  # (n, hidden)
        from_action = first.weight[:, size:]  # (hidden, A)

        @torch.inference_mode()
        def gradient(actions: Tensor) -> Tensor:
            hidden = torch.addmm(from_state, actions, from_action.t())
            active = []
            for layer in others:
                active.append(hidden > 0)
                hidden = torch.addmm(layer.bias, hidden.relu_(), layer.weight.t())
            slope = torch.ones_like(hidden)  # (n, 1), ∂Q/∂Q
            for layer, passed in zip(reversed(others), reversed(active), strict=True):
                slope = (slope @ layer.weight) * passed
            return slope @ from_action

        return gradient
