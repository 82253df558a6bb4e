"""What soak tests share: clusters, a small store and a finished demo that tests only read."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.commands import FAINT, ROOT, pipeline
from tests.soak.nodes import Cluster


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What decides when kills come: ``--seed``, or the same each time."""
    return int(request.config.getoption("--seed"))


@pytest.fixture
def another_ray() -> Iterator[Any]:
    """A Ray of somebody else's on this machine."""
    with _nodes() as cluster:
        yield cluster


@pytest.fixture
def two_nodes() -> Iterator[Any]:
    """A head without processors and two nodes with one each."""
    with _nodes(num_nodes=2) as cluster:
        yield cluster


@contextmanager
def _nodes(*, num_nodes: int = 0) -> Iterator[Any]:
    """Start nodes of Ray on this machine, beside others that have its usual ports."""
    from ray import cluster_utils

    head = {
        "num_cpus": 0,
        "dashboard_agent_listen_port": 0,
        "include_dashboard": True,  # so that a dashboard that does not start fails here
        "dashboard_port": None,  # the next free one of fifty
    }
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    for _ in range(num_nodes):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[..., Path]:
    """Return a function that makes a folder once for all processes of the tests."""
    root = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        root = root.parent  # each process has a folder of its own in it

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def phones(once: Callable[..., Path]) -> Path:
    """A home with faint phones' photographs in ``simulated`` and the ``store`` made of them."""

    def make(home: Path) -> None:
        done = pipeline("preprocess", *FAINT, home=home)
        assert done.returncode == 0, done.stderr

    return once("phones", make)


@pytest.fixture(scope="session")
def demo(once: Callable[..., Path]) -> Path:
    """A home with a finished small demo in ``runs/demo``, its runs in MLflow, what it printed."""

    def make(home: Path) -> None:
        done = pipeline("demo", *FAINT, home=home)
        assert done.returncode == 0, done.stderr
        (home / "stdout").write_text(done.stdout)
        (home / "stderr").write_text(done.stderr)

    return once("demo", make)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster as one is run by hand, without nodes that work yet."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user has who has cloned the repository."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("camid", "pipelines", "tune_configs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".rayignore"):
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture
def as_root() -> None:
    """Only root mounts disks: without such rights a test fails in CI and is skipped elsewhere."""
    if os.geteuid():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs the rights of root")
