"""A Ray cluster as one is run by hand: ``ray start`` on each node, a token, a network in between.

Where root may, each node is a network namespace with an address of its own, which only the nodes
reach; elsewhere nodes are told apart by addresses of this machine's loopback.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.commands import ROOT
from tests.soak.servers import free_port

PROGRAMS = Path(sys.executable).parent
OBJECT_STORE = 150_000_000
SECONDS = 600
STARTED = "Ray runtime started."
TOO_BUSY = "The current node timed out during startup"
"""What ``ray start`` says that heard nothing from the head for 30 s, and has to be called again."""
BRIDGE = "bridge"
FAKE_NODES = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
"""Ray's own provider of nodes that are processes of the head's machine."""
HEAD_TYPE, HEAD_ID = "ray.head.default", "f" * 51 + "00000"
IDLE_MINUTES = 0.05
AUTOSCALER = {
    "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
    "RAY_enable_autoscaler_v2": "1",
    "RAY_FAKE_CLUSTER": "1",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}
HASTE = {"RAY_health_check_period_ms": "200", "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "5"}
"""How soon Ray knows that a node is lost, and that workers have no place there any more."""


def ip(*command: str) -> str:
    """Run iproute2's ``ip``."""
    done = subprocess.run(["ip", *command], check=True, capture_output=True, text=True)
    return done.stdout


def can_part_networks() -> bool:
    """Return whether nodes can have networks of their own: root's, where a container lets it."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    name = f"camid-{os.getpid()}-try"
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError:
        return False
    try:
        ip("-n", name, "link", "add", "one", "type", "veth", "peer", "name", "two")
        ip("-n", name, "link", "add", BRIDGE, "type", "bridge")
    except subprocess.CalledProcessError:
        return False
    finally:
        ip("netns", "del", name)
    return True


@dataclass(kw_only=True)
class Node:
    """What was started as one machine."""

    address: str
    launch: Callable[[], subprocess.Popen[bytes]]
    log: Path
    network: str
    """Its network namespace; empty where it has the machine's."""
    has_gpu: bool

    def __post_init__(self) -> None:
        self.process = self.launch()

    def wait(self) -> None:
        """Wait until the node has joined."""
        ends = time.monotonic() + SECONDS
        while STARTED not in (said := self.log.read_text()):
            if self.process.poll() is not None:
                assert TOO_BUSY in said, said
                self.process = self.launch()
            assert time.monotonic() < ends, said
            time.sleep(0.1)

    def processes(self, name: str = "") -> list[psutil.Process]:
        """Return what runs on the node and has this in its command."""
        found = []
        for number in self._numbers():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(number)
                is_there = process.status() != psutil.STATUS_ZOMBIE
                if is_there and name in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def _numbers(self) -> list[int]:
        if self.network:
            return [int(word) for word in ip("netns", "pids", self.network).split()]
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            return [root.pid, *(process.pid for process in root.children(recursive=True))]
        return []

    def kill(self) -> None:
        """Kill -9 all that runs on the node."""
        while found := self.processes():
            for process in found:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait()


class Cluster:
    """Nodes with one token; programs are started on the head, which has no processors.

    Parameters
    ----------
    folder
        Where logs and home folders are; what nodes write besides is removed at the end.
    node_types
        Of nodes that Ray's autoscaler starts on the head's own machine when they are needed.
    """

    def __init__(
        self, folder: Path, *, node_types: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.folder, self.nodes = folder, list[Node]()
        self.is_parted = can_part_networks()
        self.port, self.dashboard = free_port(), free_port()
        self._temporary = Path(tempfile.mkdtemp(prefix="ray-"))  # paths of sockets are short
        self._name = self._temporary.name
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "CAMID_"))}
        kept.pop("MLFLOW_TRACKING_URI", None)
        self._environment = {**kept, **HASTE, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
        self.lets_in = self.token("home", secrets.token_hex(32))
        self._scaling: list[str] = []
        if node_types:
            self._environment |= AUTOSCALER
            self._scaling = [f"--autoscaling-config={self._autoscaling(node_types)}"]
        self.head = self.start(num_cpus=0)
        self.head.wait()

    def token(self, name: str, token: str = "") -> dict[str, str]:
        """Return the environment of who has a token in the home folder, or none."""
        home = self.folder / name
        (home / ".ray").mkdir(parents=True)
        if token:
            (home / ".ray/auth_token").write_text(token)
        return {"HOME": str(home), "RAY_AUTH_MODE": "token"}

    def _autoscaling(self, node_types: Mapping[str, Mapping[str, Any]]) -> Path:
        """Write a cluster configuration with such nodes, and return its file."""
        head = {"resources": {}, "node_config": {}, "max_workers": 0}
        file = self.folder / "autoscaling.json"  # YAML is a superset
        file.write_text(
            json.dumps(
                {
                    "cluster_name": "started-when-needed",
                    "provider": {
                        "type": "external",
                        "module": FAKE_NODES,
                        "head_node_id": HEAD_ID,
                        "gcs_address": f"{self._network_address(1)}:{self.port}",
                        "launch_multiple": True,
                    },
                    "available_node_types": {HEAD_TYPE: head, **node_types},
                    "head_node_type": HEAD_TYPE,
                    "max_workers": 8,
                    "idle_timeout_minutes": IDLE_MINUTES,
                    "upscaling_speed": 8.0,
                    **{f"{which}_setup_commands": [] for which in ("head", "worker")},
                    **{f"{which}_start_ray_commands": [] for which in ("head", "worker")},
                    **{"auth": {}, "setup_commands": [], "initialization_commands": []},
                    **{"cluster_synced_files": [], "file_mounts": {}},
                }
            )
        )
        return file

    @property
    def address(self) -> str:
        """What ``RAY_ADDRESS`` is set to."""
        return f"{self.head.address}:{self.port}"

    def shape(self, *, cpus: int, gpus: int = 1) -> list[Node]:
        """Have so many nodes of one processor, and with a graphics card besides; return them."""
        found = list[Node]()
        for wanted, has_gpu in ((cpus, False), (gpus, True)):
            there = [n for n in self.nodes[1:] if n.has_gpu == has_gpu and n.processes()]
            for node in there[wanted:]:
                node.kill()
            missing = range(wanted - len(there))
            found += there[:wanted] + [self.start(num_gpus=int(has_gpu)) for _ in missing]
        for node in found:
            node.wait()
        return found

    def start(
        self,
        *,
        num_cpus: int = 1,
        num_gpus: int = 0,
        hidden: Path | None = None,
        lets_in: Mapping[str, str] | None = None,
    ) -> Node:
        """Start a node, which joins a little later.

        Parameters
        ----------
        hidden
            A folder that the node sees empty.
        lets_in
            Its token, if that is another than the cluster's.
        """
        number = len(self.nodes) + 1
        network, address = self._network(number)
        place = (
            ("--head", f"--port={self.port}", f"--dashboard-port={self.dashboard}", *self._scaling)
            if number == 1
            else (f"--address={self.address}",)
        )
        command = [
            *(str(PROGRAMS / "ray"), "start", "--block", "--disable-usage-stats", *place),
            *(f"--node-ip-address={address}", f"--temp-dir={self._temporary}/{number}"),
            *(f"--num-cpus={num_cpus}", f"--num-gpus={num_gpus}"),
            f"--dashboard-agent-listen-port={free_port()}",  # other Rays may have the usual one
            f"--object-store-memory={OBJECT_STORE}",
        ]
        if hidden:
            covered = 'mount -t tmpfs tmpfs "$0" && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", covered, str(hidden), *command]
        log = self.folder / f"node-{number}.log"

        def launch() -> subprocess.Popen[bytes]:
            with log.open("wb") as file:
                return subprocess.Popen(
                    [*_inside(network), *command],
                    cwd=ROOT,  # where jobs without a working directory run
                    env=self._environment | dict(lets_in or self.lets_in),
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )

        node = Node(address=address, launch=launch, log=log, network=network, has_gpu=num_gpus > 0)
        self.nodes.append(node)
        return node

    def _network(self, number: int) -> tuple[str, str]:
        """Return a new node's network namespace and its address there."""
        address = self._network_address(number)
        if not self.is_parted:
            return "", address
        network, head, cable = f"{self._name}-{number}", f"{self._name}-1", f"node{number}"
        ip("netns", "add", network)
        ip("-n", network, "link", "set", "lo", "up")
        if number == 1:
            ip("-n", head, "link", "add", BRIDGE, "type", "bridge")
            plug = BRIDGE
        else:
            plug = "eth0"
            ip("-n", head, "link", "add", cable, "type", "veth", "peer", plug, "netns", network)
            ip("-n", head, "link", "set", cable, "master", BRIDGE, "up")
        ip("-n", network, "address", "add", f"{address}/24", "dev", plug)
        ip("-n", network, "link", "set", plug, "up")
        return network, address

    def _network_address(self, number: int) -> str:
        return f"10.77.0.{number}" if self.is_parted else f"127.0.0.{number}"

    def popen(
        self, *command: str, home: Path, log: Path | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        """Start a program on the head, told where the cluster and ``CAMID_HOME`` are."""
        told = {"RAY_ADDRESS": self.address, "CAMID_HOME": str(home)} | self.lets_in
        with (log or Path(os.devnull)).open("a") as file:
            return subprocess.Popen(
                [*_inside(self.head.network), *command],
                cwd=ROOT,
                env=self._environment | told | environment,
                stdout=subprocess.DEVNULL if log else subprocess.PIPE,
                stderr=file if log else subprocess.PIPE,
                text=True,
                start_new_session=True,
            )

    def run(
        self, *command: str, home: Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the head to its end."""
        with self.popen(*command, home=home, **environment) as process:
            out, err = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def listed(self, what: str) -> list[dict[str, Any]]:
        """Return what Ray knows of its ``nodes`` or ``tasks``."""
        done = self.run("ray", "list", what, "--format=json", "--limit=10000", home=self.folder)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def stop(self) -> None:
        """Kill all nodes and leave nothing of them."""
        for node in self.nodes[::-1]:
            node.kill()
            if node.network:
                ip("netns", "del", node.network)
        shutil.rmtree(self._temporary)


def _inside(network: str) -> list[str]:
    """Return how a command begins that runs in a network namespace."""
    return ["ip", "netns", "exec", network] if network else []
