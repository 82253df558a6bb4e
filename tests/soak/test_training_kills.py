"""A training that is killed goes on from its last checkpoint and ends with all its steps."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.commands import FAINT, LUKAS, pipeline
from tests.soak.processes import (
    SECONDS,
    check_alive,
    kill_member,
    progress,
    results,
    settle,
    started,
    wait_for_step,
    words,
)

pytestmark = pytest.mark.soak

STEPS, EVERY = 60, 6
TRAINING = [
    *(*FAINT, *LUKAS),
    *("--set", f"training.num_steps={STEPS}", "--set", f"training.validate_every={EVERY}"),
    *("--set", "training.batch_size=16", "--set", "training.micro_batches=4"),
    *("--set", "pairs.crop_size=64", "--set", "comparisons.crop_size=64"),
    *("--set", "training.learning_rate=0.01", "--set", "training.num_workers=2"),
]
KILLED = {EVERY: "RayTrainWorker", 3 * EVERY: "_QueueActor", 5 * EVERY: "TrainController"}
"""What dies, by the step after which it does; then the driver, with all that it has started."""


def check_whole(out: Path, *methods: str) -> None:
    """See that every step was taken once, and validated as often as it should be."""
    steps = [row["step"] for row in progress(out).history]
    assert steps == list(range(0, STEPS + 1, EVERY))
    assert {row["method"] for row in results(out)} == {"lukas", *methods}


def test_a_training_outlives_each_of_its_processes_and_its_driver_and_loses_no_step(
    phones, tmp_path
):
    out = tmp_path / "training"
    options = [*TRAINING, "--store", str(phones / "store")]
    process = started("train_siamese", *options, home=tmp_path, out=out)
    for step, name in KILLED.items():
        wait_for_step(process, out, step)
        kill_member(process, out, name)
    wait_for_step(process, out, 7 * EVERY)
    assert "workers start again; training goes on from step" in words(out)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    settle(tmp_path)
    again = started("train_siamese", *options, home=tmp_path, out=out)
    assert again.wait(SECONDS) == 0, words(out)
    assert "training goes on at step" in words(out)
    check_whole(out, "siamese")
    before = (out / "results.json").stat().st_mtime_ns
    finished = pipeline("train_siamese", *options, "--out", str(out), home=tmp_path)
    assert "finished:" in finished.stderr
    assert (out / "results.json").stat().st_mtime_ns == before


def test_a_classifier_s_killed_worker_is_replaced_and_its_driver_goes_on_asking(phones, tmp_path):
    out = tmp_path / "classifier"
    options = [*TRAINING, "--split", "all", "--set", "comparisons.num_images=[1,1]"]
    options += ["--set", "training.num_workers=1", "--store", str(phones / "store")]
    process = started("train_cnn", *options, home=tmp_path, out=out)
    wait_for_step(process, out, EVERY)
    kill_member(process, out, "RayTrainWorker")
    wait_for_step(process, out, STEPS)
    ends = time.monotonic() + SECONDS
    while not answers(out):
        check_alive(process, out, ends)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    settle(tmp_path)
    assert answers(out)
    again = started("train_cnn", *options, home=tmp_path, out=out)
    assert again.wait(SECONDS) == 0, words(out)
    assert "workers start again; training goes on from step" in words(out)
    assert f"training was finished at step {STEPS} of {STEPS}" in words(out)
    assert not answers(out)
    check_whole(out, "cnn")  # no other devices are left to compare


def answers(out: Path) -> set[str]:
    """Return the parts of a classifier's answers that are kept."""
    return {str(path) for path in out.glob("answers/device=*/*.npz")}
