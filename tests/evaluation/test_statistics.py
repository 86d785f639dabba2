import math

import pandas as pd
import pytest

from afrl_ray.evaluation.statistics import estimate, mixture_score, score_column, summarise


def rows(policy: str, condition: str, scores: list[float], *, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "policy": policy,
            "condition": condition,
            "seed": seed,
            "episode": range(len(scores)),
            "return": [10 * score for score in scores],
            "normalised_score": scores,
        }
    )


def test_estimate_by_hand() -> None:
    # Deviations −3, −1, 1, 3: variance 20 / 3, so se = √(20 / 3 / 4).
    assert estimate([2.0, 4.0, 6.0, 8.0]) == {"mean": 5.0, "se": pytest.approx(math.sqrt(5 / 3)), "n": 4}


def test_a_single_episode_has_no_standard_error() -> None:
    result = estimate([3.0])
    assert result["mean"] == 3.0
    assert math.isnan(result["se"])


def test_no_episodes_are_refused() -> None:
    with pytest.raises(ValueError, match="no episodes"):
        estimate([])


def test_summary_pools_the_runs() -> None:
    scores = pd.concat([rows("p", "normal", [2.0, 4.0], seed=0), rows("p", "normal", [6.0, 8.0], seed=1)])
    assert summarise(scores)["p"]["normal"] == estimate([2.0, 4.0, 6.0, 8.0])


def test_mean_averages_each_episode_over_the_conditions_first() -> None:
    scores = pd.concat(
        [rows("p", "normal", [90.0, 110.0]), rows("p", "random", [60.0, 40.0]), rows("p", "adversarial", [0.0, 30.0])]
    )
    assert summarise(scores)["p"]["mean"] == estimate([50.0, 60.0])


def test_other_conditions_do_not_enter_the_mean() -> None:
    scores = pd.concat([rows("p", "normal", [100.0, 100.0]), rows("p", "adaptive", [0.0, 10.0])])
    summary = summarise(scores)["p"]
    assert summary["adaptive"]["mean"] == 5.0
    assert summary["mean"]["mean"] == 100.0


def test_a_policy_without_all_conditions_has_no_mean() -> None:
    scores = pd.concat([rows("p", "normal", [1.0]), rows("p", "random", [2.0]), rows("q", "normal", [3.0])])
    summary = summarise(scores)
    assert "mean" in summary["p"]
    assert "mean" not in summary["q"]
    assert list(summary) == ["p", "q"]


def test_an_episode_never_counts_twice() -> None:
    scores = pd.concat([rows("p", "normal", [1.0, 2.0]), rows("p", "normal", [1.0])])
    with pytest.raises(ValueError, match="episode 0 of seed 0 twice"):
        summarise(scores)


def test_returns_are_used_where_no_score_is_known() -> None:
    scores = rows("p", "normal", [1.0, 3.0])
    assert score_column(scores) == "normalised_score"
    unknown = scores.assign(normalised_score=math.nan)
    assert score_column(unknown) == "return"
    assert summarise(unknown)["p"]["normal"]["mean"] == 20.0


def test_mixture_score_by_hand() -> None:
    assert mixture_score({"normal": 100.0, "adversarial": 40.0}, "adversarial", 0.25) == 85.0


def test_a_policy_that_diverged_leaves_the_others_their_scores() -> None:
    lost = pd.concat([rows("lost", "normal", [1.0, math.nan]), rows("lost", "random", [1.0, 1.0])])
    scores = pd.concat([rows("p", "normal", [1.0, 3.0]), rows("p", "random", [1.0, 3.0]), lost])
    assert score_column(scores) == "normalised_score"
    summary = summarise(scores)
    assert summary["p"]["mean"]["mean"] == 2.0
    assert math.isnan(summary["lost"]["normal"]["mean"])
    assert math.isnan(summary["lost"]["mean"]["mean"])
