"""Searches that lose their driver, a trial's process or a worker, and that choose a store."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from camid.config import load_config
from camid.folder import Folder
from camid.trials import Trial, read_trials
from tests.soak.test_kills import settle
from tests.soak.test_training_kills import trainers, words
from tests.test_pipelines import SMALL, pipeline

pytestmark = pytest.mark.soak

ROOT = Path(__file__).parents[2]
SECONDS = 800
NUM_TRIALS, STEPS, EVERY = 4, 40, 4
SETTINGS = [
    *SMALL,
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


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("home")
    made = pipeline("preprocess", *SMALL, home=home)
    assert made.returncode == 0, made.stderr
    return home


def written(folder: Path, which: str) -> str:
    """Write a configuration that is a search and nothing else; return its path."""
    file = folder / f"{which}.yaml"
    file.write_text(f"search: {{space: {SPACE[which]}}}\n")
    return str(file)


def started(home: Path, out: Path, which: str, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, str(ROOT / f"pipelines/tune_{which}.py"), "--out", str(out)),
            *options,
        ],
        cwd=home,
        env={**os.environ, "CAMID_HOME": str(home), "RAY_ADDRESS": "local"},
        stdout=out.with_suffix(".out").open("ab"),
        stderr=out.with_suffix(".log").open("ab"),
        start_new_session=True,
    )


def trials(out: Path) -> list[Trial]:
    return read_trials(Folder(str(out)))


def wait_for(process: subprocess.Popen[bytes], out: Path, *, ended: int) -> None:
    """Wait until so many trials have ended, and one is in the middle."""
    ends = time.monotonic() + SECONDS
    while True:
        found = trials(out)
        middle = [trial for trial in found if not trial.has_ended and trial.step]
        if sum(trial.has_ended for trial in found) >= ended and middle:
            return
        assert process.poll() is None, words(out)
        assert time.monotonic() < ends, words(out)
        time.sleep(0.1)


def kill(process: subprocess.Popen[bytes], out: Path, name: str) -> None:
    """Kill the newest process of this name in a run, as soon as there is one."""
    while True:
        with suppress(psutil.NoSuchProcess):
            if found := trainers(process, name):
                found[-1].kill()
                return
        assert process.poll() is None, words(out)
        time.sleep(0.05)


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


@pytest.mark.parametrize("which", ["siamese", "cnn"])
def test_a_search_whose_driver_is_killed_goes_on_with_what_had_not_ended(home, tmp_path, which):
    out = tmp_path / which
    process = started(home, out, which, written(tmp_path, which), *SETTINGS)
    wait_for(process, out, ended=1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    settle(home)
    before = {trial.number: trial for trial in trials(out) if trial.has_ended}
    kept = {n: _checkpoint(out, trial).stat().st_mtime_ns for n, trial in before.items()}
    process = started(home, out, which, "--resume")
    assert process.wait(SECONDS) == 0, words(out)
    assert "the search goes on" in words(out)
    after = {trial.number: trial for trial in trials(out)}
    for number, trial in before.items():
        assert after[number] == trial
        assert _checkpoint(out, trial).stat().st_mtime_ns == kept[number]
    check_whole(home, out)
    rows = json.loads((out / "results.json").read_text())
    assert which in {row["method"] for row in rows}
    again = started(home, out, which, "--resume")
    assert again.wait(SECONDS) == 0
    assert "finished:" in words(out)


def _checkpoint(out: Path, trial: Trial) -> Path:
    return out / trial.name / "training/checkpoint.npz"


@pytest.mark.usefixtures("two_nodes")
def test_a_trial_outlives_its_process_and_its_workers_beside_another_ray(home, tmp_path):
    out = tmp_path / "hurt"
    process = started(home, out, "siamese", written(tmp_path, "siamese"), *SETTINGS)
    wait_for(process, out, ended=0)
    kill(process, out, "RayTrainWorker")
    time.sleep(5)
    wait_for(process, out, ended=0)
    kill(process, out, "ImplicitFunc")
    assert process.wait(SECONDS) == 0, words(out)
    check_whole(home, out)


def test_ctrl_c_stops_a_search_with_a_word_and_it_goes_on(home, tmp_path):
    out = tmp_path / "stopped"
    process = started(home, out, "siamese", written(tmp_path, "siamese"), *SETTINGS)
    wait_for(process, out, ended=0)
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 130
    assert "stopped; the same command goes on where it was" in words(out)
    process = started(home, out, "siamese", written(tmp_path, "siamese"), *SETTINGS)
    assert process.wait(SECONDS) == 0, words(out)
    check_whole(home, out)


def test_trials_choose_among_stores_of_the_same_strips(home, tmp_path):
    data = ["--data", str(home / "simulated")]
    other = ["--set", "residual.filter=gaussian", "--store", str(tmp_path / "gaussian")]
    smaller = ["--set", "strips.size=128", "--store", str(tmp_path / "smaller")]
    for options in (other, smaller):
        made = pipeline("preprocess", *SMALL, *data, *options, home=home)
        assert made.returncode == 0, made.stderr
    stores = [str(home / "store"), str(tmp_path / "gaussian")]
    named = ["store", stores[1]]  # of the current folder, and a whole path
    space = f"search.space={{paths: {{store: {{choice: {json.dumps(named)}}}}}}}"
    plain = [*SETTINGS, "--set", "search.scheduler=none", "--set", "training.num_steps=4"]
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    options = [str(empty), *plain, "--out", str(tmp_path / "out")]
    done = pipeline("tune_siamese", *options, "--set", space, home=home)
    assert done.returncode == 0, done.stderr
    found = trials(tmp_path / "out")
    assert {trial.values["paths.store"] for trial in found} == set(stores)
    assert {trial.state for trial in found} == {"finished"}
    for trial in found:
        resolved = load_config(str(tmp_path / "out" / trial.name / "config.yaml"))
        is_other = trial.values["paths.store"] == stores[1]
        assert resolved.residual.filter == ("gaussian" if is_other else "lukas")
    unlike = space.replace(str(tmp_path / "gaussian"), str(tmp_path / "smaller"))
    options = [str(empty), *plain, "--out", str(tmp_path / "unlike")]
    refused = pipeline("tune_siamese", *options, "--set", unlike, home=home)
    assert refused.returncode == 2
    assert "not of the same photographs and strips" in refused.stderr
