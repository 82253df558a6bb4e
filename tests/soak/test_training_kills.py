"""A training that is killed goes on from its last checkpoint and ends with all its steps."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from camid.checkpoints import Progress, checkpoint_parts
from tests.test_pipelines import SMALL, pipeline

pytestmark = pytest.mark.soak

ROOT = Path(__file__).parents[2]
STEPS, EVERY = 60, 6
SETTINGS = [
    *SMALL,
    *("--set", f"training.num_steps={STEPS}", "--set", f"training.validate_every={EVERY}"),
    *("--set", "training.batch_size=16", "--set", "training.micro_batches=4"),
    *("--set", "pairs.crop_size=64", "--set", "comparisons.crop_size=64"),
    *("--set", "training.learning_rate=0.01", "--set", "training.num_workers=2"),
]
SECONDS = 600


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("home")
    made = pipeline("preprocess", *SMALL, home=home)
    assert made.returncode == 0, made.stderr
    return home


def started(
    home: Path, out: Path, *options: str, address: str = "local", name: str = "train_siamese"
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, str(ROOT / f"pipelines/{name}.py"), *SETTINGS),
            *("--out", str(out), *options),
        ],
        cwd=home,
        env={**os.environ, "CAMID_HOME": str(home), "RAY_ADDRESS": address},
        stdout=subprocess.DEVNULL,
        stderr=out.with_suffix(".log").open("ab"),
        start_new_session=True,
    )


def words(out: Path) -> str:
    return " ".join(out.with_suffix(".log").read_text().split())


def progress(out: Path) -> Progress:
    file = out / "training/checkpoint.npz"
    return checkpoint_parts(file.read_bytes())[1] if file.exists() else Progress()


def wait_until(
    process: subprocess.Popen[bytes], out: Path, *, step: int, below: int = STEPS + 1
) -> None:
    """Wait for a checkpoint of some steps; it is whole whenever it is looked at."""
    ends = time.monotonic() + SECONDS
    while not step <= progress(out).step < below:
        assert process.poll() is None, words(out)
        assert time.monotonic() < ends, words(out)
        time.sleep(0.05)


def trainers(
    process: subprocess.Popen[bytes], name: str = "RayTrainWorker"
) -> list[psutil.Process]:
    """Return a run's workers of Ray Train; they are children of its raylet."""
    root = psutil.Process(process.pid)
    return [p for p in root.children(recursive=True) if name in " ".join(p.cmdline())]


def check_whole(out: Path, *networks: str) -> None:
    """See that every step was taken once, and validated as often as it should be."""
    steps = [row["step"] for row in progress(out).history]
    assert steps == list(range(0, STEPS + 1, EVERY))
    rows = json.loads((out / "results.json").read_text())
    methods = {"lukas", "li", "classical", "pairnet", *(networks or ["siamese"])}
    assert {row["method"] for row in rows} - {"fused"} == methods


KILLED = {EVERY: "RayTrainWorker", 3 * EVERY: "_QueueActor", 5 * EVERY: "TrainController"}


def test_killed_actors_of_a_training_are_replaced_and_no_step_is_lost(home, tmp_path):
    out = tmp_path / "worker"
    process = started(home, out)
    for step, name in KILLED.items():
        wait_until(process, out, step=step)
        victims = trainers(process, name)
        assert victims
        victims[-1].kill()
    assert process.wait(SECONDS) == 0, words(out)
    assert "workers start again; training goes on from step" in words(out)
    check_whole(out)


def test_a_classifier_s_killed_worker_is_replaced_and_its_driver_goes_on_asking(home, tmp_path):
    out = tmp_path / "classifier"
    options = ("--split", "all", "--set", "comparisons.num_images=[1,1]")
    process = started(home, out, *options, name="train_cnn")
    wait_until(process, out, step=EVERY)
    trainers(process)[-1].kill()
    wait_until(process, out, step=STEPS)
    wait_for_answers(process, out)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = answers(out)
    again = started(home, out, *options, name="train_cnn")
    assert again.wait(SECONDS) == 0, words(out)
    assert "workers start again; training goes on from step" in words(out)
    assert f"training was finished at step {STEPS} of {STEPS}" in words(out)
    assert kept
    assert not answers(out)
    check_whole(out, "cnn")  # no other devices are left to compare


def answers(out: Path) -> set[str]:
    """Return the parts of a classifier's answers that are kept."""
    return {str(path) for path in out.glob("answers/device=*/*.npz")}


def wait_for_answers(process: subprocess.Popen[bytes], out: Path) -> None:
    ends = time.monotonic() + SECONDS
    while not answers(out):
        assert process.poll() is None, words(out)
        assert time.monotonic() < ends, words(out)
        time.sleep(0.01)


def test_a_killed_driver_goes_on_where_it_was_and_fresh_starts_anew(home, tmp_path):
    out = tmp_path / "driver"
    process = started(home, out)
    wait_until(process, out, step=3 * EVERY)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = started(home, out)
    assert again.wait(SECONDS) == 0, words(out)
    assert f"of {STEPS}" in words(out)
    assert "training goes on at step" in words(out)
    check_whole(out)
    before = (out / "results.json").stat().st_mtime_ns
    refused = pipeline("train_siamese", *SETTINGS, "--out", str(out), home=home)
    assert "finished:" in refused.stderr
    assert (out / "results.json").stat().st_mtime_ns == before
    anew = started(home, out, "--fresh")
    wait_until(anew, out, step=0, below=STEPS)
    os.killpg(anew.pid, signal.SIGKILL)
    anew.wait()
