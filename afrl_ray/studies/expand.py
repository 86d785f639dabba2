"""From a study and a scale to the cases that have to be run: one for each arm, robot and seed."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from afrl_ray.config import ConfigError, ExperimentSettings, LinearCurriculum, with_settings
from afrl_ray.config.study import (
    AnyStudy,
    ArmSettings,
    AttackersSettings,
    Overrides,
    StudyBudget,
    StudySettings,
)
from afrl_ray.envs.robots import resolve_environment
from afrl_ray.pipeline.identity import result_identity
from afrl_ray.studies.drawable import check_results
from afrl_ray.studies.overrides import check_settings
from afrl_ray.studies.plan import Case, Plan, named_robot

PRETRAINED = "pretrained"
"""The only arm of a study that trains nothing more."""


def expand(plan: Plan) -> list[Case]:
    """All cases, seed by seed, so that whatever is finished when time runs out is comparable.

    Raises:
        ConfigError: an arm's settings do not fit, two arms would be the same, nothing would come of a setting, a result
            could not be made, or a robot is unknown; one line for each mistake.
    """
    budget = plan.budget
    check_settings(plan)
    names = plan.robots or budget.robots or plan.scale.robots
    chosen = list(dict.fromkeys(robot_label(name) for name in names))
    seeds = range(plan.seeds or budget.seeds or plan.scale.seeds)
    pairs = list(itertools.product(seeds, chosen))
    match plan.study, budget:
        case StudySettings() as study, StudyBudget() as size:
            cases = [case for seed, robot in pairs for case in _Training(plan, study, size, robot, seed).cases()]
            check_results(plan.name, study, cases)
            return cases
        case AttackersSettings(), _:
            return [Case(PRETRAINED, robot, seed, _settings(plan, robot, seed, PRETRAINED)) for seed, robot in pairs]
    raise TypeError(f"not a study: {plan.study!r}")


def robot_label(name: str) -> str:
    """What stages, tables and folders call the robot `name`: its short name, or its id where that is not the default.

    Raises:
        ConfigError: there is no such robot.
    """
    robot = named_robot(name)
    return name if name in robot.environment_ids[1:] else robot.name


@dataclass(frozen=True)
class _Training:
    """A study of trainings, for one robot and one seed."""

    plan: Plan
    study: StudySettings
    budget: StudyBudget
    robot: str
    seed: int

    def cases(self) -> list[Case]:
        cases: dict[tuple[str, str], Case] = {}
        waiting: list[tuple[str, ArmSettings, dict[str, Any]]] = []
        grid = {**self.study.grid, **self.budget.grid}
        for name, arm in self.study.arms.items():
            for varied in _combinations(grid if arm.trained else {}):
                if arm.match_mean_q is not None:
                    waiting.append((name, arm, varied))
                cases[name, _label(name, varied)] = self._case(name, arm, varied, None)
        for name, arm, varied in waiting:
            (matched,) = (one for (other, _), one in cases.items() if (other, one.varied) == (arm.match_mean_q, varied))
            cases[name, _label(name, varied)] = self._case(name, arm, varied, matched)
        self._refuse_twins(cases.values())
        self._refuse_namesakes([label for _, label in cases])
        return list(cases.values())

    def _refuse_twins(self, cases: Iterable[Case]) -> None:
        """Arms and cells of the grid that something has made the same: what is compared would be one training."""
        known: dict[tuple[str, bool, str | None], str] = {}
        for case in cases:
            policy = json.dumps(result_identity(case.settings, case.trained) | {"evaluation": None}, sort_keys=True)
            twin = known.setdefault((policy, case.trained, case.match and case.match.arm), case.arm)
            if twin != case.arm:
                cause = f"with {', '.join(self.plan.overrides)} " if self.plan.overrides else ""
                raise ConfigError(
                    f"study {self.plan.name}: {cause}{twin} and {case.arm} are one and the same; "
                    "write arms and a grid that differ in something that has an effect"
                )

    def _refuse_namesakes(self, labels: Sequence[str]) -> None:
        for label in labels:
            if labels.count(label) > 1:
                raise ConfigError(f"study {self.plan.name}: the grid makes a second {label!r}; rename one of the arms")

    def _case(self, name: str, arm: ArmSettings, varied: dict[str, Any], match: Case | None) -> Case:
        steps, interval = self.budget.steps, self.plan.scale.policy_interval
        settings = _settings(
            self.plan,
            self.robot,
            self.seed,
            name,
            *(_preset(self.plan, preset) for preset in arm.presets),
            arm.settings,
            varied,
            last={"finetune.steps": steps},
        )
        self._check(name, arm, settings)
        reads = (*sorted(set(self.budget.read_at)), steps)
        return Case(_label(name, varied), self.robot, self.seed, settings, varied, arm.trained, reads, interval, match)

    def _check(self, name: str, arm: ArmSettings, settings: ExperimentSettings) -> None:
        """What the settings alone cannot know."""
        place, interval = f"study {self.plan.name}, arm {name}", self.plan.scale.policy_interval
        wrong = [step for step in (*self.budget.read_at, self.budget.steps) if step % interval]
        if wrong:
            raise ConfigError(
                f"{place}: {wrong[0]} steps are not a multiple of the scale's policy_interval ({interval})"
            )
        if interval % settings.finetune.evaluation_interval:
            raise ConfigError(
                f"{place}: the scale's policy_interval ({interval}) is not a multiple of finetune.evaluation_interval "
                f"({settings.finetune.evaluation_interval})"
            )
        if settings.search is not None:
            raise ConfigError(f"{place}: a study has no search; write the values in its grid")
        if arm.match_mean_q is not None and not isinstance(settings.curriculum, LinearCurriculum):
            raise ConfigError(f"{place}: match_mean_q needs curriculum.type=linear, not {settings.curriculum.type}")


def _settings(
    plan: Plan,
    label: str,
    seed: int,
    arm: str,
    *layers: Mapping[str, Any],
    last: Mapping[str, Any] | None = None,
) -> ExperimentSettings:
    """Those of the scale, the robot, the study, then `layers`, then what the command says, then `last`."""
    settings, robot, conditions = ExperimentSettings(), named_robot(label), _conditions(plan.study)
    every = [
        conditions,  # which give what follows a meaning: ε may be that of one of them alone
        plan.scale.settings,
        plan.scale.robot_settings.get(robot.name, {}),
        *(_preset(plan, preset) for preset in plan.study.presets),
        plan.study.settings,
        *layers,
        plan.overrides,
        {
            "environment.id": resolve_environment(label),
            "seed": seed,
            "name": "studies",
            "output": plan.location,
            **conditions,
            **(last or {}),
        },
    ]
    try:
        for layer in every:  # one after the other: a layer may change the type of what an earlier one has set
            settings = with_settings(settings, _for_robot(layer, robot.name)) if layer else settings
    except ConfigError as error:
        raise ConfigError(
            "\n".join(f"study {plan.name}, arm {arm}, {label}: {line}" for line in str(error).splitlines())
        ) from error
    return settings


def _conditions(study: AnyStudy) -> Overrides:
    if isinstance(study, AttackersSettings):
        return {}
    return {
        "evaluation.conditions": [
            one if isinstance(one, str) else one.model_dump(mode="json") for one in study.conditions
        ]
    }


def _for_robot(value: Any, robot: str) -> Any:
    """`value` with the robot's name in all of its texts."""
    if isinstance(value, Mapping):
        return {name: _for_robot(inner, robot) for name, inner in value.items()}
    return value.replace("{robot}", robot) if isinstance(value, str) else value


def _preset(plan: Plan, name: str) -> Overrides:
    if name not in plan.scale.presets:
        known = ", ".join(plan.scale.presets) or "none"
        raise ConfigError(f"study {plan.name}: scale {plan.scale_name} has no preset {name}; it has {known}")
    return plan.scale.presets[name]


def _combinations(grid: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _label(arm: str, varied: Mapping[str, Any]) -> str:
    values = [f"{setting.rpartition('.')[2]}={value}" for setting, value in varied.items()]
    return ", ".join([arm, *values])
