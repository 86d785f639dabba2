"""Stage: the offline transitions."""

from afrl_ray.config import DataSettings, GeneratedData
from afrl_ray.datasets import Transitions, load_transitions, source_fingerprint
from afrl_ray.datasets.generated import load_data_policy
from afrl_ray.envs import find_robot
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.progress import progress, say

_FILE = "transitions.npz"
_SOURCE = "source"


def data_stage(experiment: Experiment) -> Stage:
    settings = experiment.settings
    origin = {}
    if isinstance(settings.data, GeneratedData):
        origin["policy"] = load_data_policy(settings.data, settings.environment).fingerprint()
    return experiment.stage("data", "data", origin)


def refuse_other_data(stage: Stage, settings: DataSettings) -> None:
    """
    Raises:
        ValueError: the stage is finished, and was made from another file than is there now.
    """
    if isinstance(settings, GeneratedData) or (manifest := stage.finished()) is None:
        return
    made_from, now = manifest["outputs"].get(_SOURCE), source_fingerprint(settings)
    if None not in (made_from, now) and made_from != now:
        raise ValueError(
            f"the data set {settings.dataset} is not the one that {stage.location} was made from, and "
            "all that comes after it; write another output folder, or move that one away"
        )


def load_data(stage: Stage) -> Transitions:
    """The transitions of a finished data stage."""
    return Transitions.load(stage.directory / _FILE)


def make_data(experiment: Experiment) -> tuple[Stage, Transitions]:
    """Load or roll out the configured transitions; afterwards they are one file."""
    stage, settings = data_stage(experiment), experiment.settings
    path = stage.directory / _FILE
    refuse_other_data(stage, settings.data)
    if stage.finished():
        say(f"data: kept, {stage.location}")
        transitions = load_data(stage)
        settings.require_room_for(len(transitions))
        return stage, transitions
    connect(settings.runtime)  # what can never be had is refused before anything is computed
    stage.begin()
    total = settings.data.transitions or 0
    with progress("data", total, "transitions") as report:
        transitions = load_transitions(
            settings.data, settings.environment, settings.seed, lambda done, _total: report.update(done)
        )
    settings.require_room_for(len(transitions))
    transitions.save(path)
    returns = transitions.episode_returns()
    robot = find_robot(settings.environment.id)
    outputs = {
        "transitions": len(transitions),
        "episodes": len(returns),
        "mean_return": float(returns.mean()) if len(returns) else None,
        "mean_score": float(robot.normalized_score(returns).mean()) if robot and len(returns) else None,
        "fingerprint": transitions.fingerprint(),
        _SOURCE: source_fingerprint(settings.data),
    }
    plain = {f"data/{name}": value for name, value in outputs.items() if name not in ("fingerprint", _SOURCE)}
    with experiment.tracker.child_run(
        stage.directory.name, parameters=settings.model_dump(mode="json", include={"data"})
    ) as run:
        run.log_metrics(plain, step=0)
        stage.finish(outputs, settings.seed)
    score = f", mean score {outputs['mean_score']:.1f}" if outputs["mean_score"] is not None else ""
    say(f"data: {len(transitions):,} transitions in {len(returns):,} episodes{score}")
    return stage, transitions
