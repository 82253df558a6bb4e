"""A cluster of several nodes: the results of one machine, whatever becomes of a node on the way."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.runtime.conftest import contents
from tests.soak import test_searches as searches
from tests.soak.nodes import ROOT, Cluster, Node
from tests.soak.test_training_kills import progress, wait_until, words
from tests.test_pipelines import SMALL, pipeline

pytestmark = pytest.mark.soak

STEPS, EVERY, NUM_TRIALS = 18, 6, 3
FAINT = [*SMALL, "--set", "simulate.pattern_strength=0.002"]
"""So that there are errors to be alike in."""
TRAINING = [
    *FAINT,
    *("--set", f"training.num_steps={STEPS}", "--set", f"training.validate_every={EVERY}"),
    *("--set", "training.batch_size=16", "--set", "training.micro_batches=4"),
    *("--set", "pairs.crop_size=64", "--set", "comparisons.crop_size=64"),
    *("--set", "training.learning_rate=0.01", "--set", "training.num_workers=2"),
]
TOLERANCE = 1e-3
"""Of figures of a network that was trained with sums in another order."""
SEARCH = [
    *TRAINING,
    *("--set", f"search.num_trials={NUM_TRIALS}", "--set", "search.scheduler=none"),
    *("--split", "seeded", "--set", "training.num_workers=1"),
]
NUM_DEVICES = 8
SECONDS = 600
WORKER = "ray::"
TASK = f"{WORKER}MapBatches"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """A home with photographs, the store of them and a training, all made on this machine."""
    home = tmp_path_factory.mktemp("here")
    done = pipeline("train_siamese", *TRAINING, home=home, RAY_ADDRESS="local")
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def baselines(here) -> list[dict[str, Any]]:
    """Rows of the baselines, made on this machine."""
    done = pipeline("baselines", *FAINT, home=here, RAY_ADDRESS="local")
    assert done.returncode == 0, done.stderr
    return rows(here / "runs/baselines")


def rows(out: Path) -> list[dict[str, Any]]:
    """Return results, without the time that they took."""
    found = json.loads((out / "results.json").read_text())
    return [{k: v for k, v in row.items() if k != "seconds"} for row in found]


def caught(
    node: Node,
    run: subprocess.Popen[str],
    out: Path,
    *,
    when: Callable[[], bool] = lambda: True,
) -> psutil.Process:
    """Return a process of the node that is held in the middle of a task.

    All workers are held but for a few milliseconds at a time, so that no task is over unseen.
    """
    while True:
        workers = node.processes(WORKER)
        send(signal.SIGSTOP, workers)
        busy = next((each for each in node.processes(TASK) if each in workers), None)
        if busy and when():
            send(signal.SIGCONT, [worker for worker in workers if worker != busy])
            return busy
        send(signal.SIGCONT, workers)
        assert run.poll() is None, words(out)
        time.sleep(0.005)
        send(signal.SIGSTOP, workers)


def send(number: signal.Signals, processes: Iterable[psutil.Process]) -> None:
    """Send a signal to all that are still there."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def started(
    cluster: Cluster, name: str, *options: str, home: Path
) -> tuple[subprocess.Popen[str], Path]:
    """Start a pipeline on the head; return it and its output folder, beside which its words are."""
    out = home / f"runs/{name}"
    out.parent.mkdir()
    command = ("python", f"pipelines/{name}.py", *options)
    return cluster.popen(*command, home=home, log=out.with_suffix(".log")), out


def test_a_late_node_gets_work_and_takes_over_that_of_one_that_is_killed(cluster, here, tmp_path):
    first, _ = cluster.shape(cpus=1)
    data = ("--data", str(here / "simulated"))
    run, out = started(cluster, "preprocess", *FAINT, *data, home=tmp_path)
    caught(first, run, out)  # all the other tasks wait
    late = cluster.start()
    caught(late, run, out).resume()
    first.kill()
    assert run.wait(SECONDS) == 0, words(out)
    assert contents(tmp_path / "store") == contents(here / "store")


def test_preprocessing_leaves_nodes_with_gpus_to_training(cluster, here, tmp_path):
    *_, gpu = cluster.shape(cpus=2)
    data = ("--data", str(here / "simulated"))
    run, out = started(cluster, "preprocess", *FAINT, *data, home=tmp_path)
    assert run.wait(SECONDS) == 0, words(out)
    assert contents(tmp_path / "store") == contents(here / "store")
    addresses = {node["node_id"]: node["node_ip"] for node in cluster.listed("nodes")}
    tasks = [task for task in cluster.listed("tasks") if task["name"].startswith("MapBatches")]
    last = max(task["job_id"] for task in tasks)
    busy = {addresses[task["node_id"]] for task in tasks if task["job_id"] == last}
    assert busy
    assert gpu.address not in busy


def check_alike(out: Path, other: Path) -> None:
    """See that two trainings have the same rows, but for sums that were taken in another order."""
    for row, as_there in zip(rows(out), rows(other), strict=True):
        tolerance = TOLERANCE if row["method"] == "siamese" else 0.0
        assert row == pytest.approx(as_there, abs=tolerance)
    losses, as_there = (
        [row["loss"] for row in progress(folder).history[1:]] for folder in (out, other)
    )
    assert losses == pytest.approx(as_there, abs=TOLERANCE)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """What a user has who has cloned the repository."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("camid", "pipelines", "tune_configs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".rayignore"):
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.mark.parametrize("way", ["address", "job", "working-dir"])
def test_a_cluster_s_results_are_this_machine_s(cluster, here, checkout, tmp_path, way):
    cluster.shape(cpus=2)
    options = [*TRAINING, "--data", str(here / "simulated")]
    pipeline = ["python", "pipelines/train_siamese.py", *options]
    if way != "address":
        told = json.dumps({"env_vars": {"CAMID_HOME": str(tmp_path)}})
        where = ["--working-dir", str(checkout)] if way == "working-dir" else []
        pipeline = ["ray", "job", "submit", *where, "--runtime-env-json", told, "--", *pipeline]
    done = cluster.run(*pipeline, home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(tmp_path / "store") == contents(here / "store")
    check_alike(tmp_path / "runs/train_siamese", here / "runs/train_siamese")


@pytest.mark.parametrize("token", ["wrong", ""])
def test_who_has_not_the_token_is_refused_with_one_sentence(cluster, tmp_path, token):
    cluster.shape(cpus=1)
    stranger = cluster.token(f"home {token}", token) | {"RAY_gcs_server_port_wait_time_s": "2"}
    node = cluster.start(lets_in=stranger)
    pipeline = ("python", "pipelines/preprocess.py", *SMALL)
    refused = cluster.run(*pipeline, home=tmp_path, **stranger)
    assert refused.returncode == 2
    (sentence,) = refused.stderr.splitlines()
    assert sentence.startswith("camid: ")
    assert "token" in sentence
    submitted = cluster.run("ray", "job", "submit", "--", *pipeline, home=tmp_path, **stranger)
    assert submitted.returncode != 0
    assert "token" in submitted.stderr
    assert node.process.wait(SECONDS) != 0
    assert "AuthenticationError" in node.log.read_text()
    assert not [*tmp_path.rglob("*.parquet")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hides a folder from a node")
def test_a_node_that_sees_another_folder_is_named_before_any_work(cluster, here, tmp_path):
    cluster.shape(cpus=1)
    blind = cluster.start(hidden=tmp_path)
    blind.wait()
    data = ("--data", str(here / "simulated"))
    run, out = started(cluster, "preprocess", *FAINT, *data, home=tmp_path)
    assert run.wait(SECONDS) == 2
    (sentence,) = out.with_suffix(".log").read_text().splitlines()
    assert sentence.startswith(f"camid: the node {blind.address} does not see {tmp_path}/store")
    assert not [*tmp_path.rglob("*.parquet")]
    blind.kill()


def test_enrolment_and_scoring_outlive_the_nodes_that_they_began_on(
    cluster, here, baselines, tmp_path
):
    first, second, _ = cluster.shape(cpus=2)
    store = ("--store", str(here / "store"))
    run, out = started(cluster, "baselines", *FAINT, *store, home=tmp_path)
    caught(second, run, out, when=(out / "patterns").exists)
    second.kill()
    caught(first, run, out, when=lambda: len([*(out / "patterns").iterdir()]) == NUM_DEVICES)
    cluster.start().wait()
    first.kill()
    assert run.wait(SECONDS) == 0, words(out)
    assert rows(out) == baselines


def test_a_training_goes_on_with_the_node_that_is_left_of_three(cluster, here, tmp_path):
    nodes = cluster.shape(cpus=2)
    options = [*TRAINING, "--set", "training.min_workers=1", "--store", str(here / "store")]
    run, out = started(cluster, "train_siamese", *options, home=tmp_path)
    wait_until(run, out, step=EVERY)
    left, *_ = (node for node in nodes if node.processes("RayTrainWorker"))
    for node in nodes:
        if node is not left:
            node.kill()
    assert run.wait(SECONDS) == 0, words(out)
    assert "workers start again; training goes on from step" in words(out)
    assert [row["step"] for row in progress(out).history] == list(range(0, STEPS + 1, EVERY))
    check_alike(out, here / "runs/train_siamese")


def test_a_search_that_loses_a_node_ends_every_trial_once(cluster, here, tmp_path):
    nodes = cluster.shape(cpus=2)
    options = [searches.written(tmp_path, "siamese"), *SEARCH, "--store", str(here / "store")]
    run, out = started(cluster, "tune_siamese", *options, home=tmp_path)
    searches.wait_for(run, out, ended=0)
    next(node for node in nodes if node.processes("RayTrainWorker")).kill()
    assert run.wait(SECONDS) == 0, words(out)
    found = searches.trials(out)
    assert [(trial.number, trial.state) for trial in found] == [
        (number, "finished") for number in range(NUM_TRIALS)
    ]
    for trial in found:
        assert [row["step"] for row in trial.validations] == list(range(0, STEPS + 1, EVERY))
