import copy
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from afrl_ray.networks import (
    BatchedCritics,
    Critic,
    CriticGradients,
    ObservationNormalizer,
    SeparateCritics,
    make_critics,
)

OBSERVATIONS, ACTIONS = torch.randn(7, 3), torch.randn(7, 2)
SHAPES = pytest.mark.parametrize("options", [{}, {"layer_norm": True}, {"float32_output": True}], ids=str)


def pair(count: int = 5, **options: bool) -> tuple[SeparateCritics, BatchedCritics]:
    """The same critics, computed in turn and in batched products."""
    torch.manual_seed(0)
    critics = [Critic(3, 2, (8, 6), **options) for _ in range(count)]
    for critic in critics:
        for parameter in critic.parameters():
            parameter.data.normal_()  # a normalisation starts as the identity
    return SeparateCritics(critics), BatchedCritics(critics)


@SHAPES
def test_batched_critics_have_the_values_of_separate_ones(options: dict[str, bool]) -> None:
    separate, batched = pair(**options)
    assert_close(batched(OBSERVATIONS, ACTIONS), separate(OBSERVATIONS, ACTIONS))


@SHAPES
def test_batched_critics_have_the_values_of_separate_ones_in_mixed_precision(options: dict[str, bool]) -> None:
    separate, batched = pair(**options)
    with torch.autocast("cpu", torch.bfloat16):
        values = batched(OBSERVATIONS, ACTIONS)
        assert values.dtype == torch.float32
        assert_close(values, separate(OBSERVATIONS, ACTIONS), rtol=0.05, atol=0.3)


def test_values_of_many_actions_for_each_observation_keep_their_axes() -> None:
    separate, batched = pair()
    observations, actions = OBSERVATIONS.expand(4, -1, -1), torch.randn(4, 7, 2)
    values = batched(observations, actions)
    assert values.shape == (5, 4, 7)
    assert_close(values, separate(observations, actions))


def test_some_critics_can_be_asked_alone() -> None:
    separate, batched = pair()
    wanted = separate(OBSERVATIONS, ACTIONS)[[3, 1, 3]]
    assert_close(separate(OBSERVATIONS, ACTIONS, [3, 1, 3]), wanted)
    assert_close(batched(OBSERVATIONS, ACTIONS, [3, 1, 3]), wanted)


@SHAPES
def test_a_step_moves_batched_critics_where_it_moves_separate_ones(options: dict[str, bool]) -> None:
    critics = pair(**options)
    for ensemble in critics:
        optimizer = torch.optim.SGD(ensemble.parameters(), lr=0.1)
        ensemble(OBSERVATIONS, ACTIONS).square().mean(dim=1).sum().backward()
        optimizer.step()
    separate, batched = (ensemble.state_dict() for ensemble in critics)
    assert separate.keys() == batched.keys()
    for name, tensor in separate.items():
        assert_close(batched[name], tensor, msg=name)


def test_actions_get_the_gradient_of_separate_critics() -> None:
    def slope(ensemble: torch.nn.Module) -> Tensor:
        actions = ACTIONS.clone().requires_grad_()
        ensemble(OBSERVATIONS, actions).amin(dim=0).sum().backward()
        assert actions.grad is not None
        return actions.grad

    separate, batched = pair()
    assert_close(slope(batched), slope(separate))


def test_checkpoints_do_not_tell_batched_critics_from_separate_ones() -> None:
    separate, batched = pair()
    assert list(batched.state_dict()) == list(separate.state_dict())
    other = BatchedCritics([Critic(3, 2, (8, 6)) for _ in range(5)])
    other.load_state_dict(separate.state_dict())
    assert torch.equal(other(OBSERVATIONS, ACTIONS), batched(OBSERVATIONS, ACTIONS))
    separate[4].load_state_dict(other[4].state_dict())
    assert torch.equal(separate[4].layers[0].weight, batched.state_dict()["4.layers.0.weight"])


def test_tensors_that_do_not_fit_are_named() -> None:
    separate, batched = pair()
    tensors = separate.state_dict()
    del tensors["1.layers.2.bias"]
    with pytest.raises(RuntimeError, match=r"Missing key.*\"1\.layers\.2\.bias\""):
        batched.load_state_dict(tensors)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*\"4\.layers\.0\.weight\""):
        pair(4)[1].load_state_dict(separate.state_dict())
    tensors = {**separate.state_dict(), "2.layers.0.bias": torch.zeros(9)}
    with pytest.raises(RuntimeError, match=r"2\.layers\.0\.bias has shape \(9,\), not \(8,\)"):
        batched.load_state_dict(tensors)


def test_one_critic_follows_the_others_parameters() -> None:
    _, batched = pair()
    critic = batched[2]
    gradient = CriticGradients(ObservationNormalizer(3), critic).at(OBSERVATIONS.numpy())
    before = gradient(ACTIONS)
    with torch.no_grad():
        for parameter in batched.parameters():
            parameter.mul_(2.0)
    assert_close(critic(OBSERVATIONS, ACTIONS), batched(OBSERVATIONS, ACTIONS)[2])
    assert not torch.equal(gradient(ACTIONS), before)


def test_copies_share_nothing() -> None:
    _, batched = pair()
    target = copy.deepcopy(batched).requires_grad_(False)
    before = target(OBSERVATIONS, ACTIONS)
    with torch.no_grad():
        for parameter in batched.parameters():
            parameter.zero_()
    assert torch.equal(target(OBSERVATIONS, ACTIONS), before)


def test_two_critics_are_computed_in_turn_and_more_of_them_at_once() -> None:
    make = partial(Critic, 3, 2, (8,))
    assert isinstance(make_critics(2, make), SeparateCritics)
    assert isinstance(make_critics(3, make), BatchedCritics)


def test_initial_weights_do_not_depend_on_how_critics_are_computed() -> None:
    torch.manual_seed(3)
    first = make_critics(2, partial(Critic, 3, 2, (8,))).state_dict()
    torch.manual_seed(3)
    many = make_critics(3, partial(Critic, 3, 2, (8,))).state_dict()
    assert all(torch.equal(many[name], tensor) for name, tensor in first.items())
