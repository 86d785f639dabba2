"""The Tune trial of a training run: it keeps its own checkpoints, so that any later command can go on from them."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune

from afrl_ray.config.location import scratch_folder
from afrl_ray.pipeline.artifacts import read_json, recover_directory, replacing_directory, write_json
from afrl_ray.pipeline.attack import load_bank
from afrl_ray.pipeline.data import load_data
from afrl_ray.pipeline.pretrain import offline_critic, offline_networks
from afrl_ray.pipeline.runs.finetuning import FineTuning, Inputs
from afrl_ray.pipeline.runs.run import CURVE, DRAWN, TrainingRun
from afrl_ray.telemetry import bind, configure_logs, job_of

_REPLAY = "replay"


class RunTrial(tune.Trainable):  # type: ignore[misc]
    """Whose every step is: train for one interval, evaluate, report; the first one reports the start itself.

    Tune starts it, restarts it and follows it. Wherever it is started, it goes on from the run's last checkpoint.
    """

    _copies: tempfile.TemporaryDirectory[str] | None = None

    def setup(self, config: dict[str, Any]) -> None:
        self._run = self._own_copy(config)
        settings, foundation = self._run.settings, self._run.foundation
        bind(job=job_of(settings.name), stage="finetune", trial=self.trial_id, trial_name=self._run.name)
        configure_logs(settings.runtime.log_format)
        inputs = Inputs(
            load_data(foundation.data),
            offline_networks(foundation.pretrain),
            load_bank(foundation.attack, "validation"),
            foundation.bank_client(),
            offline_critic(foundation.pretrain),
            f"{self._run.stage.location}/{_REPLAY}",
        )
        self._finetuning = FineTuning(settings, inputs, self.trial_id)
        self._taken_over: dict[str, Any] = {}
        checkpoint = recover_directory(self._run.checkpoint)
        if checkpoint is not None:
            self._finetuning.load(checkpoint)
            self._taken_over = (read_json(checkpoint / DRAWN) or {}).get("from", {})

    def _own_copy(self, config: dict[str, Any]) -> TrainingRun:
        """The run, with working copies of this process alone where it is below a URI: others have theirs."""
        self._copies = None
        run = TrainingRun.from_config(config)
        if run.stage.mirror is None:
            return run
        scratch_folder().mkdir(parents=True, exist_ok=True)
        self._copies = tempfile.TemporaryDirectory(prefix="run-", dir=scratch_folder())
        own = replace(run, copy=Path(self._copies.name))
        own.foundation.refresh()
        own.stage.refresh()
        return own

    def cleanup(self) -> None:
        self._finetuning.stop()
        if self._copies is not None:
            self._copies.cleanup()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Another run in the same process: starting one takes longer than a small training."""
        self.cleanup()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        run, finetuning = self._run, self._finetuning
        result = finetuning.step()
        due = run.due_at(len(finetuning.curve) - 1)
        if due and run.policy_interval and due % run.policy_interval == 0:
            for kind in ("final", "best"):  # under the step that it was due at; the training may be a few further
                finetuning.save_policy(run.policy_file(due, kind), kind, {"run": run.stage.key, "step": due})
        if result["done"] or due % run.settings.finetune.checkpoint_interval == 0:
            self._save()
        finetuning.save_policy(run.best_policy, "best", {"run": run.stage.key})
        write_json(run.stage.directory / CURVE, finetuning.curve)
        if result["done"]:
            outputs = {"steps": int(result["env_steps"])}
            outputs |= {name: result[name] for name in ("best_score", "best_env_steps")}
            run.stage.finish(outputs, run.settings.seed)
        else:
            run.stage.keep()
        return result

    def _save(self) -> None:
        with replacing_directory(self._run.checkpoint) as temporary:
            self._finetuning.save(temporary)
            if "population" in self._run.apart:
                write_json(temporary / DRAWN, {"drawn": self._run.drawn, "from": self._taken_over})

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """A copy of the run's last checkpoint, for another member of its population."""
        shutil.copytree(self._run.checkpoint, checkpoint_dir, dirs_exist_ok=True)
        origin = {"run": self._run.stage.key, "step": self._run.reached()}
        write_json(Path(checkpoint_dir) / DRAWN, {"drawn": self._run.drawn, "from": origin})

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from another run's checkpoint; one of its own, or one taken over before, is in its folder already."""
        origin = read_json(Path(checkpoint_dir) / DRAWN)["from"]
        if origin["run"] == self._run.stage.key or origin == self._taken_over:
            return
        self._finetuning.load(Path(checkpoint_dir))
        self._taken_over = origin
        self._save()
