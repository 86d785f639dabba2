"""Studies: experiments that differ in named ways, and the tables and figures that are made of them."""

import itertools
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from afrl_ray.config.base import Name, Settings
from afrl_ray.config.evaluation import EvaluatedCondition
from afrl_ray.config.introspection import is_inside, overlap, single_values
from afrl_ray.config.perturbation import Condition

Overrides = dict[str, Any]
"""Dotted settings of an experiment and their values; {robot} in a text stands for the robot's name."""


def _each_once(grid: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    for setting, values in grid.items():
        if not values:
            raise ValueError(f"{setting} has no values; write one or more, or leave it out")
        twice = [value for index, value in enumerate(values) if value in values[:index]]
        if twice:
            raise ValueError(f"{setting} has {twice[0]!r} twice")
    for setting, other in itertools.combinations(grid, 2):
        if overlap(setting, other):
            raise ValueError(f"{setting} and {other} are about the same setting; write one of them")
    return grid


Grid = Annotated[dict[str, tuple[Any, ...]], AfterValidator(_each_once)]
"""Dotted setting -> values."""


class ArmSettings(Settings):
    """One of the methods that a study compares."""

    settings: Overrides = Field(default_factory=dict)
    """What it changes in the experiment."""
    presets: tuple[str, ...] = ()
    """Names of the scale's presets, which go before `settings`."""
    trained: bool = True
    """false: the pretrained policy as it is, without fine-tuning; the grid does not multiply it."""
    match_mean_q: str | None = None
    """For a linear curriculum: the arm whose mean q over the training this one gets, robot by robot and seed by seed,
    as near as a q_max of at most 1 can bring it."""


class ScoreTable(Settings):
    """Arms × conditions: mean ± standard error, and interquartile means."""

    type: Literal["scores"] = "scores"
    baseline: str | None = None
    """Arm that the others are compared with by the probability of improvement."""


class AgainstData(Settings):
    """Scores without faults against the average episode of the data."""

    type: Literal["against_data"] = "against_data"


class LearningCurves(Settings):
    """Validation scores during the training, a panel for each condition."""

    type: Literal["curves"] = "curves"


class QCurves(Settings):
    """q during the training."""

    type: Literal["q"] = "q"
    panels: str | None = None
    """A setting of the grid that the panels differ in, one value each; the lines then differ in the others."""


class MeanQTable(Settings):
    """q_max and mean q of every training, and whether an arm with `match_mean_q` has the mean that it should."""

    type: Literal["mean_q"] = "mean_q"


class ConvergenceTable(Settings):
    """Environment steps until 90 % of the final score is reached."""

    type: Literal["convergence"] = "convergence"
    condition: Condition = "adversarial"
    reference: str
    """Arm whose final score is the common level that all arms are also measured by."""


class ScoresAgainst(Settings):
    """Final scores against a setting of the grid, a line for each condition."""

    type: Literal["scores_against"] = "scores_against"
    setting: str


class ScoreGrid(Settings):
    """Final scores against one setting, a line for each value of another, and their mean as a heat map."""

    type: Literal["grid"] = "grid"
    x: str
    lines: str


class Matrix(Settings):
    """Arms × conditions as a heat map."""

    type: Literal["matrix"] = "matrix"


ResultSettings = Annotated[
    ScoreTable
    | AgainstData
    | LearningCurves
    | QCurves
    | MeanQTable
    | ConvergenceTable
    | ScoresAgainst
    | ScoreGrid
    | Matrix,
    Field(discriminator="type"),
]


class StudyBudget(Settings):
    """How large a study is at one scale."""

    steps: PositiveInt
    """Environment steps of every fine-tuning."""
    read_at: tuple[PositiveInt, ...] = ()
    """Steps before the end at which the policies are measured too."""
    seeds: PositiveInt | None = None
    """Independent runs of everything; the scale's when not given."""
    robots: tuple[str, ...] | None = None
    """The scale's when not given."""
    grid: Grid = Field(default_factory=dict)
    """Other values for settings of the study's grid."""

    @model_validator(mode="after")
    def _read_before_the_end(self) -> "StudyBudget":
        late = [step for step in self.read_at if step >= self.steps]
        if late:
            raise ValueError(f"read_at {late[0]} is not before the end, which is read anyway: steps is {self.steps}")
        return self


class StudySettings(Settings):
    """A study of trainings: nothing but data."""

    type: Literal["training"] = "training"
    title: str
    source: str = ""
    """The table or figure of a paper that it regenerates."""
    settings: Overrides = Field(default_factory=dict)
    """What all arms change in the experiment."""
    presets: tuple[str, ...] = ()
    """The scale's presets for all arms."""
    arms: dict[Name, ArmSettings] = Field(min_length=1)
    grid: Grid = Field(default_factory=dict)
    """Every trained arm is run with every combination."""
    conditions: tuple[EvaluatedCondition, ...] = ("normal", "random", "adversarial")
    """What the final policies are measured under: evaluation.conditions of every arm."""
    results: tuple[ResultSettings, ...]
    scales: dict[str, StudyBudget] = Field(min_length=1)

    @property
    def condition_names(self) -> tuple[str, ...]:
        """What tables call the conditions."""
        return tuple(one if isinstance(one, str) else one.name for one in self.conditions)

    @property
    def plain_conditions(self) -> tuple[str, ...]:
        """Those under the experiment's own fault, which validation may have measured too."""
        return tuple(one for one in self.conditions if isinstance(one, str))

    @model_validator(mode="after")
    def _arms_leave_the_grid_alone(self) -> "StudySettings":
        for name, arm in self.arms.items():
            for setting in self.grid if arm.trained else ():
                if any(is_inside(own, setting) for own, _ in single_values(arm.settings)):
                    raise ValueError(f"arms.{name} sets {setting}, which the grid gives its values; leave it out there")
        return self

    @model_validator(mode="after")
    def _means_can_be_matched(self) -> "StudySettings":
        for name, arm in self.arms.items():
            other = self.arms.get(arm.match_mean_q) if arm.match_mean_q is not None else None
            if other is not None and not (arm.trained and other.trained and other.match_mean_q is None):
                raise ValueError(
                    f"arms.{name}.match_mean_q is {arm.match_mean_q!r}; "
                    "a trained arm is matched to another trained arm, which has no match_mean_q itself"
                )
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> "StudySettings":
        named = [(f"arms.{arm}.match_mean_q", self.arms[arm].match_mean_q) for arm in self.arms]
        for index, result in enumerate(self.results):
            named += [(f"results[{index}].{name}", getattr(result, name, None)) for name in ("baseline", "reference")]
        for where, arm in named:
            if arm is not None and arm not in self.arms:
                raise ValueError(f"{where} is {arm!r}; write one of the arms {', '.join(self.arms)}")
        for index, result in enumerate(self.results):
            for name in ("panels", "setting", "x", "lines"):
                setting = getattr(result, name, None)
                if setting is not None and setting not in self.grid:
                    varied = ", ".join(self.grid) or "nothing"
                    raise ValueError(f"results[{index}].{name} is {setting!r}, but the grid has {varied}")
        for scale, budget in self.scales.items():
            extra = budget.grid.keys() - self.grid.keys()
            if extra:
                raise ValueError(f"scales.{scale}.grid has {', '.join(sorted(extra))}, which the study's grid has not")
        return self


class AttackersBudget(Settings):
    """How large a comparison of attackers is at one scale."""

    step_budget: PositiveInt
    """Environment steps of one search."""
    searches: PositiveInt
    """Independent searches of each optimizer against each policy."""
    plain_episodes: PositiveInt = 3
    """Episodes of every candidate of a search without racing: few, so that the budget is enough for many generations
    (ours)."""
    measuring_episodes: PositiveInt = 50
    """Episodes, with seeds of no search, that what a search has found is measured on."""
    seeds: PositiveInt | None = None
    """Independently pretrained policies that are attacked; the scale's when not given."""
    robots: tuple[str, ...] | None = None
    """The scale's when not given."""


class AttackersSettings(Settings):
    """A study of attack searches with one budget of environment steps, against pretrained policies."""

    type: Literal["attackers"]
    title: str
    source: str = ""
    """The table or figure of a paper that it regenerates."""
    settings: Overrides = Field(default_factory=dict)
    """What it changes in the experiment."""
    presets: tuple[str, ...] = ()
    """Names of the scale's presets, which go before `settings`."""
    optimizers: tuple[str, ...] = Field(min_length=1)
    """Names that attack.optimizer takes, and `DE without racing`."""
    scales: dict[str, AttackersBudget] = Field(min_length=1)


AnyStudy = StudySettings | AttackersSettings


class ScaleSettings(Settings):
    """How large all studies are, and what small budgets need."""

    description: str
    seeds: PositiveInt
    robots: tuple[str, ...] = Field(min_length=1)
    policy_interval: PositiveInt
    """Environment steps between two copies of the policy that are kept for measuring; all steps of studies are
    multiples of it."""
    settings: Overrides = Field(default_factory=dict)
    """Where its experiments differ from the defaults."""
    robot_settings: dict[str, Overrides] = Field(default_factory=dict)
    """The same for single robots."""
    presets: dict[str, Overrides] = Field(default_factory=dict)
    """Named sets of settings that studies and arms refer to."""
    notes: dict[str, str] = Field(default_factory=dict)
    """Preset -> what a reader has to know about it, in the report of every study with it."""

    @model_validator(mode="after")
    def _notes_are_about_presets(self) -> "ScaleSettings":
        unknown = [name for name in self.notes if name not in self.presets]
        if unknown:
            raise ValueError(f"notes.{unknown[0]} is about no preset; there are {', '.join(self.presets) or 'none'}")
        return self
