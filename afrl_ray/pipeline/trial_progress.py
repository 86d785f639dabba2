"""Progress of all trials together, from their results."""
# ruff: noqa: ARG002 - Tune calls every hook with all of its keywords

from typing import Any, ClassVar

from ray.tune import Callback
from ray.tune.experiment import Trial

from afrl_ray.pipeline.progress import Reporter


class TrialProgress(Callback):
    """Shows how many environment steps are done over all trials, and each running trial's last score.

    Tune pickles its callbacks into the experiment, so the terminal is attached to the class, not to the object.
    """

    _report: ClassVar[Reporter | None] = None

    @classmethod
    def attach(cls, report: Reporter) -> None:
        cls._report = report

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if self._report is None:
            return
        done = sum(int((other.last_result or {}).get("env_steps", 0)) for other in trials if other is not trial)
        shown = f"score {result['score_mean']:.1f}, best {result['best_score']:.1f}, q {result['q']:.2f}"
        self._report.update(done + int(result["env_steps"]), f"{trial.trial_id}: {shown}")
