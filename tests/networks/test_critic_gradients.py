import pickle

import numpy as np
import pytest
import torch

from afrl_ray.networks import Critic, CriticGradients, ObservationNormalizer


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("hidden_sizes", [(), (4,), (32, 32), (16, 8, 4)])
def test_the_gradient_is_autograds(hidden_sizes: tuple[int, ...], layer_norm: bool) -> None:
    torch.manual_seed(0)
    normalizer, critic = ObservationNormalizer(5), Critic(5, 3, hidden_sizes, layer_norm=layer_norm)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    normalizer.set_statistics(np.arange(5), np.arange(1, 6))
    observations = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    actions = torch.rand(20, 3, requires_grad=True)
    critic(normalizer(torch.from_numpy(observations)), actions).sum().backward()
    gradient = CriticGradients(normalizer, critic).at(observations)
    torch.testing.assert_close(gradient(actions.detach()), actions.grad)
    torch.testing.assert_close(gradient(actions.detach()), actions.grad)  # nothing is used up


def test_a_tiny_critic_by_hand() -> None:
    critic = Critic(1, 1, (2,))
    with torch.no_grad():
        critic.layers[0].weight.copy_(torch.tensor([[1.0, 2.0], [1.0, -3.0]]))  # s + 2a and s − 3a
        critic.layers[0].bias.zero_()
        critic.layers[2].weight.copy_(torch.tensor([[5.0, 7.0]]))
    gradient = CriticGradients(ObservationNormalizer(1), critic).at(np.array([[1.0], [-1.0], [0.0]], np.float32))
    # both units on: 5 · 2 − 7 · 3; both off; only the second
    torch.testing.assert_close(gradient(torch.tensor([[0.1], [0.1], [-1.0]])), torch.tensor([[-11.0], [0.0], [-21.0]]))


def test_layers_that_it_does_not_know_are_refused() -> None:
    critic = Critic(2, 1, (8,))
    critic.layers[1] = torch.nn.Tanh()
    with pytest.raises(TypeError, match="not Tanh"):
        CriticGradients(ObservationNormalizer(2), critic).at(np.ones((1, 2), np.float32))(torch.ones(1, 1))


def test_it_follows_the_networks_as_they_are_and_travels() -> None:
    normalizer, critic = ObservationNormalizer(2), Critic(2, 1, (8,))
    gradients = CriticGradients(normalizer, critic)
    observations, actions = np.ones((3, 2), np.float32), torch.ones(3, 1)
    before = gradients.at(observations)(actions)
    torch.testing.assert_close(pickle.loads(pickle.dumps(gradients)).at(observations)(actions), before)
    with torch.no_grad():
        critic.layers[2].weight.mul_(2)
    torch.testing.assert_close(gradients.at(observations)(actions), 2 * before)
