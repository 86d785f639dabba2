"""A connection to MLflow that is made late, found again after an outage, and never waited for."""

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from afrl_ray.config.location import without_password
from afrl_ray.telemetry.board import board
from afrl_ray.tracking.database import create_if_missing

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger("afrl_ray.tracking")

_ENVIRONMENT = {
    # MLflow's own seven retries of two minutes each would block the training; unsent entries are kept here instead.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_PERMANENT = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST")
_SHORTEST_PAUSE = 15.0
_PAUSE_PER_WAIT = 50.0
"""Seconds without attempts for each second a failed one took: an outage costs at most 2 % of the time."""


def import_mlflow() -> None:
    """Takes seconds, so a process that waits for something else may do it beforehand."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow.tracking  # noqa: F401


class Refused(Exception):
    """MLflow will never accept this entry, for instance because its run was deleted."""


def is_refusal(error: Exception) -> bool:
    """Whether MLflow says that it will never take what it was sent."""
    return getattr(error, "error_code", None) in _PERMANENT


class Connection:
    """The client and the experiment; both are made at the first use, and again in every process this is pickled to."""

    def __init__(self, uri: str, experiment: str, artifact_root: str | None, enabled: bool) -> None:
        self.uri = uri
        self.experiment = experiment
        self.artifact_root = artifact_root
        self.enabled = enabled
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._retry_at = 0.0
        self._failing = False
        self.has_answered = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None, "_experiment_id": "", "_retry_at": 0.0}

    def attempt(self, action: Callable[["MlflowClient", str], None], *, force: bool = False) -> bool:
        """Do `action(client, experiment_id)`; False where MLflow cannot be reached, or lately could not.

        `force` tries even then. The first failure is logged as a warning, and so is the recovery.

        Raises:
            Refused: trying again would not help.
        """
        if not force and time.monotonic() < self._retry_at:
            return False
        begin = time.monotonic()
        try:
            if self._client is None:
                self._experiment_id, self._client = self._open()
            action(self._client, self._experiment_id)
        except Exception as error:
            if is_refusal(error):
                raise Refused(str(error)) from error
            now = time.monotonic()
            self._retry_at = now + max(_SHORTEST_PAUSE, _PAUSE_PER_WAIT * (now - begin))
            if not self._failing:
                shown = without_password(self.uri)
                reason = str(error).replace(self.uri, shown).splitlines()
                board.failure("tracking", f"MLflow at {shown} cannot be reached")
                logger.warning(
                    "MLflow at %s cannot be reached; the experiment goes on, its entries are kept and sent later (%s)",
                    shown,
                    reason[0][:300] if reason else type(error).__name__,
                )
            self._failing = True
            return False
        if self._failing:
            logger.warning("MLflow at %s answers again", without_password(self.uri))
        self._failing = False
        self.has_answered = True
        self._retry_at = 0.0
        return True

    def _open(self) -> tuple[str, "MlflowClient"]:
        import_mlflow()
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        for noisy in ("mlflow.store.db.utils", "alembic"):  # migrations, and a traceback for what is said above
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        create_if_missing(self.uri, self.artifact_root)
        client = MlflowClient(self.uri)
        found = client.get_experiment_by_name(self.experiment)
        if found is None:
            try:
                return client.create_experiment(self.experiment, self.artifact_root), client
            except MlflowException:  # another process was faster
                found = client.get_experiment_by_name(self.experiment)
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise RuntimeError(f"the experiment {self.experiment!r} was deleted; restore it or set tracking.experiment")
        return found.experiment_id, client
