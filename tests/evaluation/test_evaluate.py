from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import ArrayLike

from afrl_ray.config import EnvironmentSettings
from afrl_ray.envs import find_robot
from afrl_ray.evaluation.conditions import CONDITIONS, EvaluationPlan
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.evaluation.statistics import summarise
from afrl_ray.rollouts import Episodes, LocalRollouts

BANK = np.array([[0.3, -0.3, 0.3]], dtype=np.float32)
PLAN = EvaluationPlan(run_seed=7, purpose="test", episodes=3, action_size=3, epsilon=0.3)
EPISODES = [PLAN.under(condition, bank=BANK) for condition in CONDITIONS]


@dataclass
class RecordingRunner:
    """The return of an episode is its seed plus 1,000 Σδ, so that every row can be recognised."""

    calls: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def run(self, seeds: ArrayLike, deltas: ArrayLike) -> Episodes:
        seeds, deltas = np.asarray(seeds), np.asarray(deltas)
        self.calls.append((seeds, deltas))
        return Episodes(seeds + 1000.0 * deltas.sum(axis=1, dtype=np.float64), seeds % 1000)


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


def test_all_conditions_are_one_batch_taken_in_turn() -> None:
    runner = RecordingRunner()
    evaluate(runner, EPISODES, policy="offline", robot=None)
    ((seeds, deltas),) = runner.calls
    assert seeds.shape == (9,)
    assert deltas.shape == (9, 3)
    np.testing.assert_array_equal(deltas[::3], np.zeros((3, 3)))
    np.testing.assert_array_equal(deltas[2::3], np.repeat(BANK, 3, axis=0))


def test_normalised_score_by_hand() -> None:
    class ExpertRunner:
        def run(self, seeds: ArrayLike, deltas: ArrayLike) -> Episodes:
            del deltas
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
