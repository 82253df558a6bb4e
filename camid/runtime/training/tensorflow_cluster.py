"""Backend of Ray Train that makes a training's workers one TensorFlow cluster.

Ray's own ``TensorflowTrainer`` does so too, but its module imports TensorFlow in the driver, in
the controller and in the process of every trial: about 5 s of a processor and 580 MB each time.
"""

import json
import os
import socket
from typing import Any

import ray
from ray.train.backend import Backend, BackendConfig


class TensorFlowCluster(BackendConfig):  # type: ignore[misc]
    """Ray Train's setting of a group of workers that TensorFlow connects with one another."""

    @property
    def backend_cls(self) -> type[Backend]:
        """Return what Ray Train calls when a group of workers has started."""
        return _Addresses


class _Addresses(Backend):  # type: ignore[misc]
    """Give every worker the addresses of all of them, in order of their ranks."""

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:  # noqa: ARG002
        addresses = worker_group.execute(_free_address)
        ray.get(
            [
                worker_group.execute_single_async(rank, _tell, addresses, rank)
                for rank in range(len(addresses))
            ]
        )


def _tell(addresses: list[str], rank: int) -> None:
    """Set the variable by which a worker's TensorFlow knows all workers and itself."""
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
    os.environ["TF_CONFIG"] = json.dumps(cluster)


def _free_address() -> str:
    """Return this node's address with a port that nothing listens on."""
    host = ray.util.get_node_ip_address()
    is_v6 = ":" in host
    with socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    return f"[{host}]:{port}" if is_v6 else f"{host}:{port}"
