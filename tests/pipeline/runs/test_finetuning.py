from collections.abc import Callable
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from ray.exceptions import GetTimeoutError

from afrl_ray.algorithms import SACConfig
from afrl_ray.attacks import AttackBank, BankClient, BankSource, bank_actor
from afrl_ray.attacks.bank_actor import BankActor
from afrl_ray.config import ExperimentSettings, FinetuneSettings, SACSettings
from afrl_ray.config.loading import with_settings
from afrl_ray.curriculum.scheduler import CurriculumScheduler
from afrl_ray.curriculum.schedules import CurriculumState, initial_state, total_evaluations
from afrl_ray.datasets import Transitions
from afrl_ray.pipeline.runs.configuration import steps_per_iteration, steps_per_round, trial_algorithm_config
from afrl_ray.pipeline.runs.finetuning import FineTuning, offline_share
from afrl_ray.seeding import derive_seed

ROWS = 200


@pytest.fixture
def numbered_rows() -> Transitions:
    """Transitions that carry their row number as reward."""
    return Transitions(
        observations=np.zeros((ROWS, 2), np.float32),
        actions=np.zeros((ROWS, 1), np.float32),
        rewards=np.arange(ROWS, dtype=np.float32),
        next_observations=np.zeros((ROWS, 2), np.float32),
        terminations=np.zeros(ROWS, np.bool_),
        truncations=np.zeros(ROWS, np.bool_),
    )


def settings(ratio: float, seed: int = 0) -> ExperimentSettings:
    return ExperimentSettings(seed=seed, finetune=FinetuneSettings(offline_ratio=ratio))


@pytest.mark.parametrize(("ratio", "count"), [(0.0, 0), (0.1, 20), (0.333, 67), (0.5, 100), (1.0, ROWS)])
def test_the_share_has_the_right_size_and_no_row_twice(ratio: float, count: int, numbered_rows: Transitions) -> None:
    rows = offline_share(numbered_rows, settings(ratio)).rewards
    assert len(rows) == len(set(rows.tolist())) == count


def test_the_share_is_drawn_from_everywhere(numbered_rows: Transitions) -> None:
    rows = offline_share(numbered_rows, settings(0.5)).rewards
    halves = np.histogram(rows, bins=4, range=(0, ROWS))[0]
    assert halves.min() > 15
    assert not np.array_equal(rows, np.arange(len(rows)))


def test_the_seed_alone_decides_the_share(numbered_rows: Transitions) -> None:
    first = offline_share(numbered_rows, settings(0.5)).rewards
    np.testing.assert_array_equal(first, offline_share(numbered_rows, settings(0.5)).rewards)
    assert not np.array_equal(first, offline_share(numbered_rows, settings(0.5, seed=1)).rewards)


def test_everything_is_no_copy(numbered_rows: Transitions) -> None:
    assert offline_share(numbered_rows, settings(1.0)) is numbered_rows


def test_the_algorithm_is_configured_by_the_settings() -> None:
    experiment = with_settings(
        settings(0.5, seed=3),
        {"environment.max_episode_steps": 50, "finetune.algorithm.batch_size": 32, "finetune.num_envs": 4},
    )
    config = trial_algorithm_config(experiment, source=None)
    assert config.settings == experiment.finetune.algorithm
    assert config.environment_settings == experiment.environment
    assert config.replay_capacity == experiment.finetune.replay_capacity
    assert config.seed == derive_seed(3, "finetune")
    assert config.num_envs_per_env_runner == 4
    assert config.num_envs_per_env_runner * config.rollout_fragment_length == 100


def test_the_settings_choose_the_algorithm() -> None:
    choice = {"pretrain.algorithm.type": "iql", "finetune.algorithm.type": "sac", "finetune.algorithm.batch_size": 32}
    config = trial_algorithm_config(with_settings(settings(0.5), choice), source=None)
    assert isinstance(config, SACConfig)
    assert config.settings == SACSettings(batch_size=32)


def test_random_steps_are_for_a_training_from_scratch_alone() -> None:
    counts = []
    for start in ("pretrained", "scratch"):
        experiment = with_settings(settings(0.5), {"finetune.start": start, "finetune.random_steps": 700})
        counts.append(trial_algorithm_config(experiment, source=None).random_steps)
    assert counts == [0, 700]


@pytest.mark.parametrize(
    ("condition", "critic", "expected"),
    [("pgd", "current", True), ("pgd", "pretrained", False), ("adversarial", "current", False)],
)
def test_env_runners_get_the_critics_only_to_descend_on_them(condition: str, critic: str, expected: bool) -> None:
    values = {"perturbation.condition": condition, "perturbation.pgd.critic": critic}
    config = trial_algorithm_config(with_settings(settings(0.5), values), source=None)
    assert config.acting_critics is expected


@pytest.mark.parametrize("num_env_runners", [0, 1, 2])
def test_a_round_is_as_long_with_any_number_of_env_runners(num_env_runners: int) -> None:
    experiment = with_settings(settings(0.5), {"runtime.num_env_runners": num_env_runners, "finetune.num_envs": 2})
    config = trial_algorithm_config(experiment, source=None)
    assert config.num_env_runners == num_env_runners
    assert max(num_env_runners, 1) * config.num_envs_per_env_runner * config.rollout_fragment_length == 100


@pytest.mark.parametrize(
    ("interval", "steps", "per_round", "per_iteration"),
    [
        *[(5000, 100_000, 100, 1000), (1500, 15_000, 100, 500), (2500, 50_000, 100, 500), (1700, 17_000, 100, 100)],
        *[(300, 3000, 100, 300), (50, 500, 50, 50), (1234, 12_340, 2, 2), (5000, 100_000, 200, 1000)],
        *[(1000, 1500, 100, 500), (5000, 12_500, 100, 500)],  # the last interval is a shorter one
        *[(1234, 12_340, 100, 100), (5000, 20_000, 99, 99), (5000, 20_000, 96, 96)],  # no whole rounds
    ],
)
def test_evaluations_and_the_end_come_at_their_steps_wherever_whole_rounds_allow_it(
    interval: int, steps: int, per_round: int, per_iteration: int
) -> None:
    values = {
        "finetune.steps": steps,
        "finetune.evaluation_interval": interval,
        "finetune.checkpoint_interval": interval,
    }
    assert steps_per_iteration(with_settings(settings(0.5), values), per_round) == per_iteration


@pytest.mark.parametrize(
    ("interval", "steps", "num_envs", "per_round"),
    [
        *[(5000, 100_000, 1, 100), (5000, 100_000, 4, 100), (5000, 33_333, 8, 96), (5000, 100_000, 200, 200)],
        *[(100, 150, 1, 100), (1234, 12_340, 2, 100), (50, 100, 1, 50), (50, 100, 4, 48), (50, 100, 60, 60)],
    ],
)
def test_a_round_is_no_longer_than_the_time_between_evaluations(
    interval: int, steps: int, num_envs: int, per_round: int
) -> None:
    values = {"finetune.steps": steps, "finetune.num_envs": num_envs}
    intervals = {"finetune.evaluation_interval": interval, "finetune.checkpoint_interval": interval}
    assert steps_per_round(with_settings(settings(0.5), {**values, **intervals})) == per_round


# ---- the bank's actor away -------------------------------------------------------------------------------------------


class Handle:
    """A bank's actor in this process: what Ray would send is done when the answer is asked for."""

    def __init__(self, bank: AttackBank) -> None:
        self._actor = BankActor.__ray_metadata__.modified_class(bank)
        self.away = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._actor, name)
        return SimpleNamespace(remote=lambda *arguments: lambda: method(*arguments))

    def get(self, answer: Callable[[], Any], timeout: float) -> Any:
        if self.away:
            raise GetTimeoutError(f"nothing within {timeout} s")
        return answer()


@pytest.fixture
def actor(small_bank: AttackBank, monkeypatch: pytest.MonkeyPatch) -> Handle:
    handle = Handle(small_bank)
    monkeypatch.setattr(BankClient, "_find", lambda _self: handle)
    monkeypatch.setattr(bank_actor.ray, "get", handle.get)
    return handle


LINEAR = {"curriculum": {"type": "linear", "q_max": 1.0}, "finetune.steps": 500, "finetune.evaluation_interval": 100}
ADAPTIVE = {"curriculum": {"type": "adaptive", "beta": 0.5, "kappa": 0.5, "max_change": 1.0}}


class Rehearsal(FineTuning):
    """One that only evaluates: its k-th score is 10 k."""

    def __init__(self, experiment: ExperimentSettings, bank: AttackBank) -> None:
        self._settings = experiment
        client = BankClient(f"rehearsal-{id(self)}", bank, pause=0.0)
        self._source = BankSource(client, "trial", "adversarial", initial_state(experiment.curriculum))
        self.env_runner = replace(self._source)
        runner = SimpleNamespace(config=SimpleNamespace(perturbation_source=self.env_runner))
        group = SimpleNamespace(foreach_env_runner=lambda call: call(runner))
        algorithm = SimpleNamespace(env_runner_group=group)
        self._training = SimpleNamespace(curve=[], algorithm=algorithm)  # type: ignore[assignment]

    def step(self) -> dict[str, Any]:
        state = self._put_in_force()
        score = 10.0 * len(self.curve)
        average = state.average if self._settings.curriculum.type == "adaptive" else None
        row = {"normal": score, "adversarial": score, "q": state.q, "average": average}
        self.curve.append(row)
        return {
            **{f"curriculum/{name}": value for name, value in asdict(state).items()},
            "curriculum_score": self._curriculum_score(row, state.q) / 100.0,
            "total_evaluations": total_evaluations(self._settings.finetune),
        }


def qs_of(trial: Rehearsal, actor: Handle, steps: int, away: tuple[int, ...]) -> list[float]:
    """q in force at each step, as env runners see it; the actor is away around some results."""
    scheduler = CurriculumScheduler(replace(trial._source.client))
    config = {"run": {"base": trial._settings.model_dump(mode="json")}, "drawn": {}}
    tune_trial = MagicMock(trial_id="trial", config=config)
    qs = []
    for k in range(steps):
        result = trial.step()
        qs.append(trial.env_runner.snapshot().q)
        actor.away = k in away
        scheduler.on_trial_result(MagicMock(), tune_trial, result)
    return qs


@pytest.mark.parametrize("away", [(), (2,), (1, 2, 3), (0, 1, 2, 3, 4, 5)])
def test_an_outage_of_the_actor_shifts_no_step_of_a_linear_curriculum(
    away: tuple[int, ...], actor: Handle, small_bank: AttackBank
) -> None:
    trial = Rehearsal(with_settings(ExperimentSettings(), LINEAR), small_bank)
    assert total_evaluations(trial._settings.finetune) == 5
    assert qs_of(trial, actor, 6, away) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize("away", [(), (1,), (1, 2)])
def test_the_step_taken_by_the_trial_is_the_schedulers(
    away: tuple[int, ...], actor: Handle, small_bank: AttackBank
) -> None:
    """Scores 0, 0.1, 0.2 make the average 0, 0.05, 0.125, and q half of each."""
    trial = Rehearsal(with_settings(ExperimentSettings(), ADAPTIVE), small_bank)
    assert qs_of(trial, actor, 4, away) == pytest.approx([0.0, 0.0, 0.025, 0.0625])
    assert [row["average"] for row in trial.curve] == pytest.approx([0.0, 0.0, 0.05, 0.125])


@pytest.mark.parametrize("ahead", [None, CurriculumState(0.9, evaluations=9)])
def test_q_follows_from_the_curve_whatever_the_actor_knows(
    ahead: CurriculumState | None, actor: Handle, small_bank: AttackBank
) -> None:
    """A checkpoint that was gone back to, or one from an outage: the actor is told what the curve says."""
    trial = Rehearsal(with_settings(ExperimentSettings(), LINEAR), small_bank)
    qs_of(trial, actor, 3, away=(2,))
    actor.away = False
    restored = Rehearsal(trial._settings, small_bank)
    restored._training.curve[:] = trial.curve[:1]
    if ahead is not None:
        restored._source.tell(ahead)
    assert qs_of(restored, actor, 1, away=()) == pytest.approx([0.2])
    assert restored._source.known() == CurriculumState(0.4, evaluations=2)  # as the scheduler has set it since
    assert qs_of(restored, actor, 2, away=()) == pytest.approx([0.4, 0.6])
