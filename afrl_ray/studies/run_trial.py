"""The Tune trial of a training run: it keeps its own checkpoints, so that any later study can go on from them."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from afrl_ray.config.location import scratch_folder
from afrl_ray.networks import save_policy_file
from afrl_ray.pipeline.artifacts import recover_directory, replace_directory
from afrl_ray.pipeline.attack import load_bank
from afrl_ray.pipeline.data import load_data
from afrl_ray.pipeline.pretrain import offline_critic, offline_networks
from afrl_ray.pipeline.trial import FinetuneTrial, TrialInputs
from afrl_ray.studies.training_run import TrainingRun


class RunTrial(FinetuneTrial):
    """A fine-tuning trial whose state is in the run's folder instead of Tune's checkpoints.

    Tune starts it, restarts it and follows it. Wherever it is started, it goes on from the run's last checkpoint.
    """

    _copies: tempfile.TemporaryDirectory[str] | None = None

    def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
        self._run = self._own_copy(TrainingRun.from_config(config["run"]))
        foundation = self._run.foundation
        inputs = TrialInputs(
            load_data(foundation.data),
            offline_networks(foundation.pretrain),
            load_bank(foundation.attack, "validation"),
            foundation.bank_client(),
            offline_critic(foundation.pretrain),
        )
        super().setup({"experiment": config["run"]["settings"], "name": config["run"]["name"]}, inputs)
        checkpoint = recover_directory(self._run.checkpoint)
        if checkpoint is not None:
            self.load_checkpoint(str(checkpoint))

    def _own_copy(self, run: TrainingRun) -> TrainingRun:
        """`run` with working copies of this process alone, where it is below a URI: others have theirs."""
        self._copies = None
        if run.stage.mirror is None:
            return run
        scratch_folder().mkdir(parents=True, exist_ok=True)
        self._copies = tempfile.TemporaryDirectory(prefix="run-", dir=scratch_folder())
        own = replace(run, store=Path(self._copies.name))
        own.foundation.refresh()
        own.stage.refresh()
        return own

    def cleanup(self) -> None:
        super().cleanup()
        if self._copies is not None:
            self._copies.cleanup()

    def _replay_log(self) -> str:
        return f"{self._run.stage.location}/replay"

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Another run in the same process: starting one takes longer than a small training."""
        self.cleanup()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        result = super().step()
        due = self._run.due_at(len(self._training.curve) - 1)
        if due and due % self._run.policy_interval == 0:
            self._keep_policies(due)
        if result["done"] or due % self._settings.finetune.checkpoint_interval == 0:
            self._save()
        if result["done"]:
            outputs = {"steps": int(result["env_steps"])}
            outputs |= {name: result[name] for name in ("best_score", "best_env_steps")}
            self._run.stage.finish(outputs, self._settings.seed)
        return result

    def _keep_policies(self, step: int) -> None:
        """Under the step that the evaluation was due at; the training may be a few steps further."""
        best = self._training.best
        assert best is not None
        origin = {"run": self._run.stage.key, "step": step}
        save_policy_file(self._training.algorithm.evaluation_policy(), self._run.policy_file(step, "final"), origin)
        save_policy_file(best.policy, self._run.policy_file(step, "best"), {**origin, "step": best.step})

    def _save(self) -> None:
        temporary = self._run.checkpoint.with_name(".checkpoint.new")
        shutil.rmtree(temporary, ignore_errors=True)
        super().save_checkpoint(str(temporary))
        replace_directory(temporary, self._run.checkpoint)
        self._run.stage.keep()
