"""What the catalogue's studies are, written down a second time, by hand, from the paper."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from afrl_ray.config.study import AttackersSettings, StudyBudget, StudySettings
from afrl_ray.studies.expand import expand
from afrl_ray.studies.files import load_scale, load_study, study_names
from afrl_ray.studies.plan import Case, Plan

MILLION = 1_000_000


class Arm(NamedTuple):
    start: str = "pretrained"
    condition: str = "adversarial"
    curriculum: str = "fixed"
    algorithms: tuple[str, str] = ("td3_bc", "td3")
    bc_alpha: float | None = None
    pgd_critic: str | None = None
    matched_to: str | None = None


OFFLINE = None
SCRATCH = {
    "fully online (normal)": Arm("scratch", "normal"),
    "fully online (random)": Arm("scratch", "random"),
    "fully online (adversarial)": Arm("scratch", "adversarial"),
}
TUNED = {
    "fine-tuned (normal)": Arm(condition="normal"),
    "fine-tuned (random)": Arm(condition="random"),
    "fine-tuned (adversarial)": Arm(condition="adversarial"),
}
CURRICULA = {
    "fixed": Arm(),
    "linear": Arm(curriculum="linear", matched_to="adaptive"),
    "adaptive": Arm(curriculum="adaptive"),
}
PGD = Arm(condition="pgd", pgd_critic="current")
ARMS: dict[str, dict[str, Arm | None]] = {
    "table1": {
        "offline": OFFLINE,
        "fully online (adversarial)": Arm("scratch", "adversarial"),
        **TUNED,
    },
    "table2": {"offline": OFFLINE, **CURRICULA},
    "table3": {
        "offline": OFFLINE,
        "fine-tuned": Arm(curriculum="adaptive", algorithms=("iql", "sac")),
    },
    "table4": {
        "offline": OFFLINE,
        "fine-tuned (static bank)": Arm(curriculum="adaptive"),
        "fine-tuned (PGD)": PGD._replace(curriculum="adaptive"),
    },
    "fig4": {**SCRATCH, **TUNED},
    "fig5": {**CURRICULA},
    "fig6": {"linear": Arm(curriculum="linear")},
    "fig7": {"adaptive": Arm(curriculum="adaptive")},
    "fig8": {"adaptive": Arm(curriculum="adaptive")},
    "fig9": {"fine-tuned (adversarial)": Arm()},
    "fig10": {"dropped": Arm(), "kept": Arm(bc_alpha=2.5)},
    "offline": {"TD3+BC": OFFLINE, "IQL": OFFLINE, "CQL": OFFLINE},
    "conditions": {
        "offline": OFFLINE,
        "normal": Arm(condition="normal"),
        "random": Arm(condition="random"),
        "adversarial": Arm(),
        "pgd": PGD,
    },
}
READS = {
    **dict.fromkeys(["table1", "fig4", "fig9", "fig10", "conditions"], (MILLION,)),
    "table2": (MILLION, 3 * MILLION),
    **dict.fromkeys(["table3", "table4", "fig5", "fig6", "fig7", "fig8"], (3 * MILLION,)),
}
CONDITIONS = {
    "table4": ["normal", "adversarial", "pgd"],
    "conditions": [
        *("normal", "random", "adversarial", "pgd", "dead joint", "bias", "saturation", "delay"),
        *("action noise", "observation noise"),
    ],
}
RESULTS = {
    "table1": ["scores", "convergence", "curves"],
    "table2": ["scores", "curves", "mean_q"],
    "table3": ["scores", "curves"],
    "table4": ["scores", "curves"],
    "fig4": ["curves", "convergence"],
    "fig5": ["q", "mean_q"],
    "fig6": ["scores_against", "scores"],
    "fig7": ["q", "mean_q"],
    "fig8": ["grid", "scores"],
    "fig9": ["curves", "scores_against", "scores"],
    "fig10": ["curves", "scores"],
    "offline": ["against_data", "scores"],
    "conditions": ["matrix", "scores"],
}
GRIDS: dict[str, dict[str, list[float]]] = {
    "fig6": {"curriculum.q_max": [0.2, 0.4, 0.6, 0.8, 1.0]},
    "fig7": {"curriculum.beta": [0.1, 0.3, 0.9], "curriculum.kappa": [0.3, 0.6, 1.2]},
    "fig8": {"curriculum.beta": [0.1, 0.3, 0.9], "curriculum.kappa": [0.3, 0.6, 1.2]},
    "fig9": {"finetune.offline_ratio": [0.0, 0.25, 0.5, 0.75, 1.0]},
}


def at_paper_scale(study: str, folder: Path) -> tuple[Plan, list[Case]]:
    plan = Plan(study, load_study(study), "paper", load_scale("paper"), folder)
    return plan, expand(plan)


def what_is_trained(case: Case) -> Arm | None:
    if not case.trained:
        return None
    settings = case.settings
    algorithm, perturbation = settings.finetune.algorithm, settings.perturbation
    return Arm(
        start=settings.finetune.start,
        condition=perturbation.condition,
        curriculum=settings.curriculum.type,
        algorithms=(settings.pretrain.algorithm.type, algorithm.type),
        bc_alpha=getattr(algorithm, "bc_alpha", None),
        pgd_critic=perturbation.pgd.critic if perturbation.condition == "pgd" else None,
        matched_to=case.match.arm if case.match else None,
    )


def test_this_page_knows_every_study() -> None:
    assert {*ARMS, "attackers"} == set(study_names())


@pytest.mark.parametrize("study", sorted(ARMS))
def test_arms_train_what_the_paper_compares(study: str, tmp_path: Path) -> None:
    _, cases = at_paper_scale(study, tmp_path)
    found: dict[str, Arm | None] = {}
    for case in cases:
        arm = case.arm.split(", ")[0]
        assert found.setdefault(arm, what_is_trained(case)) == what_is_trained(case)
    assert found == ARMS[study]


@pytest.mark.parametrize("study", sorted(READS))
def test_steps_at_which_policies_are_read(study: str, tmp_path: Path) -> None:
    plan, cases = at_paper_scale(study, tmp_path)
    assert isinstance(plan.budget, StudyBudget)
    assert {case.reads for case in cases if case.trained} == {READS[study]}
    assert plan.budget.steps == READS[study][-1]


@pytest.mark.parametrize("study", sorted(RESULTS))
def test_conditions_of_the_test_and_kinds_of_results(study: str, tmp_path: Path) -> None:
    plan, cases = at_paper_scale(study, tmp_path)
    wanted = CONDITIONS.get(study, ["normal", "random", "adversarial"])
    for case in cases:
        conditions: list[Any] = list(case.settings.evaluation.conditions)
        assert [one if isinstance(one, str) else one.name for one in conditions] == wanted
    assert isinstance(plan.study, StudySettings)
    assert [result.type for result in plan.study.results] == RESULTS[study]


@pytest.mark.parametrize("study", sorted(ARMS))
def test_grids_vary_what_the_figure_has_on_its_axes(study: str, tmp_path: Path) -> None:
    _, cases = at_paper_scale(study, tmp_path)
    varied = [case.varied for case in cases if case.trained and (case.robot, case.seed) == ("hopper", 0)]
    grid = GRIDS.get(study, {})
    cells = 1
    for setting, values in grid.items():
        cells *= len(values)
        assert sorted({one[setting] for one in varied}) == values
    assert len(varied) == cells * sum(arm is not OFFLINE for arm in ARMS[study].values())


def test_offline_algorithms_of_the_study_that_compares_them(tmp_path: Path) -> None:
    _, cases = at_paper_scale("offline", tmp_path)
    pretrained = {case.arm: case.settings.pretrain for case in cases}
    assert {arm: (one.algorithm.type, one.updates) for arm, one in pretrained.items()} == {
        "TD3+BC": ("td3_bc", 5 * MILLION),
        "IQL": ("iql", 3 * MILLION),
        "CQL": ("cql", MILLION),
    }


def test_the_paper_s_robots_seeds_and_episodes(tmp_path: Path) -> None:
    _, cases = at_paper_scale("table1", tmp_path)
    assert {case.robot for case in cases} == {"hopper", "halfcheetah", "ant"}
    assert {case.seed for case in cases} == set(range(5))
    assert {case.settings.evaluation.episodes for case in cases} == {100}
    assert {case.settings.pretrain.updates for case in cases} == {5 * MILLION}


def test_attackers_that_are_compared(tmp_path: Path) -> None:
    study = at_paper_scale("attackers", tmp_path)[0].study
    assert isinstance(study, AttackersSettings)
    assert study.optimizers == ("DE", "DE without racing", "CMA", "PSO", "NGOpt", "RandomSearch")
