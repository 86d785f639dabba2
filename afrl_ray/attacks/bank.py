"""The attack bank as data: what differential evolution found, and the file it lives in."""

import json
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from afrl_ray.config import FaultSettings
from afrl_ray.config.errors import explain
from afrl_ray.perturbations import Body, Fault, make_fault
from afrl_ray.storage import replacing

_FORMAT = "afrl_ray.bank/2"
_MULTIPLICATIVE_FORMAT = "afrl_ray.bank/1"
"""Before there were other faults."""


class BankFileError(ValueError):
    """The file is not an attack bank of ours."""


class BankMismatchError(ValueError):
    """The bank is for another fault or another robot."""


@dataclass(frozen=True)
class AttackBank:
    """K faults found against one policy, each by an independent search."""

    deltas: NDArray[np.float32]  # (K, P), parameters of `fault`
    fitness: NDArray[np.float64]  # (K,), mean return of the attacked policy, as the search measured it
    environment_steps: NDArray[np.int64]  # (K,), what each search cost
    seeds: NDArray[np.int64]  # (K,), of the searches
    fault: FaultSettings
    """With its magnitude."""
    environment: str
    policy_hash: str

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.deltas, self.fitness, self.environment_steps, self.seeds)}
        if self.deltas.ndim != 2 or len(lengths) != 1:
            raise ValueError(f"a bank needs deltas (K, P) and K of everything else, not {self.deltas.shape}, {lengths}")

    def __len__(self) -> int:
        return len(self.deltas)

    @classmethod
    def from_results(
        cls, results: Sequence[Any], *, fault: FaultSettings, environment: str, policy_hash: str
    ) -> "AttackBank":
        """The bank of K search results, each with delta, fitness, environment_steps and seed."""
        return cls(
            np.stack([result.delta for result in results]).astype(np.float32),
            np.array([result.fitness for result in results], dtype=np.float64),
            np.array([result.environment_steps for result in results], dtype=np.int64),
            np.array([result.seed for result in results], dtype=np.int64),
            fault,
            environment,
            policy_hash,
        )

    def members(self, fault: Fault) -> NDArray[np.float32]:
        """The parameters (K, P), to be used under `fault`.

        Raises:
            BankMismatchError: they are another fault's or another robot's.
        """
        size = fault.parameters.size
        if self.fault.type != fault.kind:
            raise BankMismatchError(f"the attack bank is for {self.fault.type} faults, not for {fault.kind}")
        if self.deltas.shape[1] != size:
            raise BankMismatchError(
                f"the attack bank's θ has {self.deltas.shape[1]} numbers, as in {self.environment}; "
                f"a {fault.kind} fault of this robot takes {size}"
            )
        return self.deltas

    def manifest(self) -> dict[str, Any]:
        """What the bank is, readable beside its arrays."""
        return {
            "format": _FORMAT,
            "policy_hash": self.policy_hash,
            "environment": self.environment,
            "fault": self.fault.model_dump(),
            **({"epsilon": self.fault.magnitude} if self.fault.type == "multiplicative" else {}),
            "parameters": self.deltas.shape[1],
            "members": len(self),
            "seeds": self.seeds.tolist(),
            "fitness": self.fitness.tolist(),
            "environment_steps": self.environment_steps.tolist(),
        }

    def save(self, path: Path) -> None:
        """Write `path` (npz without pickle) and `path` with suffix .json, each under a temporary name first.

        Where there is an npz, there is its json.

        Raises:
            ValueError: `path` does not end in .npz.
        """
        if path.suffix != ".npz":
            raise ValueError(f"{path} cannot be an attack bank, whose name ends in .npz")
        created = {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        with replacing(path.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps({**self.manifest(), **created}, indent=2) + "\n")
        with replacing(path) as temporary:
            np.savez(
                temporary,
                deltas=self.deltas,
                fitness=self.fitness,
                environment_steps=self.environment_steps,
                seeds=self.seeds,
                manifest=np.array(json.dumps(self.manifest())),
            )

    @classmethod
    def load(cls, path: Path) -> "AttackBank":
        """The bank in `path`.

        Raises:
            FileNotFoundError: there is no such file.
            BankFileError: it is not a bank of ours, or its numbers are none that its fault can have.
        """
        if not path.is_file():
            raise FileNotFoundError(f"no attack bank at {path}")
        try:
            with np.load(path, allow_pickle=False) as file:
                manifest = json.loads(str(file["manifest"]))
                arrays = {name: file[name] for name in ("deltas", "fitness", "environment_steps", "seeds")}
            if manifest["format"] == _MULTIPLICATIVE_FORMAT:
                manifest["fault"] = {"type": "multiplicative", "magnitude": manifest["epsilon"]}
            elif manifest["format"] != _FORMAT:
                raise ValueError(f"its format is {manifest['format']!r}, not {_FORMAT!r}")
            fault = FaultSettings(**manifest["fault"])
            _check_numbers(arrays, fault)
            return cls(
                **arrays,
                fault=fault,
                environment=manifest["environment"],
                policy_hash=manifest["policy_hash"],
            )
        except ValidationError as error:
            mistakes = "; ".join(message for _, message in explain(error, FaultSettings))
            raise BankFileError(f"{path} is not an attack bank: its fault: {mistakes}") from error
        except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise BankFileError(f"{path} is not an attack bank: {error}") from error


def _check_numbers(arrays: Mapping[str, NDArray[Any]], fault: FaultSettings) -> None:
    """
    Raises:
        ValueError: a number is not finite, or θ is not of `fault` in a robot of this size.
    """
    deltas = np.atleast_2d(arrays["deltas"])
    if not (np.isfinite(deltas).all() and np.isfinite(arrays["fitness"]).all()):
        raise ValueError("it has numbers that are not finite")
    ones = np.ones(deltas.shape[1], np.float32)  # as many joints, or observations, as θ has numbers
    parameters = make_fault(fault, Body(-ones, ones, ones)).parameters
    if parameters.size != deltas.shape[1] or not parameters.contains(deltas):
        raise ValueError(f"its θ is none of a fault {fault}")
