"""The bank as a named Ray actor: where all trials read their attacks and q, and the curriculum sets q."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import GetTimeoutError, RayError

from afrl_ray.attacks.bank import AttackBank
from afrl_ray.config import Condition, PGDSettings
from afrl_ray.curriculum.schedules import CurriculumState
from afrl_ray.perturbations import GradientSource, PerturbationSnapshot
from afrl_ray.telemetry.board import board
from afrl_ray.telemetry.metrics import BANK_READ_SECONDS

NAMESPACE = "afrl_ray"
logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class BankActor:
    """Attacks, and each trial's curriculum state. Everything else about a trial lives in the trial's checkpoint."""

    def __init__(self, bank: AttackBank) -> None:
        self._bank = bank
        self._states: dict[str, CurriculumState] = {}
        self._version = 0

    def bank(self) -> AttackBank:
        return self._bank

    def state(self, trial_id: str) -> tuple[int, CurriculumState | None]:
        """The version of all states, and this trial's state; None where nobody has set it since the actor began."""
        return self._version, self._states.get(trial_id)

    def set_state(self, trial_id: str, state: CurriculumState) -> int:
        """Replace a trial's state; returns the new version."""
        self._states[trial_id] = state
        self._version += 1
        return self._version


@dataclass
class BankClient:
    """One process's way to the actor; picklable, and never stopped by the actor's death.

    The actor is found by name and, when it is gone, made again from the bank held here: the same bank, whoever makes
    it. While it cannot be reached the last state stays in force, a warning is logged, and callers wait only now and
    then.
    """

    name: str
    bank: AttackBank
    timeout: float = 10.0
    """Seconds to wait for one answer."""
    pause: float = 60.0
    """Seconds in which the actor is not asked again after it gave none."""
    _actor: Any = field(default=None, repr=False, compare=False)
    _away_until: float = field(default=0.0, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_actor": None, "_away_until": 0.0}

    def state(self, trial_id: str) -> CurriculumState | None:
        """The trial's curriculum state, or None where the actor cannot be reached or does not know the trial."""
        answer = self._ask(lambda actor: actor.state.remote(trial_id), f"read q of trial {trial_id}")
        return answer[1] if answer else None

    def set_state(self, trial_id: str, state: CurriculumState) -> bool:
        """Set the trial's curriculum state; False, with a warning, where the actor cannot be reached."""
        version = self._ask(lambda actor: actor.set_state.remote(trial_id, state), f"set q of trial {trial_id}")
        return version is not None

    def kill(self) -> None:
        """End the actor, if there is one."""
        with suppress(RayError, ValueError):
            ray.kill(ray.get_actor(self.name, namespace=NAMESPACE), no_restart=True)
        self._actor = None

    def _find(self) -> Any:
        if self._actor is None:
            # whoever makes it, usually the first trial, may end before the others: so detached from that process, and
            # by the default strategy, which is outside of that trial's placement group
            self._actor = BankActor.options(
                name=self.name,
                namespace=NAMESPACE,
                lifetime="detached",
                scheduling_strategy="DEFAULT",
                get_if_exists=True,
            ).remote(self.bank)
        return self._actor

    def _ask(self, call: Callable[[Any], Any], purpose: str) -> Any:
        if time.monotonic() < self._away_until:
            return None
        for last in (False, True):
            try:
                return ray.get(call(self._find()), timeout=self.timeout)
            except (RayError, GetTimeoutError, ValueError) as error:
                self._actor = None  # found or made anew by the next attempt
                if last or isinstance(error, GetTimeoutError):
                    self._away_until = time.monotonic() + self.pause
                    board.failure("bank", f"could not {purpose}: {error}")
                    logger.warning("attack bank %s: could not %s, going on without: %s", self.name, purpose, error)
                    break
        return None


@dataclass
class BankSource:
    """What one trial's env runners ask before each sample call.

    q moves only between two steps of a trial, which tells its env runners (`take_over`). One that was started again
    since asks the actor each time, and goes on with what it knew where that is away.
    """

    client: BankClient
    trial_id: str
    condition: Condition
    last_state: CurriculumState
    """In force until somebody says otherwise."""
    pgd: PGDSettings = field(default_factory=PGDSettings)
    critic: GradientSource | None = None
    """What pgd descends on; None: the critic that is being trained."""
    observation_std: NDArray[np.float32] | None = None  # (O,)
    """σ of the observations' noise; None: that of the policy that acts."""
    _is_told: bool = field(default=False, repr=False)

    def known(self) -> CurriculumState | None:
        """The trial's state as the actor has it; None where it has none, or is away."""
        return self.client.state(self.trial_id)

    def tell(self, state: CurriculumState) -> bool:
        """Set the trial's state in the actor; False where that is away."""
        return self.client.set_state(self.trial_id, state)

    def take_over(self, state: CurriculumState) -> None:
        """Hold `state` without asking, until the next one comes."""
        self.last_state, self._is_told = state, True

    def snapshot(self) -> PerturbationSnapshot:
        if not self._is_told:
            begin = time.perf_counter()
            self.last_state = self.known() or self.last_state
            BANK_READ_SECONDS.observe(time.perf_counter() - begin, trial=self.trial_id)
        bank, q = self.client.bank, self.last_state.q
        return PerturbationSnapshot(
            self.condition, q, bank.fault, bank.deltas, self.pgd, self.critic, self.observation_std
        )
