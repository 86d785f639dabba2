"""Stage: the offline transitions."""

from afrl_ray.config import GeneratedData
from afrl_ray.datasets import Transitions, load_transitions
from afrl_ray.datasets.generated import load_data_policy
from afrl_ray.envs import find_robot
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.progress import progress, say

_FILE = "transitions.npz"


def data_stage(experiment: Experiment) -> Stage:
    settings = experiment.settings
    origin = {}
    if isinstance(settings.data, GeneratedData):
        origin["policy"] = load_data_policy(settings.data, settings.environment).fingerprint()
    return experiment.stage("data", {"data"}, origin)


def load_data(stage: Stage) -> Transitions:
    """The transitions of a finished data stage."""
    return Transitions.load(stage.directory / _FILE)


def make_data(experiment: Experiment) -> tuple[Stage, Transitions]:
    """Load or roll out the configured transitions; afterwards they are one file."""
    stage, settings = data_stage(experiment), experiment.settings
    path = stage.directory / _FILE
    if stage.finished():
        say(f"data: kept, {stage.location}")
        return stage, load_data(stage)
    connect(settings.runtime)  # what can never be had is refused before anything is computed
    stage.begin()
    total = settings.data.transitions or 0
    with progress("data", total, "transitions") as report:
        transitions = load_transitions(
            settings.data, settings.environment, settings.seed, lambda done, _total: report.update(done)
        )
    transitions.save(path)
    returns = transitions.episode_returns()
    robot = find_robot(settings.environment.id)
    outputs = {
        "transitions": len(transitions),
        "episodes": len(returns),
        "mean_return": float(returns.mean()) if len(returns) else None,
        "mean_score": float(robot.normalized_score(returns).mean()) if robot and len(returns) else None,
        "fingerprint": transitions.fingerprint(),
    }
    with experiment.tracker.child_run(
        stage.directory.name, parameters=settings.model_dump(mode="json", include={"data"})
    ) as run:
        run.log_metrics({f"data/{name}": value for name, value in outputs.items() if name != "fingerprint"}, step=0)
        stage.finish(outputs, settings.seed)
    score = f", mean score {outputs['mean_score']:.1f}" if outputs["mean_score"] is not None else ""
    say(f"data: {len(transitions):,} transitions in {len(returns):,} episodes{score}")
    return stage, transitions
