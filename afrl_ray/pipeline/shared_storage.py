"""Whether all nodes of a cluster see the folder that results go to; imports little, since every node runs it."""

import uuid
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def require_shared(directory: Path) -> None:
    """Make sure that every node of the joined cluster sees the same `directory`: a file is made here and looked for
    there.

    Raises:
        ValueError: naming the nodes that do not.
    """
    directory.mkdir(parents=True, exist_ok=True)
    probe = directory / f".probe-{uuid.uuid4().hex}"
    probe.touch()
    nodes = [node for node in ray.nodes() if node["Alive"]]
    strategies = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=True) for node in nodes]
    try:
        seen = ray.get([_sees.options(scheduling_strategy=strategy).remote(probe) for strategy in strategies])
    finally:
        probe.unlink()
    blind = [node["NodeManagerAddress"] for node, sees in zip(nodes, seen, strict=True) if not sees]
    if blind:
        raise ValueError(
            f"{directory} is not on storage that {', '.join(blind)} sees; set output, or AFRL_STORAGE on the cluster, "
            "to a folder that all nodes share"
        )


@ray.remote(num_cpus=0)  # type: ignore[untyped-decorator]
def _sees(file: Path) -> bool:
    return file.exists()
