"""The whole experiment, stage after stage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from afrl_ray.config import ExperimentSettings
from afrl_ray.config.location import without_password
from afrl_ray.datasets import check_source
from afrl_ray.pipeline.alone import alone_in
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.attack import attack
from afrl_ray.pipeline.cluster import cluster_address, connect
from afrl_ray.pipeline.data import data_stage
from afrl_ray.pipeline.evaluate import SUMMARY, TABLE, evaluate_experiment, read_summary
from afrl_ray.pipeline.experiment import CONFIG_FILE, Experiment, pinned
from afrl_ray.pipeline.finetune import best_trial, finetune, trial_outcomes
from afrl_ray.pipeline.preflight import preflight
from afrl_ray.pipeline.pretrain import pretrain
from afrl_ray.pipeline.progress import say
from afrl_ray.pipeline.reference_returns import check_reference_returns
from afrl_ray.pipeline.remote import pretrain_remotely
from afrl_ray.pipeline.shared_storage import require_shared
from afrl_ray.storage import require_writable
from afrl_ray.telemetry import bind, configure_logs, event, job_of
from afrl_ray.telemetry.board import board
from afrl_ray.tracking.database import database_file
from afrl_ray.tracking.location import shown_by

StageName = Literal["pretrain", "attack", "finetune", "evaluation"]


@dataclass(frozen=True)
class Finished:
    """The stages that were run or kept; later ones are None where the run ended before them."""

    experiment: Experiment
    pretrain: Stage
    attack: Stage | None = None
    finetune: Stage | None = None
    evaluation: Stage | None = None

    @property
    def summary(self) -> dict[str, Any] | None:
        """{policy: {condition: {mean, se, n}}} of the evaluation."""
        return read_summary(self.evaluation) if self.evaluation else None


def run_experiment(settings: ExperimentSettings, until: StageName = "evaluation") -> Finished:
    """Run the stages up to `until`; finished ones are kept, an interrupted one goes on from its last checkpoint.

    Raises:
        ConfigError: fine-tuning would need reference returns that the environment has not.
        FileNotFoundError: there is no policy or file of the name that the data have.
        ValueError: the settings reserve what can never be had, or name an optimizer, an environment or a fault that
            there is not; the data are another robot's; the output is not on storage that all nodes of the cluster see,
            or cannot be written to.
        BlockingIOError: another process is at work in the output folder.
    """
    if until in ("finetune", "evaluation"):
        check_reference_returns(settings)
    settings = pinned(settings)
    output = settings.output
    configure_logs(settings.runtime.log_format)
    bind(job=job_of(settings.name))
    board.clear()
    board.expect("data", *get_args(StageName))
    event("driver is ready")
    experiment = Experiment(settings)
    require_folder(experiment.directory)
    if until != "pretrain":
        preflight(experiment)
    if cluster_address(settings.runtime):
        refuse_a_database_of_one_node(settings)
        connect(settings.runtime)
        require_shared(str(output))
        event("all nodes see the output")
    elif isinstance(output, str):
        require_writable(output)
    elif not data_stage(experiment).finished():  # on a cluster, files are looked for where the data are made
        check_source(settings.data, settings.environment)
    config_file = experiment.directory / CONFIG_FILE
    with alone_in(experiment.directory):
        tracker = experiment.tracker
        config_file.write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False))
        experiment.keep()
        with tracker.parent_run(settings.model_dump(mode="json")) as run:
            run.log_artifact(config_file)
            event("experiment is in MLflow", uri=without_password(tracker.uri))
            return _run_stages(experiment, until)


def require_folder(path: Path, written: str = "output=") -> None:
    """`written` is what people write before it.

    Raises:
        ValueError: `path` or what it would lie in is a file.
    """
    existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise ValueError(f"{written}{path}: {existing} is a file; write {written}FOLDER")


def refuse_a_database_of_one_node(settings: ExperimentSettings) -> None:
    """
    Raises:
        ValueError: results go to a URI, and MLflow's would go to a file of whichever node writes them.
    """
    if settings.output_uri and settings.tracking.enabled and database_file(settings.tracking.uri or "") is not None:
        raise ValueError(
            f"output={settings.output_uri} on a cluster needs a tracking server: set tracking.uri=http://HOST:PORT, "
            "or MLFLOW_TRACKING_URI where the driver runs, or tracking.enabled=false"
        )


def _run_stages(experiment: Experiment, until: StageName) -> Finished:
    train = pretrain_remotely if cluster_address(experiment.settings.runtime) else pretrain
    pretrained = train(experiment)
    done = Finished(experiment, pretrained)
    if until == "pretrain":
        return done
    with board.stage("attack"):
        attacked = attack(experiment, pretrained)
    done = Finished(experiment, pretrained, attacked)
    if until == "attack":
        return done
    with board.stage("finetune"):
        finetuned = finetune(experiment, pretrained, attacked)
    done = Finished(experiment, pretrained, attacked, finetuned)
    if until == "finetune":
        return done
    with board.stage("evaluation"):
        evaluated = evaluate_experiment(experiment, pretrained, attacked, finetuned)
    return Finished(experiment, pretrained, attacked, finetuned, evaluated)


def report(finished: Finished) -> None:
    """Say what came out, and where it lies."""
    if finished.finetune is None:
        return
    name = best_trial(finished.finetune)
    best = next(one for one in trial_outcomes(finished.experiment, finished.finetune) if one.name == name)
    if finished.evaluation:
        say((finished.evaluation.directory / TABLE).read_text())
        say(f"scores and curves: {finished.evaluation.location} ({SUMMARY}, scores.parquet, {TABLE}, curves.png)")
    say(f"best trial: {name}, chosen on validation episodes at {best.best_env_steps:,} steps")
    say(f"its policy: {best.run.stage.shown(best.policy)}")
    if finished.experiment.settings.tracking.enabled:
        say(f"MLflow: {shown_by(finished.experiment.tracker.uri)}")
