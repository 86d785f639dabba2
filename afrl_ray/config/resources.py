"""What each kind of process reserves on the nodes it runs on."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator, model_validator

from afrl_ray.config.base import Settings

_OWN_NAMES = {"CPU": "cpus", "GPU": "gpus"}
_SMALLEST = 1e-4
"""What Ray counts in."""


class ResourceRequest(Settings):
    """One process's share of one node."""

    cpus: NonNegativeFloat = 1.0
    gpus: NonNegativeFloat | None = None
    """GPUs, or a fraction of one; when not given, one where a learner computes on `runtime.device` cuda, else none."""
    custom: dict[str, PositiveFloat] = Field({})
    """Custom resources by the name the nodes have them under, such as {highmem: 1}."""

    @field_validator("custom")
    @classmethod
    def _custom_names_are_not_rays_own(cls, custom: dict[str, float]) -> dict[str, float]:
        for name in custom:
            if name in _OWN_NAMES:
                raise ValueError(f"{name} is no custom resource; write {_OWN_NAMES[name]} beside custom")
            if name in ("memory", "object_store_memory"):
                raise ValueError(f"{name} cannot be reserved here; name a custom resource of your own, such as highmem")
        return custom

    @model_validator(mode="after")
    def _amounts_are_such_as_ray_counts(self) -> "ResourceRequest":
        for name, amount in (("cpus", self.cpus), ("gpus", self.gpus or 0.0), *self.custom.items()):
            if abs(amount / _SMALLEST - round(amount / _SMALLEST)) > 1e-6:
                raise ValueError(f"{name} is {amount:g}, and Ray counts in steps of {_SMALLEST:g}")
        if self.gpus is not None and self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus is {self.gpus:g}; write a share of one GPU, or a whole number of them")
        return self

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing at all."""
        return not (self.cpus or self.gpus or self.custom)


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
