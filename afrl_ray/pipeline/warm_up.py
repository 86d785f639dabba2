"""The process that will pretrain on a cluster gets ready while the driver does.

Either imports for some ten seconds what it needs. This module is imported before all that, so that both do at once.
"""

from typing import Any

from afrl_ray.config import RuntimeSettings
from afrl_ray.scheduling import actor_options, cluster_address, pretrain_bundle

_warmed: Any = None


def warm_up(runtime: RuntimeSettings) -> None:
    """Where a cluster is joined, begin to make a process of it ready; on one machine, do nothing."""
    global _warmed
    if not cluster_address(runtime):
        return
    import ray

    from afrl_ray.pipeline.cluster import connect

    connect(runtime)
    task = ray.remote(_import_what_pretraining_needs)
    _warmed = task.options(**actor_options(pretrain_bundle(runtime))).remote()


def warm_node() -> str | None:
    """The id of the node whose process is ready, once it is; None where nobody was asked."""
    global _warmed
    if _warmed is None:
        return None
    import ray

    reference, _warmed = _warmed, None
    return str(ray.get(reference))


def _import_what_pretraining_needs() -> str:
    import ray

    import afrl_ray.pipeline.pretrain  # noqa: F401
    from afrl_ray.tracking.connection import import_mlflow

    import_mlflow()
    return str(ray.get_runtime_context().get_node_id())
