"""The attack bank as data: what differential evolution found, and the file it lives in."""

import json
import os
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FORMAT = "afrl_ray.bank/1"


class BankFileError(ValueError):
    """The file is not an attack bank of ours."""


@dataclass(frozen=True)
class AttackBank:
    """K faults found against one policy, each by an independent search."""

    deltas: NDArray[np.float32]  # (K, A), in [-epsilon, epsilon]
    fitness: NDArray[np.float64]  # (K,), mean return of the attacked policy, as the search measured it
    environment_steps: NDArray[np.int64]  # (K,), what each search cost
    seeds: NDArray[np.int64]  # (K,), of the searches
    epsilon: float
    environment: str
    policy_hash: str

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.deltas, self.fitness, self.environment_steps, self.seeds)}
        if self.deltas.ndim != 2 or len(lengths) != 1:
            raise ValueError(f"a bank needs deltas (K, A) and K of everything else, not {self.deltas.shape}, {lengths}")

    def __len__(self) -> int:
        return len(self.deltas)

    @classmethod
    def from_results(
        cls, results: Sequence[Any], *, epsilon: float, environment: str, policy_hash: str
    ) -> "AttackBank":
        """The bank of K search results, each with delta, fitness, environment_steps and seed."""
        return cls(
            np.stack([result.delta for result in results]).astype(np.float32),
            np.array([result.fitness for result in results], dtype=np.float64),
            np.array([result.environment_steps for result in results], dtype=np.int64),
            np.array([result.seed for result in results], dtype=np.int64),
            epsilon,
            environment,
            policy_hash,
        )

    def manifest(self) -> dict[str, Any]:
        """What the bank is, readable beside its arrays."""
        return {
            "format": _FORMAT,
            "policy_hash": self.policy_hash,
            "environment": self.environment,
            "epsilon": self.epsilon,
            "members": len(self),
            "seeds": self.seeds.tolist(),
            "fitness": self.fitness.tolist(),
            "environment_steps": self.environment_steps.tolist(),
        }

    def save(self, path: Path) -> None:
        """Write `path` (npz without pickle) and `path` with suffix .json, each under a temporary name first."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")
        np.savez(
            temporary,
            deltas=self.deltas,
            fitness=self.fitness,
            environment_steps=self.environment_steps,
            seeds=self.seeds,
            manifest=np.array(json.dumps(self.manifest())),
        )
        temporary.replace(path)
        readable = path.with_suffix(".json")
        temporary = readable.with_name(f".{readable.name}.{os.getpid()}")
        created = {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        temporary.write_text(json.dumps({**self.manifest(), **created}, indent=2) + "\n")
        temporary.replace(readable)

    @classmethod
    def load(cls, path: Path) -> "AttackBank":
        """The bank in `path`.

        Raises:
            FileNotFoundError: there is no such file.
            BankFileError: it is not a bank of ours.
        """
        if not path.is_file():
            raise FileNotFoundError(f"no attack bank at {path}")
        try:
            with np.load(path, allow_pickle=False) as file:
                manifest = json.loads(str(file["manifest"]))
                arrays = {name: file[name] for name in ("deltas", "fitness", "environment_steps", "seeds")}
            if manifest["format"] != _FORMAT:
                raise ValueError(f"its format is {manifest['format']!r}, not {_FORMAT!r}")
            return cls(
                **arrays,
                epsilon=manifest["epsilon"],
                environment=manifest["environment"],
                policy_hash=manifest["policy_hash"],
            )
        except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise BankFileError(f"{path} is not an attack bank: {error}") from error
