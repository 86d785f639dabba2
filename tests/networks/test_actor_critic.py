import numpy as np
import pytest
import torch
from torch.testing import assert_close

from afrl_ray.networks import Actor, Critic, ObservationNormalizer, StateValue, multilayer_perceptron

LOW, HIGH = np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32)


def test_layers_have_relu_between_them_and_none_at_the_end() -> None:
    layers = multilayer_perceptron(3, (5, 4), 2)
    assert [type(layer).__name__ for layer in layers] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert [tuple(layer.weight.shape) for layer in layers if hasattr(layer, "weight")] == [(5, 3), (4, 5), (2, 4)]


def test_the_normaliser_starts_as_the_identity() -> None:
    observations = torch.randn(4, 3)
    assert_close(ObservationNormalizer(3)(observations), observations)


def test_the_normaliser_standardises() -> None:
    normalizer = ObservationNormalizer(2)
    normalizer.set_statistics([1.0, -2.0], [2.0, 0.5])
    assert_close(normalizer(torch.tensor([[3.0, -1.0]])), torch.tensor([[1.0, 2.0]]))


def test_statistics_are_no_parameters_but_travel_with_the_weights() -> None:
    normalizer = ObservationNormalizer(2)
    assert not list(normalizer.parameters())
    assert set(normalizer.state_dict()) == {"mean", "std"}


def test_statistics_of_another_size_are_refused() -> None:
    with pytest.raises(RuntimeError):
        ObservationNormalizer(2).set_statistics([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])


def test_actions_fill_the_action_range_and_never_leave_it() -> None:
    actor = Actor(3, LOW, HIGH, (8,))
    actions = actor(1e4 * torch.randn(1000, 3))
    assert_close(actions.amin(dim=0), torch.from_numpy(LOW))
    assert_close(actions.amax(dim=0), torch.from_numpy(HIGH))


def test_an_undecided_actor_is_in_the_middle_of_the_range() -> None:
    actor = Actor(3, LOW, HIGH, (8,))
    with torch.no_grad():
        for parameter in actor.parameters():
            parameter.zero_()
    assert_close(actor(torch.randn(1, 3)), torch.tensor([[0.0, 0.5]]))


def test_a_critic_gives_one_value_per_row() -> None:
    critic = Critic(3, 2, (8, 8))
    observations, actions = torch.randn(5, 3), torch.randn(5, 2)
    values = critic(observations, actions)
    assert values.shape == (5,)
    assert_close(values[2], critic(observations[2:3], actions[2:3])[0])


def test_layer_norm_bounds_the_value_of_far_away_actions() -> None:
    torch.manual_seed(0)
    observations, actions = torch.zeros(1, 3), torch.ones(1, 2)
    plain, normalised = (Critic(3, 2, (8, 8), layer_norm=layer_norm) for layer_norm in (False, True))
    assert plain(observations, 1e6 * actions).abs() > 1e3
    weight, bias = normalised.layers[-1].weight, normalised.layers[-1].bias
    bound = weight.norm() * 8**0.5 + bias.abs()  # a normalised layer of 8 units has length sqrt(8), ReLU only shortens
    assert normalised(observations, 1e6 * actions).abs() <= bound
    assert sum(isinstance(layer, torch.nn.LayerNorm) for layer in normalised.layers) == 2


def test_results_are_float32_under_bfloat16_products() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        actions = Actor(3, LOW, HIGH, (8,))(torch.randn(4, 3))
        values = Critic(3, 2, (8,))(torch.randn(4, 3), actions)
    assert actions.dtype == values.dtype == torch.float32


def test_values_of_many_actions_of_a_state_are_those_of_each() -> None:
    critic = Critic(3, 2, (8, 8), float32_output=True)
    observations, actions = torch.randn(5, 3), torch.randn(7, 5, 2)
    values = critic(observations.expand(7, -1, -1), actions)
    assert values.shape == (7, 5)
    assert_close(values[3], critic(observations, actions[3]))


def test_a_state_value_is_one_number_per_state() -> None:
    value = StateValue(3, (8, 8))
    observations = torch.randn(2, 5, 3)
    assert value(observations).shape == (2, 5)
    assert_close(value(observations)[1], value(observations[1]))


def test_an_output_in_float32_keeps_apart_what_bfloat16_cannot() -> None:
    """Around 300 bfloat16 knows multiples of 2 only."""
    plain, precise, value = Critic(3, 2, (8,)), Critic(3, 2, (8,), float32_output=True), StateValue(3, (8,))
    precise.load_state_dict(plain.state_dict())
    observations, actions = torch.randn(16, 3), torch.rand(16, 2)
    for network in (plain, precise, value):
        with torch.no_grad():
            network.layers[-1].bias.fill_(300.3)
    exact = plain(observations, actions)
    with torch.autocast("cpu", torch.bfloat16):
        assert (plain(observations, actions) % 2 == 0).all()
        assert_close(precise(observations, actions), exact, rtol=0.0, atol=0.05)
        assert value(observations).dtype == torch.float32
        assert not (value(observations) % 2 == 0).any()


def test_both_kinds_of_output_are_the_same_in_float32() -> None:
    plain, precise = Critic(3, 2, (8,)), Critic(3, 2, (8,), float32_output=True)
    precise.load_state_dict(plain.state_dict())
    observations, actions = torch.randn(16, 3), torch.rand(16, 2)
    assert torch.equal(plain(observations, actions), precise(observations, actions))
