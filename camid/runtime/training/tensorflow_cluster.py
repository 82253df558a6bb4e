"""Backend of Ray Train that joins a training's workers into one TensorFlow cluster.

Ray's own ``TensorflowTrainer`` does the same, but its module imports TensorFlow in the driver, in
the controller and in the process of every trial: about 5 s of a processor and 580 MB each time.
"""

import json
import os
import socket
from typing import Any

import ray
from ray.train.backend import Backend, BackendConfig


class TensorFlowCluster(BackendConfig):  # type: ignore[misc]
    """Ray Train's settings of a group of workers that TensorFlow connects with one another."""

    @property
    def backend_cls(self) -> type[Backend]:
        """Return the backend that Ray Train calls when a group of workers has started."""
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


_reserved: list[socket.socket] = []
"""Sockets that keep this process's port from others until TensorFlow listens on it."""


def _tell(addresses: list[str], rank: int) -> None:
    """Set ``TF_CONFIG``, from which a worker's TensorFlow knows all workers and its own rank."""
    tf_config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
    os.environ["TF_CONFIG"] = json.dumps(tf_config)
    os.environ["TF_GRPC_REUSE_PORT"] = "1"  # it is bound here too


def _free_address() -> str:
    """Reserve a free port for this process, and return this node's address with it."""
    host = ray.util.get_node_ip_address()
    is_v6 = ":" in host
    reserved = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("", 0))
    _reserved.append(reserved)
    port = reserved.getsockname()[1]
    return f"[{host}]:{port}" if is_v6 else f"{host}:{port}"
