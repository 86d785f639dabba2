"""What an experiment reserves on a cluster, and whether the cluster's nodes could ever give it; no Ray in here."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from afrl_ray.config import ResourceRequest, RuntimeSettings

Resources = Mapping[str, float]
"""Amounts by Ray's names: CPU, GPU, and custom ones."""

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Demand:
    """Bundles that have to be there together, each of them on one node."""

    name: str
    first: Resources
    others: Resources
    count_others: int = 0
    beside: Resources = field(default_factory=dict)
    """What something else keeps reserved on some node meanwhile."""


def cluster_address(runtime: RuntimeSettings) -> str | None:
    """The Ray cluster to join, or None where this machine is enough."""
    return runtime.address or os.environ.get("RAY_ADDRESS")


def bundle(request: ResourceRequest, default_gpus: float = 0.0) -> dict[str, float]:
    """`request` by Ray's names, without what it asks nothing of."""
    gpus = default_gpus if request.gpus is None else request.gpus
    amounts = {"CPU": float(request.cpus), "GPU": float(gpus), **request.custom}
    return {name: amount for name, amount in amounts.items() if amount > 0}


def actor_options(resources: Resources) -> dict[str, object]:
    """`resources` as Ray's `.options(...)` takes them."""
    custom = {name: amount for name, amount in resources.items() if name not in ("CPU", "GPU")}
    return {"num_cpus": resources.get("CPU", 0), "num_gpus": resources.get("GPU", 0), "resources": custom}


def trial_bundles(runtime: RuntimeSettings) -> list[dict[str, float]]:
    """A trial's own bundle, then one for each of its remote env runners."""
    runner = bundle(runtime.resources.env_runner)
    return [bundle(runtime.resources.trial, _learner_gpus(runtime)), *([runner] * runtime.num_env_runners)]


def pretrain_bundle(runtime: RuntimeSettings) -> dict[str, float]:
    request = runtime.resources.pretrain
    cores = max(request.cpus, runtime.pretrain_threads)
    return bundle(request.model_copy(update={"cpus": float(cores)}), _learner_gpus(runtime))


def demands(runtime: RuntimeSettings, *, on_cluster: bool) -> list[Demand]:
    """All that an experiment needs at one time or another; driver and pretraining only where a cluster is joined.

    The driver keeps what it has until all is over, so that everything else has to fit beside it.
    """
    trial = trial_bundles(runtime)
    own = [
        Demand("a trial (runtime.resources.trial)", trial[0], {}),
        Demand("an evaluation task (runtime.resources.evaluation)", bundle(runtime.resources.evaluation), {}),
    ]
    if len(trial) > 1:
        name = f"a trial with {len(trial) - 1} env runners (runtime.resources.trial and .env_runner)"
        own.insert(1, Demand(name, trial[0], trial[1], len(trial) - 1))
    if on_cluster:
        driver = bundle(runtime.resources.driver)
        pretraining = Demand("pretraining (runtime.resources.pretrain)", pretrain_bundle(runtime), {})
        beside = [replace(demand, beside=driver) for demand in (*own, pretraining)] if driver else []
        own += [Demand("the driver (runtime.resources.driver)", driver, {}), pretraining, *beside]
    return own


def room(wanted: Resources, node: Resources) -> float:
    """How many bundles `wanted` fit on an otherwise empty `node`; infinite where nothing is wanted."""
    counts = [(node.get(name, 0.0) + _TOLERANCE) // amount for name, amount in wanted.items()]
    return min(counts, default=float("inf"))


def refusal(wanted: Sequence[Demand], nodes: Sequence[Resources]) -> str | None:
    """The first demand that these nodes could not meet even when idle, and what they have; None where all can be."""
    for demand in wanted:
        if not _can_be_met(demand, nodes):
            asked = describe(demand.first)
            if demand.count_others:
                asked += f" and {demand.count_others} times {describe(demand.others)}"
            never = "which no node can ever give"
            if demand.beside:
                reserved = f"(runtime.resources.driver: {describe(demand.beside)})"
                never = f"which no node can ever give while the driver keeps its own {reserved}"
            return f"{demand.name} asks for {asked}, {never}; the cluster has {_inventory(nodes)}"
    return None


def describe(resources: Resources) -> str:
    """`2 CPU, 1 GPU`; nothing but the resources that can be asked for."""
    return ", ".join(f"{amount:g} {name}" for name, amount in resources.items()) or "nothing"


def _can_be_met(demand: Demand, nodes: Sequence[Resources]) -> bool:
    """Whether the first bundle fits on some node, such that the others, all alike, fit on what is left everywhere."""
    return any(
        sum(room(demand.others, node) for node in left) >= demand.count_others
        for remaining in _without(demand.beside, nodes)
        for left in _without(demand.first, remaining)
    )


def _without(taken: Resources, nodes: Sequence[Resources]) -> Iterator[list[Resources]]:
    """What the nodes have left where `taken` is on one of them, for each that it fits on."""
    for index, node in enumerate(nodes):
        if room(taken, node) >= 1:
            left = {name: amount - taken.get(name, 0.0) for name, amount in node.items()}
            yield [left if position == index else other for position, other in enumerate(nodes)]


def _inventory(nodes: Sequence[Resources]) -> str:
    """`2 nodes of 8 CPU, 1 GPU and 1 node of 4 CPU`, without memory and Ray's own markers of nodes."""
    kinds = Counter(describe(_reservable(node)) for node in nodes)
    return " and ".join(f"{count} node{'s' if count > 1 else ''} of {kind}" for kind, count in kinds.items()) or "none"


def _reservable(node: Resources) -> Resources:
    hidden = ("memory", "object_store_memory")
    return {name: n for name, n in sorted(node.items()) if name not in hidden and not name.startswith("node:")}


def _learner_gpus(runtime: RuntimeSettings) -> float:
    return 1.0 if runtime.device == "cuda" else 0.0
