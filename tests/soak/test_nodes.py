"""A cluster of several nodes: the results of one machine, whatever becomes of a node on the way."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.commands import FAINT, LUKAS, SMALL, pipeline
from tests.runtime.conftest import contents
from tests.soak import test_searches as searches
from tests.soak.nodes import Cluster, Node
from tests.soak.processes import SECONDS, log, progress, results, wait_for_step, words

pytestmark = pytest.mark.soak

STEPS, EVERY, NUM_TRIALS = 18, 6, 3
TRAINING = [
    *(*FAINT, *LUKAS),
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
NOTICE = 5
"""Seconds that a cloud leaves a machine that it takes away."""
WORKER = "ray::"
TASK = f"{WORKER}MapBatches"


@pytest.fixture(scope="module")
def baselines(phones, tmp_path_factory) -> list[dict[str, Any]]:
    """Rows of the baselines, made on this machine."""
    home = tmp_path_factory.mktemp("baselines")
    done = pipeline("baselines", *FAINT, "--store", str(phones / "store"), home=home)
    assert done.returncode == 0, done.stderr
    return results(home / "runs/baselines")


@pytest.fixture(scope="module")
def training(phones, tmp_path_factory) -> Path:
    """The folder of a training on this machine."""
    home = tmp_path_factory.mktemp("training")
    done = pipeline("train_siamese", *TRAINING, "--store", str(phones / "store"), home=home)
    assert done.returncode == 0, done.stderr
    return home / "runs/train_siamese"


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
    return cluster.popen(*command, home=home, log=log(out)), out


def test_a_late_node_gets_work_and_takes_over_that_of_one_that_is_killed(cluster, phones, tmp_path):
    first, _ = cluster.shape(cpus=1)
    data = ("--data", str(phones / "simulated"))
    run, out = started(cluster, "preprocess", *FAINT, *data, home=tmp_path)
    caught(first, run, out)  # all the other tasks wait
    late = cluster.start()
    caught(late, run, out).resume()
    first.kill()
    assert run.wait(SECONDS) == 0, words(out)
    assert contents(tmp_path / "store") == contents(phones / "store")


def test_preprocessing_leaves_nodes_with_gpus_to_training(cluster, phones, tmp_path):
    *_, gpu = cluster.shape(cpus=2)
    data = ("--data", str(phones / "simulated"))
    run, out = started(cluster, "preprocess", *FAINT, *data, home=tmp_path)
    assert run.wait(SECONDS) == 0, words(out)
    assert contents(tmp_path / "store") == contents(phones / "store")
    addresses = {node["node_id"]: node["node_ip"] for node in cluster.listed("nodes")}
    tasks = [task for task in cluster.listed("tasks") if task["name"].startswith("MapBatches")]
    last = max(task["job_id"] for task in tasks)
    busy = {addresses[task["node_id"]] for task in tasks if task["job_id"] == last}
    assert busy
    assert gpu.address not in busy


def check_alike(out: Path, other: Path) -> None:
    """See that two trainings have the same rows, but for sums that were taken in another order."""
    for row, as_there in zip(results(out), results(other), strict=True):
        tolerance = TOLERANCE if row["method"] == "siamese" else 0.0
        assert row == pytest.approx(as_there, abs=tolerance)
    losses, as_there = (
        [row["loss"] for row in progress(folder).history[1:]] for folder in (out, other)
    )
    assert losses == pytest.approx(as_there, abs=TOLERANCE)


def test_a_job_with_a_working_directory_gives_this_machine_s_results(
    cluster, phones, baselines, checkout, tmp_path
):
    cluster.shape(cpus=2)
    told = json.dumps({"env_vars": {"CAMID_HOME": str(tmp_path)}})
    done = cluster.run(
        *("ray", "job", "submit", "--working-dir", str(checkout), "--runtime-env-json", told, "--"),
        *("python", "pipelines/baselines.py", *FAINT, "--data", str(phones / "simulated")),
        home=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(tmp_path / "store") == contents(phones / "store")
    assert results(tmp_path / "runs/baselines") == baselines


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


@pytest.mark.usefixtures("as_root")
def test_a_node_that_sees_another_folder_is_named_before_any_work(cluster, phones, tmp_path):
    cluster.shape(cpus=1)
    blind = cluster.start(hidden=tmp_path)
    blind.wait()
    data = ("--data", str(phones / "simulated"))
    run, out = started(cluster, "preprocess", *FAINT, *data, home=tmp_path)
    assert run.wait(SECONDS) == 2
    (sentence,) = log(out).read_text().splitlines()
    assert sentence.startswith(f"camid: the node {blind.address} does not see {tmp_path}/store")
    assert not [*tmp_path.rglob("*.parquet")]
    blind.kill()


def test_enrolment_and_scoring_outlive_the_nodes_that_they_began_on(
    cluster, phones, baselines, tmp_path
):
    first, second, _ = cluster.shape(cpus=2)
    store = ("--store", str(phones / "store"))
    run, out = started(cluster, "baselines", *FAINT, *store, home=tmp_path)
    caught(second, run, out, when=(out / "patterns").exists)
    second.kill()
    caught(first, run, out, when=lambda: len([*(out / "patterns").iterdir()]) == NUM_DEVICES)
    cluster.start().wait()
    first.kill()
    assert run.wait(SECONDS) == 0, words(out)
    assert results(out) == baselines


def test_a_training_goes_on_with_the_node_that_is_left_of_three(
    cluster, phones, training, tmp_path
):
    nodes = cluster.shape(cpus=2)
    options = [*TRAINING, "--set", "training.min_workers=1", "--store", str(phones / "store")]
    run, out = started(cluster, "train_siamese", *options, home=tmp_path)
    wait_for_step(run, out, EVERY)
    left, *_ = (node for node in nodes if node.processes("RayTrainWorker"))
    for node in nodes:
        if node is not left:
            node.kill()
    assert run.wait(SECONDS) == 0, words(out)
    assert "workers start again; training goes on from step" in words(out)
    assert [row["step"] for row in progress(out).history] == list(range(0, STEPS + 1, EVERY))
    check_alike(out, training)


def test_a_training_whose_machine_is_taken_away_goes_on_and_counts_no_failure(
    cluster, phones, tmp_path
):
    nodes = cluster.shape(cpus=2)
    steps, every = 30 * STEPS, 10 * STEPS  # that last longer than what is done here
    options = [*TRAINING, "--set", "training.min_workers=1", "--set", "training.max_failures=0"]
    options += ["--set", f"training.num_steps={steps}", "--set", f"training.validate_every={every}"]
    options += ["--store", str(phones / "store")]
    run, out = started(cluster, "train_siamese", *options, home=tmp_path)
    wait_for_step(run, out, 0)
    *_, taken = (node for node in nodes if node.processes("RayTrainWorker"))
    ids = {node["node_ip"]: node["node_id"] for node in cluster.listed("nodes")}
    told = cluster.run(
        *("ray", "drain-node", "--address", cluster.address, "--node-id", ids[taken.address]),
        *("--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "a dearer user"),
        *("--deadline-remaining-seconds", str(NOTICE)),
        home=tmp_path,
    )
    assert told.returncode == 0, told.stderr
    time.sleep(NOTICE)
    taken.kill()
    assert run.wait(SECONDS) == 0, words(out)
    assert "workers start again; training goes on from step" in words(out)
    assert [row["step"] for row in progress(out).history] == list(range(0, steps + 1, every))


def test_a_search_that_loses_a_node_ends_every_trial_once(cluster, phones, tmp_path):
    nodes = cluster.shape(cpus=2)
    options = [searches.written(tmp_path, "siamese"), *SEARCH, "--store", str(phones / "store")]
    run, out = started(cluster, "tune_siamese", *options, home=tmp_path)
    searches.wait_for_trials(run, out, ended=0)
    next(node for node in nodes if node.processes("RayTrainWorker")).kill()
    assert run.wait(SECONDS) == 0, words(out)
    found = searches.trials(out)
    assert [(trial.number, trial.state) for trial in found] == [
        (number, "finished") for number in range(NUM_TRIALS)
    ]
    for trial in found:
        assert [row["step"] for row in trial.validations] == list(range(0, STEPS + 1, EVERY))
