"""What fine-tunings start from: data, pretrained networks and attack banks."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from afrl_ray.attacks import BankClient
from afrl_ray.config import ExperimentSettings
from afrl_ray.networks import Policy
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.attack import attack_stage, bank_client
from afrl_ray.pipeline.data import data_stage
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.pretrain import offline_policy, pretrain_stage


@dataclass(frozen=True)
class Foundation:
    """The stages before fine-tuning, for one robot, seed and offline training."""

    settings: ExperimentSettings
    store: Path | None = None
    copy: Path | None = None
    """As `Experiment` has them."""

    @cached_property
    def experiment(self) -> Experiment:
        return Experiment(self.settings, self.store, self.copy)

    @cached_property
    def data(self) -> Stage:
        return data_stage(self.experiment)

    @cached_property
    def pretrain(self) -> Stage:
        return pretrain_stage(self.experiment, self.data)

    @cached_property
    def attack(self) -> Stage:
        return attack_stage(self.experiment, self.pretrain)

    @property
    def key(self) -> str:
        """Equal where all three stages are."""
        return self.attack.key

    def refresh(self) -> None:
        """Fetch what other processes have made of it, where it is below a URI."""
        for stage in (self.data, self.pretrain, self.attack):
            stage.refresh()

    def policy(self) -> Policy:
        return offline_policy(self.pretrain)

    def bank_client(self) -> BankClient:
        """The way to the actor that holds the training bank and every trial's q."""
        return bank_client(self.attack)
