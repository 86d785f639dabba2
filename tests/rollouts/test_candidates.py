import math
from collections.abc import Sequence

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

from afrl_ray.config import EnvironmentSettings
from afrl_ray.rollouts import Candidate, CandidateEpisodes, play_candidates


class Paid(gymnasium.Env[np.ndarray, np.ndarray]):
    """Pays the executed action at each of 100 steps, but `seed` less at step 50."""

    observation_space = Box(-1, 1, (1,), np.float32)
    action_space = Box(-10, 10, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None):  # type: ignore[no-untyped-def]
        del options
        self.count, self.drop = 0, seed or 0
        return np.zeros(1, np.float32), {}

    def step(self, action):  # type: ignore[no-untyped-def]
        self.count += 1
        reward = float(action[0]) - (self.drop if self.count == 50 else 0)
        return np.zeros(1, np.float32), reward, False, False, {}


class One:
    """Asks for 1, so that a step pays 1 + δ."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        return np.ones((len(observations), 1), np.float32)


@pytest.fixture(autouse=True)
def _register() -> None:
    if "AfrlPaid-v0" not in gymnasium.registry:
        gymnasium.register("AfrlPaid-v0", entry_point=Paid)


def play(candidates: Sequence[Candidate], max_parallel: int = 64) -> list[CandidateEpisodes]:
    settings = EnvironmentSettings(id="AfrlPaid-v0", backend="gymnasium", max_episode_steps=100)
    return play_candidates(One(), settings, candidates, max_parallel)


def candidate(  # a step pays `pay`; seeds are what is lost at step 50
    pay: float, seeds: Sequence[int] = (0,), horizon: float = 1.0, limit: float = math.inf, loss: float = 0.0
) -> Candidate:
    return Candidate(np.array([pay - 1], np.float32), np.array(seeds), horizon, limit, loss)


def test_whole_episodes() -> None:
    [result] = play([candidate(1.0, [0, 80])])
    assert list(result.returns) == [100.0, 20.0]
    assert list(result.lengths) == [100, 100]
    assert not result.stopped
    assert result.loss == 29.0  # from 49 before step 50 to 20 at the end; the other one ends at its highest


def test_beyond_the_horizon_the_latest_rate_goes_on() -> None:
    # the horizon is step 55, the window its last 10: the loss of 5 at step 50 lies within and halves the rate of 1
    [result] = play([candidate(1.0, [5], horizon=0.55)])
    assert list(result.lengths) == [55]
    assert result.returns[0] == pytest.approx(50.0 + 0.5 * 45)


def test_stopped_at_the_first_look_above_the_limit() -> None:
    [over, on] = play([candidate(1.0, [0, 0], limit=59.0), candidate(1.0, [0, 0], limit=200.0)])
    assert over.stopped
    assert list(over.lengths) == [30, 30]  # looked at every 10 steps: 2 · 30 > 59
    assert over.loss == 0.0
    assert not on.stopped
    assert list(on.returns) == [100.0, 100.0]


def test_what_a_running_episode_may_still_lose_is_allowed_for() -> None:
    [result] = play([candidate(1.0, [0], limit=29.0, loss=20.0)])
    assert result.stopped
    assert list(result.lengths) == [50]
    [result] = play([candidate(1.0, [80], limit=29.0, loss=80.0)])
    assert not result.stopped
    assert result.returns[0] == 20.0


def test_company_does_not_matter() -> None:
    candidates = [
        candidate(1.0 + 0.1 * index, [index, 7, 40 - index], 0.3 + 0.05 * index, limit=150.0, loss=5.0)
        for index in range(9)
    ]
    alone = [play([one])[0] for one in candidates]
    assert {one.stopped for one in alone} == {True, False}
    for max_parallel in (1, 4, 7, 64):
        for expected, result in zip(alone, play(candidates, max_parallel), strict=True):
            np.testing.assert_array_equal(result.returns, expected.returns)
            np.testing.assert_array_equal(result.lengths, expected.lengths)
            assert (result.stopped, result.loss) == (expected.stopped, expected.loss)


def test_nothing_and_mistakes() -> None:
    assert play([]) == []
    with pytest.raises(ValueError, match="horizon"):
        play([candidate(1.0, horizon=0.0)])
