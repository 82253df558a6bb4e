"""Placement of work on the machines of a cluster, running ones and those that may start."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence

NODE_TYPES = "CAMID_NODE_TYPES"
"""The environment's list of nodes that the cluster starts when they are needed, as JSON.

``[{"CPU": 16, "GPU": 1, "memory": 60e9, "count": 4}]``: Ray does not report nodes that may start.
"""
NODE_ID = "ray.io/node-id"
"""The label that Ray gives every node."""
GPU_TYPE = "ray.io/accelerator-type"
"""The label that Ray gives nodes with a GPU."""

Resources = Mapping[str, float]


def working_nodes() -> dict[str, Resources]:
    """Return the resources of the running nodes, by their ids."""
    import ray

    return {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}


def node_resources() -> list[Resources]:
    """Return the resources of all running nodes, and of those that may start besides.

    Raises
    ------
    ValueError
        If :data:`NODE_TYPES` is not a list of nodes.
    """
    working = list(working_nodes().values())
    counts = Counter((node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in working)
    startable: list[Resources] = []
    for kind in _types():
        shape = kind.get("CPU", 0.0), kind.get("GPU", 0.0)
        startable += [kind] * max(0, int(kind.get("count", 1)) - counts[shape])
    return working + startable


def num_cpus() -> int:
    """Return the number of processors available for work."""
    return max(1, int(sum(node.get("CPU", 0.0) for node in node_resources())))


def largest_memory() -> int:
    """Return the memory, bytes, that Ray grants to tasks on the largest node that they run on."""
    nodes = [node for node in node_resources() if node.get("CPU")]
    without_gpu = [node for node in nodes if not node.get("GPU")]
    return int(max((node.get("memory", 0.0) for node in without_gpu or nodes), default=0.0))


def apart_from_gpus() -> dict[str, str]:
    """Return the labels of nodes without GPUs, if such nodes have processors; else none.

    They exclude running nodes with GPUs, and those that may start if their label says a type of
    GPU that Ray knows.
    """
    from ray.util import accelerators

    with_gpus = [name for name, node in working_nodes().items() if node.get("GPU")]
    has_others = any(node.get("CPU") and not node.get("GPU") for node in node_resources())
    if not has_others:
        return {}
    gpu_types = {str(value) for name, value in vars(accelerators).items() if name.isupper()}
    selector = {GPU_TYPE: f"!in({','.join(sorted(gpu_types))})"}
    if with_gpus:
        selector[NODE_ID] = f"!in({','.join(sorted(with_gpus))})"
    return selector


def has_gpus() -> bool:
    """Return whether a running node has a GPU."""
    return any(node.get("GPU") for node in working_nodes().values())


def most_tasks() -> int | None:
    """Return the limit of single-processor tasks if all nodes have GPUs, else ``None``.

    One processor per GPU is left free for a training on that GPU.
    """
    nodes = [node for node in node_resources() if node.get("CPU")]
    if not nodes or not all(node.get("GPU") for node in nodes):
        return None
    return max(1, int(sum(node["CPU"] - node["GPU"] for node in nodes)))


def check_processors() -> None:
    """Raise if no node has processors, neither a running one nor one that may start.

    Raises
    ------
    ValueError
        If there are no processors.
    """
    if not any(node.get("CPU") for node in node_resources()):
        raise ValueError(
            "Ray has no processors for work; start workers, or state in "
            f"{NODE_TYPES} what the cluster starts by itself"
        )


def _types() -> Sequence[dict[str, float]]:
    text = os.environ.get(NODE_TYPES, "[]")
    try:
        kinds = [{str(k): float(v) for k, v in kind.items()} for kind in json.loads(text)]
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            f'{NODE_TYPES}: expected JSON such as [{{"CPU": 16, "GPU": 1, "count": 4}}], '
            f"got {text!r}"
        ) from None
    return kinds
