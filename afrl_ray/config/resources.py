"""What each kind of process reserves on the nodes it runs on."""

from pydantic import Field, NonNegativeFloat, PositiveFloat

from afrl_ray.config.base import Settings


class ResourceRequest(Settings):
    """One process's share of one node."""

    cpus: NonNegativeFloat = 1.0
    gpus: NonNegativeFloat | None = None
    """GPUs, or a fraction of one; when not given, one where a learner computes on `runtime.device` cuda, else none."""
    custom: dict[str, PositiveFloat] = Field({})
    """Custom resources by the name the nodes have them under, such as {highmem: 1}."""


class TrialRequest(ResourceRequest):
    cpus: float = Field(1.0, ge=1)
    """At least one whole core: a trial computes on one thread without a pause."""


class ResourceSettings(Settings):
    """Nothing runs before a node has all that its process reserves."""

    driver: ResourceRequest = ResourceRequest(cpus=0)
    """The process that walks through the stages; it mostly waits, and without a request it runs on the head node."""
    pretrain: ResourceRequest = ResourceRequest()
    """Pretraining where a cluster is joined; never fewer cores than `runtime.pretrain_threads`."""
    trial: TrialRequest = TrialRequest()
    env_runner: ResourceRequest = ResourceRequest()
    """Each of a trial's `runtime.num_env_runners`."""
    evaluation: ResourceRequest = ResourceRequest()
    """Each task of an attack search or an evaluation."""
