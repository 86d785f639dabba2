from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import ArrayLike

from afrl_ray.config import EnvironmentSettings, PGDSettings
from afrl_ray.envs import find_robot
from afrl_ray.evaluation.conditions import CONDITIONS, EvaluationPlan
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.evaluation.statistics import summarise
from afrl_ray.networks import Critic, CriticGradients, ObservationNormalizer
from afrl_ray.perturbations import Body, Fault, Multiplicative, StepwisePGD
from afrl_ray.perturbations.kinds import Bias, Saturation
from afrl_ray.rollouts import Episodes, LocalRollouts

FAULT = Multiplicative(0.3, Body(-np.ones(3, np.float32), np.ones(3, np.float32), np.ones(11, np.float32)))
BANK = np.array([[0.3, -0.3, 0.3]], dtype=np.float32)
PLAN = EvaluationPlan(run_seed=7, purpose="test", episodes=3, fault=FAULT)
EPISODES = [PLAN.under(condition, bank=BANK) for condition in CONDITIONS]


@dataclass
class RecordingRunner:
    """The return of an episode is its seed plus 1,000 Σδ, so that every row can be recognised."""

    calls: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    faults: list[Fault | None] = field(default_factory=list)

    def run(self, seeds: ArrayLike, parameters: ArrayLike, fault: Fault | None = None) -> Episodes:
        self.faults.append(fault)
        seeds, parameters = np.asarray(seeds), np.asarray(parameters)
        self.calls.append((seeds, parameters))
        return Episodes(seeds + 1000.0 * parameters.sum(axis=1, dtype=np.float64), seeds % 1000)


def test_rows_belong_to_their_episodes() -> None:
    rows = evaluate(RecordingRunner(), EPISODES, policy="offline", robot=None)
    assert list(rows["condition"]) == [condition for condition in CONDITIONS for _ in range(3)]
    assert list(rows["episode"]) == [0, 1, 2] * 3
    assert set(rows["policy"]) == {"offline"}
    assert set(rows["seed"]) == {7}
    assert list(rows["episode_seed"]) == list(PLAN.under("normal").seeds) * 3
    for row in rows.to_dict("records"):
        assert row["return"] == pytest.approx(row["episode_seed"] + 1000 * sum(row["delta"]))
        assert row["length"] == row["episode_seed"] % 1000
        assert len(row["delta"]) == 3
    assert list(rows["perturbed"]) == [False] * 3 + [True] * 6


def test_conditions_under_equal_faults_are_one_batch_too() -> None:
    runner = RecordingRunner()
    again = Multiplicative(FAULT.magnitude, Body.of(FAULT.body))
    evaluate(runner, [PLAN.under("normal"), PLAN.under("random", fault=again)], policy="offline", robot=None)
    assert runner.faults == [FAULT]
    other = Multiplicative(0.2, FAULT.body)
    evaluate(runner, [PLAN.under("normal"), PLAN.under("random", fault=other)], policy="offline", robot=None)
    assert runner.faults == [FAULT, FAULT, other]


def test_all_conditions_are_one_batch_taken_in_turn() -> None:
    runner = RecordingRunner()
    evaluate(runner, EPISODES, policy="offline", robot=None)
    ((seeds, parameters),) = runner.calls
    assert seeds.shape == (9,)
    assert parameters.shape == (9, 3)
    np.testing.assert_array_equal(parameters[::3], np.zeros((3, 3)))
    np.testing.assert_array_equal(parameters[2::3], np.repeat(BANK, 3, axis=0))


def test_conditions_under_other_faults_are_rows_like_the_others() -> None:
    saturation = Saturation(0.5, FAULT.body)
    bias = Bias(0.2, FAULT.body)
    others = [
        PLAN.under("random", fault=saturation, name="saturated"),
        PLAN.under("normal", name="again"),
        PLAN.under("random", fault=bias, name="biased"),
        PLAN.under("normal", fault=saturation, name="healthy"),
    ]
    runner = RecordingRunner()
    rows = evaluate(runner, [*EPISODES, *others], policy="p", robot=find_robot("hopper"))
    alone = evaluate(RecordingRunner(), EPISODES, policy="p", robot=find_robot("hopper"))
    assert rows.iloc[:9].equals(alone)
    assert list(rows["condition"].unique()) == [*CONDITIONS, "saturated", "again", "biased", "healthy"]
    for condition in others:
        own = rows[rows["condition"] == condition.condition]
        np.testing.assert_allclose(np.stack(own["delta"]), condition.parameters)
        np.testing.assert_array_equal(own["episode_seed"], condition.seeds)
        np.testing.assert_allclose(own["return"], condition.seeds + 1000.0 * condition.parameters.sum(axis=1))
    assert runner.faults == [FAULT, saturation, bias]  # one batch for each
    perturbed = rows.groupby("condition")["perturbed"].all()
    assert perturbed[["saturated", "biased"]].all()
    assert not perturbed[["again", "healthy"]].any()


def test_pgd_episodes_are_perturbed_and_have_no_delta_of_their_own() -> None:
    critic = CriticGradients(ObservationNormalizer(11), Critic(11, 3, (4,)))
    pgd = PLAN.under("pgd", fault=StepwisePGD(0.3, FAULT.body, PGDSettings(), critic))
    rows = evaluate(RecordingRunner(), [EPISODES[0], pgd], policy="p", robot=None)
    assert list(rows["perturbed"]) == [False] * 3 + [True] * 3
    assert np.isnan(np.stack(rows["delta"])[3:]).all()


def test_normalised_score_by_hand() -> None:
    class ExpertRunner:
        def run(self, seeds: ArrayLike, parameters: ArrayLike, fault: Fault | None = None) -> Episodes:
            del parameters, fault
            return Episodes(np.array([-20.272305, 3234.3, (3234.3 - 20.272305) / 2]), np.ones(len(np.asarray(seeds))))

    rows = evaluate(ExpertRunner(), [PLAN.under("normal")], policy="p", robot=find_robot("hopper"))
    np.testing.assert_allclose(rows["normalised_score"], [0.0, 100.0, 50.0])


def test_unknown_robots_have_no_normalised_score_and_are_summarised_by_return() -> None:
    rows = evaluate(RecordingRunner(), EPISODES, policy="p", robot=find_robot("InvertedPendulum-v4"))
    assert rows["normalised_score"].isna().all()
    assert summarise(rows)["p"]["normal"]["mean"] == pytest.approx(PLAN.under("normal").seeds.mean())


def test_names_must_differ() -> None:
    with pytest.raises(ValueError, match="different names"):
        evaluate(RecordingRunner(), [EPISODES[0], EPISODES[0]], policy="p", robot=None)
    with pytest.raises(ValueError, match="no conditions"):
        evaluate(RecordingRunner(), [], policy="p", robot=None)


@pytest.mark.slow
def test_a_real_runner_gives_the_same_scores_twice() -> None:
    class StandingStill:
        def act(self, observations: np.ndarray) -> np.ndarray:
            return np.full((len(observations), 3), 0.1, dtype=np.float32)

    runner = LocalRollouts(StandingStill(), EnvironmentSettings(id="hopper"))
    first, second = (evaluate(runner, EPISODES, policy="still", robot=find_robot("hopper")) for _ in range(2))
    assert first.equals(second)
    assert (first["length"] > 1).all()
    assert first["normalised_score"].between(-5, 10).all()
