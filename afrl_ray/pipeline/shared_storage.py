"""Whether all nodes of a cluster see where results go to; imports little, since every node runs it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from afrl_ray.storage import StorageError, one_line, open_storage


def require_shared(location: str) -> None:
    """Make sure that every node of the joined cluster sees the same `location`, a folder or URI: a file is made here
    and looked for there.

    Raises:
        ValueError: naming the nodes that do not; or the location cannot be written to from here.
    """
    with _probe(location) as probe:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        strategies = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=True) for node in nodes]
        problems = ray.get([_problem.options(scheduling_strategy=strategy).remote(probe) for strategy in strategies])
    blind = {node["NodeManagerAddress"]: problem for node, problem in zip(nodes, problems, strict=True) if problem}
    if blind:
        raise ValueError(
            f"{location} is not on storage that {', '.join(blind)} sees ({next(iter(blind.values()))}); set output, or "
            "AFRL_STORAGE on the cluster, to a place that all nodes share"
        )


@contextmanager
def _probe(location: str) -> Iterator[str]:
    """A file below `location`, for as long as the block runs."""
    filesystem, folder = open_storage(location)
    name = f".probe-{uuid.uuid4().hex}"
    with one_line(location):
        try:
            filesystem.create_dir(folder, recursive=True)
        except FileNotFoundError as error:  # of pyarrow, where the system makes no folders, as in /proc
            message = f"{location} cannot be made: set output, or AFRL_STORAGE on the cluster, to another place"
            raise StorageError(message) from error
        with filesystem.open_output_stream(f"{folder}/{name}"):
            pass
    try:
        yield f"{location}/{name}"
    finally:
        with one_line(location):
            filesystem.delete_file(f"{folder}/{name}")


@ray.remote(num_cpus=0)  # type: ignore[untyped-decorator]
def _problem(file: str) -> str | None:
    """Why this node does not see the file; None where it does."""
    try:
        filesystem, path = open_storage(file)
        with one_line(file), filesystem.open_input_stream(path):
            return None
    except FileNotFoundError:
        return "the file is not there"
    except StorageError as error:
        return str(error)
