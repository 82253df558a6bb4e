"""A cluster whose nodes start when they are needed and end when idle: Ray's autoscaler itself."""

import time
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest

from tests.commands import FAINT
from tests.runtime.conftest import contents
from tests.soak.nodes import IDLE_MINUTES, SECONDS, Cluster
from tests.soak.processes import log, words

pytestmark = pytest.mark.soak

GPU_TYPE = {"ray.io/accelerator-type": "L4"}
NODE_TYPES = {
    "photographs": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 2},
    "training": {
        "resources": {"CPU": 1, "GPU": 1},
        "labels": GPU_TYPE,
        "node_config": {},
        "max_workers": 2,
    },
}
MAY_START = '[{"CPU": 1, "count": 2}, {"CPU": 1, "GPU": 1, "count": 2}]'
ASKED = """
import ray
ray.init()
ray.get(ray.remote(num_cpus=1, num_gpus=1)(lambda: None).remote())
"""


@pytest.fixture(scope="module")
def growing(tmp_path_factory) -> Iterator[Cluster]:
    """A head without processors, whose autoscaler may start two nodes of each type."""
    cluster = Cluster(tmp_path_factory.mktemp("growing"), node_types=NODE_TYPES)
    yield cluster
    cluster.stop()


def started(cluster: Cluster) -> Counter[str]:
    """Return how many nodes of each type run."""
    types = Counter[str]()
    for process in cluster.head.processes("raylet/raylet"):
        try:
            types[process.environ().get("RAY_NODE_TYPE_NAME", "")] += 1
        except psutil.Error:
            continue
    return Counter({name: count for name, count in types.items() if name in NODE_TYPES})


def wait_until_idle(cluster: Cluster) -> None:
    """Wait until the autoscaler has ended all its nodes."""
    ends = time.monotonic() + SECONDS
    while started(cluster):
        assert time.monotonic() < ends, started(cluster)
        time.sleep(IDLE_MINUTES)


def test_photographs_start_nodes_without_gpus_alone_which_end_when_idle(growing, phones, tmp_path):
    data = ("--data", str(phones / "simulated"))
    assert not started(growing)
    out = tmp_path / "runs/preprocess"
    out.parent.mkdir()
    run = growing.popen(
        *("python", "pipelines/preprocess.py", *FAINT, *data),
        home=tmp_path,
        log=log(out),
        CAMID_NODE_TYPES=MAY_START,
    )
    most = Counter[str]()
    while run.poll() is None:
        most |= started(growing)
        time.sleep(0.2)
    assert run.returncode == 0, words(out)
    assert contents(tmp_path / "store") == contents(phones / "store")
    assert most.keys() == {"photographs"}
    wait_until_idle(growing)


def test_what_asks_for_a_gpu_starts_a_node_with_one(growing, tmp_path):
    run = growing.popen("python", "-c", ASKED, home=tmp_path)
    most = Counter[str]()
    while run.poll() is None:
        most |= started(growing)
        time.sleep(0.2)
    assert run.returncode == 0
    assert most == Counter(training=1)
    wait_until_idle(growing)
