"""Critic updates per second with ten critics in one module ("ours"), with ten in turn, and with two.

An update is a target from the target critics, the loss of all critics, its gradients and a step of Adam, for Hopper's
sizes, 256 x 256 units and batches of 256, in float32 on one thread; with `--mixed` under bfloat16 autocast.
"""

import argparse
import copy

import torch

from afrl_ray.losses import td3
from afrl_ray.networks import BatchedCritics, Critic, Critics, SeparateCritics, limit_threads
from side_by_side import Contestant, argument_parser, measure, rate, report

UPDATES = 50


def updates(critics: Critics, mixed: bool) -> Contestant:
    observations, actions, rewards = torch.randn(256, 11), torch.rand(256, 3) * 2 - 1, torch.randn(256)
    targets = copy.deepcopy(critics).requires_grad_(False)
    optimizer = torch.optim.Adam(critics.parameters(), lr=3e-4, fused=True)

    def update() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            next_q_values = targets(observations, actions)
            wanted = td3.clipped_double_q_target(rewards, torch.zeros(256), next_q_values, 0.99)
            loss = td3.critic_loss(critics(observations, actions), wanted).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def work() -> int:
        for _ in range(UPDATES):
            update()
        return UPDATES

    return lambda: rate(work)


def main(arguments: argparse.Namespace) -> None:
    limit_threads(1)
    ten = [Critic(11, 3, (256, 256)) for _ in range(10)]
    ensembles = {"ours": BatchedCritics(ten), "ten in turn": SeparateCritics(ten), "two": SeparateCritics(ten[:2])}
    contestants = {name: updates(copy.deepcopy(critics), arguments.mixed) for name, critics in ensembles.items()}
    rates = measure(contestants, arguments.repeats)
    report("critics", rates, arguments, unit="critic updates/s", threads=dict.fromkeys(contestants, 1))


if __name__ == "__main__":
    parser = argument_parser(__doc__, repeats=5)
    parser.add_argument("--mixed", action="store_true", help="under bfloat16 autocast")
    main(parser.parse_args())
