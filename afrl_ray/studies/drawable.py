"""Whether a study's results can be made of what its cases will leave, found before anything runs."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from afrl_ray.config import ConfigError
from afrl_ray.config import study as kinds
from afrl_ray.evaluation.conditions import CONDITIONS
from afrl_ray.studies.plan import Case

_OF_TRAININGS = (kinds.LearningCurves, kinds.QCurves, kinds.MeanQTable, kinds.ConvergenceTable)
_OVER_A_GRID = (kinds.ScoresAgainst, kinds.ScoreGrid)


def check_results(name: str, study: kinds.StudySettings, cases: Sequence[Case]) -> None:
    """`cases` are those of the study `name`.

    Raises:
        ConfigError: a result cannot be made of them, or two would have the same files; one line for each mistake.
    """
    one_run = [case for case in cases if (case.robot, case.seed) == (cases[0].robot, cases[0].seed)]
    mistakes = [
        f"study {name}, results[{index}], {result.type}: {mistake}"
        for index, result in enumerate(study.results)
        for mistake in (*_mistakes(result, study, one_run), *_repeated(result, study.results[:index]))
    ]
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _mistakes(result: kinds.ResultSettings, study: kinds.StudySettings, cases: Sequence[Case]) -> Iterator[str]:
    trained = [case for case in cases if case.trained]
    if isinstance(result, (*_OF_TRAININGS, *_OVER_A_GRID)) and not trained:
        yield "no arm is trained"
        return
    match result:
        case kinds.ScoreTable(baseline=str(arm)):
            yield from _not_one(arm, "baseline", cases)
        case kinds.ConvergenceTable(reference=arm, condition=condition):
            yield from _not_one(arm, "reference", trained)
            if condition not in _validated(trained, all):
                yield f"validation has no condition {condition} in every training; write one of {', '.join(CONDITIONS)}"
        case kinds.LearningCurves():
            if not set(study.plain_conditions) & _validated(trained, any):
                yield f"none of the study's conditions is one of validation; add one of {', '.join(CONDITIONS)}"
        case kinds.AgainstData() if "normal" not in study.conditions:
            yield "data are compared with scores under normal, which is none of the study's conditions"
        case kinds.QCurves(panels=str()):
            yield from _not_one_arm(study)
        case kinds.ScoresAgainst(setting=setting):
            yield from _not_one_arm(study)
            yield from _no_axis("setting", setting, trained)
        case kinds.ScoreGrid(x=x, lines=lines):
            yield from _not_one_arm(study)
            yield from _no_axis("x", x, trained)
            yield from _no_axis("lines", lines, trained)
            if x == lines:
                yield f"x and lines are both {x}; write another setting of the grid for one of them"


def _repeated(result: kinds.ResultSettings, before: Sequence[kinds.ResultSettings]) -> Iterator[str]:
    """Results of one kind have the same files, unless a setting in their names tells them apart."""

    def file(one: kinds.ResultSettings) -> str:
        setting = getattr(one, "panels", None) or getattr(one, "setting", None) or ""
        return f"{one.type} {setting.rpartition('.')[2]}"

    if file(result) in map(file, before):
        yield "there are two, which would write the same files; keep one of them"


def _validated(trained: Sequence[Case], of: Callable[[Iterable[bool]], bool]) -> set[str]:
    """Conditions that all of the trainings, or any of them, are validated under."""
    under_pgd = of(case.settings.perturbation.condition == "pgd" for case in trained)
    return {*CONDITIONS, *(["pgd"] if under_pgd else [])}


def _not_one(arm: str, what: str, cases: Sequence[Case]) -> Iterator[str]:
    if arm not in [case.arm for case in cases]:
        reason = "the grid makes several of it" if any(case.varied for case in cases) else "it is not trained"
        yield f"{what} is {arm!r}, but {reason}; write an arm that is one training, or a study without a grid"


def _not_one_arm(study: kinds.StudySettings) -> Iterator[str]:
    """Figures over the grid tell its values apart, not arms."""
    arms = [name for name, arm in study.arms.items() if arm.trained]
    if len(arms) > 1:
        yield f"the trained arms {', '.join(arms)} would be one line; write a study for each of them"


def _no_axis(what: str, setting: str, trained: Sequence[Case]) -> Iterator[str]:
    values = [case.varied[setting] for case in trained]
    wrong = [value for value in values if isinstance(value, bool) or not isinstance(value, int | float)]
    if wrong:
        yield f"{what} is {setting}, which has the value {wrong[0]!r} in the grid; an axis needs numbers"
