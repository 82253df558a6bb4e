"""Searches that lose their driver, a trial's process or a worker, and that choose a store."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import ray

from camid.config import load_config
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT
from camid.training.checkpoint import checkpoint_parts
from camid.training.trials import Trial, read_trials
from tests.commands import FAINT, LUKAS, pipeline_here
from tests.soak.processes import (
    SECONDS,
    check_alive,
    kill_member,
    results,
    settle,
    started,
    wait_for_words,
    words,
)

pytestmark = pytest.mark.soak

NUM_TRIALS, STEPS, EVERY = 4, 40, 4
SEARCH = [
    *(*FAINT, *LUKAS),
    *("--split", "seeded", "--set", "training.batch_size=16", "--set", "training.micro_batches=4"),
    *("--set", f"training.num_steps={STEPS}", "--set", f"training.validate_every={EVERY}"),
    *("--set", f"search.num_trials={NUM_TRIALS}", "--set", f"search.grace_steps={EVERY}"),
    *("--set", "search.reduction=2"),
]
SPACE = {
    "siamese": "{training: {learning_rate: {loguniform: [1e-3, 1e-1]}}}",
    "cnn": "{classifier: {width: {choice: [0.25, 0.5]}}, training: {learning_rate: {loguniform: "
    "[1e-3, 1e-1]}}}",
}


def written(folder: Path, which: str) -> str:
    """Write a configuration that is a search and nothing else; return its path."""
    file = folder / f"{which}.yaml"
    file.write_text(f"search: {{space: {SPACE[which]}}}\n")
    return str(file)


def trials(out: Path) -> list[Trial]:
    return read_trials(Folder(str(out)))


def wait_for_trials(process: subprocess.Popen[Any], out: Path, *, ended: int) -> None:
    """Wait until so many trials have ended, and one is in the middle."""
    ends = time.monotonic() + SECONDS
    while True:
        found = trials(out)
        middle = [trial for trial in found if not trial.has_ended and trial.step]
        if sum(trial.has_ended for trial in found) >= ended and middle:
            return
        check_alive(process, out, ends)


def check_whole(home: Path, out: Path) -> None:
    """See that every trial ended, once, in MLflow too."""
    from mlflow import MlflowClient

    found = trials(out)
    assert [trial.number for trial in found] == list(range(NUM_TRIALS))
    assert {trial.state for trial in found} <= {"finished", "stopped"}
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    told = json.loads((out / "mlflow.json").read_text())
    below = f"tags.mlflow.parentRunId = '{told['runs']['']}'"
    experiment = client.get_experiment_by_name("camid").experiment_id
    runs = [r for r in client.search_runs([experiment], below) if "trial" in r.data.tags]
    assert sorted(int(run.data.tags["trial"]) for run in runs) == list(range(NUM_TRIALS))
    for run in runs:
        trial = found[int(run.data.tags["trial"])]
        (figure,) = {"validation/auc", "validation/patch_accuracy"} & set(run.data.metrics)
        points = client.get_metric_history(run.info.run_id, figure)
        steps = [row["step"] for row in trial.validations]
        assert sorted(point.step for point in points) == steps  # by time: a lost one comes last
        assert steps == list(range(0, steps[-1] + 1, EVERY))


def ended(out: Path) -> dict[int, tuple[Trial, int]]:
    """Return by number the trials that have ended, and when their checkpoints were written."""
    return {
        trial.number: (trial, (out / trial.name / "training/checkpoint.npz").stat().st_mtime_ns)
        for trial in trials(out)
        if trial.has_ended
    }


@pytest.mark.parametrize("which", ["siamese", pytest.param("cnn", marks=pytest.mark.long)])
def test_a_search_outlives_each_of_its_processes_beside_another_ray_and_takes_up_where_it_was(
    phones, another_ray, tmp_path, which
):
    """A worker and a trial's process die, then the driver; then Ctrl-C stops what goes on."""
    out, name = tmp_path / which, f"tune_{which}"
    options = [written(tmp_path, which), *SEARCH, "--store", str(phones / "store")]
    process = started(name, *options, home=tmp_path, out=out)
    wait_for_trials(process, out, ended=0)
    kill_member(process, out, "RayTrainWorker")
    time.sleep(5)
    wait_for_trials(process, out, ended=0)
    kill_member(process, out, "ImplicitFunc")
    wait_for_trials(process, out, ended=1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    settle(tmp_path)
    before = ended(out)
    process = started(name, "--resume", home=tmp_path, out=out)
    wait_for_words(process, out, "the search goes on")
    wait_for_trials(process, out, ended=1)
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 130, words(out)
    assert "stopped; the same command goes on where it was" in words(out)
    process = started(name, *options, home=tmp_path, out=out)
    assert process.wait(SECONDS) == 0, words(out)
    assert before
    assert before.items() <= ended(out).items()
    check_whole(tmp_path, out)
    assert which in {row["method"] for row in results(out)}
    again = started(name, "--resume", home=tmp_path, out=out)
    assert again.wait(SECONDS) == 0
    assert "finished:" in words(out)


@pytest.fixture
def ray_here():
    ray.init(address="local", num_cpus=2, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("ray_here")
def test_trials_choose_among_stores_of_the_same_strips(phones, tmp_path):
    data = ["--data", str(phones / "simulated")]
    other = ["--set", "residual.filter=gaussian", "--store", str(tmp_path / "gaussian")]
    smaller = ["--set", "strips.size=128", "--store", str(tmp_path / "smaller")]
    for options in (other, smaller):
        made = pipeline_here("preprocess", *FAINT, *data, *options, home=tmp_path)
        assert made.returncode == 0, made.stderr
    (tmp_path / "store").symlink_to(phones / "store")
    stores = [str(tmp_path / "store"), str(tmp_path / "gaussian")]
    named = ["store", stores[1]]  # of the current folder, and a whole path
    space = f"search.space={{paths: {{store: {{choice: {json.dumps(named)}}}}}}}"
    plain = [*SEARCH, "--set", "search.scheduler=none", "--set", "training.num_steps=4"]
    plain += ["--set", "search.num_trials=3"]
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    options = [str(empty), *plain, "--out", str(tmp_path / "out")]
    done = pipeline_here("tune_siamese", *options, "--set", space, home=tmp_path)
    assert done.returncode == 0, done.stderr
    found = trials(tmp_path / "out")
    assert {trial.values["paths.store"] for trial in found} == set(stores)
    assert {trial.state for trial in found} == {"finished"}
    for trial in found:
        resolved = load_config(str(tmp_path / "out" / trial.name / "config.yaml"))
        is_other = trial.values["paths.store"] == stores[1]
        assert resolved.residual.filter == ("gaussian" if is_other else "lukas")
    winner = str(tmp_path / "out/winner.yaml")
    again = str(tmp_path / "again")
    repeated = pipeline_here("train_siamese", winner, "--out", again, home=tmp_path)
    assert repeated.returncode == 0, repeated.stderr
    check_trained_again(tmp_path / "out", tmp_path / "again")
    unlike = space.replace(str(tmp_path / "gaussian"), str(tmp_path / "smaller"))
    options = [str(empty), *plain, "--out", str(tmp_path / "unlike")]
    refused = pipeline_here("tune_siamese", *options, "--set", unlike, home=tmp_path)
    assert refused.returncode == 2
    assert "not of the same photographs and strips" in refused.stderr


def check_trained_again(out: Path, again: Path) -> None:
    """Check that a training has the losses, validations and figures of the search's winner."""
    number = json.loads((out / "search.json").read_text())["winner"]
    (trial,) = [trial for trial in trials(out) if trial.number == number]
    history = checkpoint_parts((again / CHECKPOINT).read_bytes())[1].history
    for figure in ("loss", "validation_auc"):
        first, second = (
            [row[figure] for row in rows if figure in row] for rows in (trial.validations, history)
        )
        assert first
        assert first == pytest.approx(second, rel=1e-3)
    first, second = ([row["eer"] for row in results(folder)] for folder in (out, again))
    assert first == pytest.approx(second, abs=0.1)
