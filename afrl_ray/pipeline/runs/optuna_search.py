"""Optuna's search, gone on with from the runs of earlier commands."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution
from ray.tune.search.optuna import OptunaSearch

from afrl_ray.config import ExperimentSettings
from afrl_ray.config.search import Choice, LogUniform, Uniform
from afrl_ray.seeding import derive_seed


class ResumedOptuna(OptunaSearch):  # type: ignore[misc]
    """Tree-structured Parzen estimators (Bergstra et al. 2011) that know what earlier trials were worth.

    Which values come next depends on which trials end first, so that two searches of one seed differ.
    """

    def __init__(
        self,
        settings: ExperimentSettings,
        known: Sequence[tuple[Mapping[str, Any], float | None]],
        begin: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        """`known` are the values and scores of earlier trials, a score of None where one is to go on.

        `begin` makes the config of a trial of the suggested values; those of trials that go on are suggested first.
        """
        search = settings.search
        assert search is not None
        self._dimensions, self._begin = search.space, begin
        super().__init__(
            {name: _distribution(dimension) for name, dimension in search.space.items()},
            metric="score_mean",
            mode="max",
            points_to_evaluate=[self._encoded(drawn) for drawn, score in known if score is None],
            seed=derive_seed(settings.seed, "search") % 2**32,
        )
        for drawn, score in known:
            if score is not None:
                self.add_evaluated_point(self._encoded(drawn), score)

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """The config of the next trial."""
        drawn = {name: self._decoded(name, value) for name, value in super().suggest(trial_id).items()}
        return self._begin(drawn)

    def _encoded(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._place(name, value) for name, value in drawn.items()}

    def _place(self, name: str, value: Any) -> Any:
        dimension = self._dimensions[name]
        return dimension.choice.index(value) if isinstance(dimension, Choice) else value

    def _decoded(self, name: str, value: Any) -> Any:
        dimension = self._dimensions[name]
        return dimension.choice[value] if isinstance(dimension, Choice) else value


def _distribution(dimension: Choice | Uniform | LogUniform) -> Any:
    """Values of a list go by their place in it: Optuna knows no mappings."""
    match dimension:
        case Uniform(uniform=(low, high)):
            return FloatDistribution(low, high)
        case LogUniform(loguniform=(low, high)):
            return FloatDistribution(low, high, log=True)
        case Choice(choice=values):
            return CategoricalDistribution(list(range(len(values))))
