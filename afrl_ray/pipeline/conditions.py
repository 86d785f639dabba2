"""The configured conditions of an evaluation, with the banks and the critic that they need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afrl_ray.attacks import AttackBank
from afrl_ray.config import FaultSettings
from afrl_ray.config.evaluation import EvaluatedCondition
from afrl_ray.evaluation.conditions import ConditionEpisodes, EvaluationPlan
from afrl_ray.networks import CriticGradients, Policy
from afrl_ray.perturbations import Body, Fault, StepwisePGD, make_fault
from afrl_ray.pipeline.experiment import Experiment

ADAPTIVE = "adaptive attack"


@dataclass(frozen=True)
class EvaluatedConditions:
    """What policies are measured under."""

    experiment: Experiment
    banks: Mapping[FaultSettings, AttackBank]
    critic: CriticGradients | None = None
    """What pgd descends on."""
    body: Body | None = None
    """The robot as faults know it: with the pretrained policy's σ, so that all policies suffer the same. Each policy's
    own where None."""
    only: Sequence[EvaluatedCondition] | None = None
    """Those of the experiment's conditions that are asked for; all of them where None."""

    def episodes(self, policy: Policy, adaptive_bank: AttackBank | None = None) -> list[ConditionEpisodes]:
        """The episodes of `policy` under each condition, and under an attack of its own where it has a bank of that.

        Raises:
            ValueError: a condition needs a bank or a critic that is not there, or a bank is another robot's.
        """
        settings = self.experiment.settings
        faults = _Faults(self.body or Body.of(policy))
        own = faults.get(self.experiment.fault)
        plan = EvaluationPlan(settings.seed, "test", settings.evaluation.episodes, own)
        conditions = settings.evaluation.conditions if self.only is None else self.only
        episodes = [self._under(condition, plan, faults) for condition in conditions]
        if adaptive_bank is not None:
            episodes.append(plan.under("adversarial", bank=adaptive_bank.members(own), name=ADAPTIVE))
        return episodes

    def _under(self, condition: EvaluatedCondition, plan: EvaluationPlan, faults: "_Faults") -> ConditionEpisodes:
        if isinstance(condition, str):
            name, choice, settings = condition, condition, self.experiment.fault
        else:
            name, choice, settings = condition.name, condition.condition, self.experiment.resolved(condition.fault)
        fault = faults.get(settings)
        if choice == "pgd":
            if self.critic is None:
                what = f"condition {name} needs the critic that pgd descends on"
                raise ValueError(f"{what}; write --critic with a pretrained checkpoint")
            pgd = self.experiment.settings.perturbation.pgd
            return plan.under(choice, name=name, fault=StepwisePGD(fault.magnitude, fault.body, pgd, self.critic))
        if choice != "adversarial":
            return plan.under(choice, name=name, fault=fault)
        if settings not in self.banks:
            raise ValueError(f"condition {name} needs an attack bank for {settings}")
        return plan.under(choice, name=name, fault=fault, bank=self.banks[settings].members(fault))


class _Faults:
    """Each fault once: conditions that share one are played together."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._made: dict[FaultSettings, Fault] = {}

    def get(self, settings: FaultSettings) -> Fault:
        if settings not in self._made:
            self._made[settings] = make_fault(settings, self._body)
        return self._made[settings]
