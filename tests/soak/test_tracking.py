"""MLflow on PostgreSQL, with many writers at once, and killed in the middle."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import mlflow
import pytest

from camid.config import Config, load_config
from camid.folder import Folder
from camid.trials import read_trials
from tests.soak.servers import MlflowServer, postgres
from tests.soak.test_kills import settle
from tests.soak.test_training_kills import EVERY, SETTINGS, STEPS, wait_until, words
from tests.test_pipelines import SMALL, pipeline

pytestmark = pytest.mark.soak

ROOT = Path(__file__).parents[2]
WRITERS, ROWS = 16, 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with postgres() as database:
        made = MlflowServer(tmp_path_factory.mktemp("server"), database=database)
        made.start(workers=2)
        yield made
        made.kill()


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("home")
    made = pipeline("preprocess", *SMALL, home=home)
    assert made.returncode == 0, made.stderr
    return home


def started(home: Path, out: Path, name: str, *options: str, **environment: str):
    return subprocess.Popen(
        [sys.executable, str(ROOT / f"pipelines/{name}.py"), "--out", str(out), *options],
        cwd=home,
        env={**os.environ, "CAMID_HOME": str(home), "RAY_ADDRESS": "local", **environment},
        stdout=subprocess.DEVNULL,
        stderr=out.with_suffix(".log").open("ab"),
        start_new_session=True,
    )


def write_curves(folder: str, address: str) -> str:
    """Write a training's curves as one of many writers; return its run."""
    os.environ["MLFLOW_TRACKING_URI"] = address
    from camid.runtime.logbook import begin, training_curves

    begin(Folder(folder), Config(), pipeline="train_siamese")
    curves = training_curves(Folder(folder), "siamese", Config())
    for step in range(ROWS):
        curves.add({"step": step, "loss": step / ROWS, "validation_auc": 0.5 + step / 100})
    assert curves.flush()
    return str(json.loads(Folder(folder).read("mlflow.json"))["runs"]["siamese"])


def test_sixteen_trainings_write_to_postgresql_at_once_and_lose_nothing(server, tmp_path):
    folders = [str(tmp_path / str(number)) for number in range(WRITERS)]
    with ProcessPoolExecutor(WRITERS, mp_context=get_context("spawn")) as pool:
        runs = list(pool.map(write_curves, folders, [server.address] * WRITERS))
    assert len(set(runs)) == WRITERS
    client = mlflow.MlflowClient(server.address)
    for run in runs:
        for name in ("train/loss", "validation/auc"):
            points = client.get_metric_history(run, name)
            assert sorted(point.step for point in points) == list(range(ROWS))


def test_a_ray_job_searches_on_two_nodes_and_postgresql_has_its_runs(server, two_nodes, tmp_path):
    """`ray job submit -- python pipelines/tune_siamese.py` where camid is installed."""
    from ray.job_submission import JobSubmissionClient

    jobs = JobSubmissionClient(two_nodes.address)
    file = ROOT / "tune_configs/siamese-smoke.yaml"
    places = {"CAMID_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": server.address}
    job = jobs.submit_job(
        entrypoint=f"{sys.executable} {ROOT}/pipelines/tune_siamese.py {file}",
        runtime_env={"env_vars": places},
    )
    while not jobs.get_job_status(job).is_terminal():
        time.sleep(1)
    assert jobs.get_job_status(job) == "SUCCEEDED", jobs.get_job_logs(job)
    assert "The winner again" in jobs.get_job_logs(job)
    out = tmp_path / "runs/tune_siamese"
    numbers = list(range(load_config(str(file)).search.num_trials))
    found = read_trials(Folder(str(out)))
    assert [trial.number for trial in found if trial.has_ended] == numbers
    client = mlflow.MlflowClient(server.address)
    parent = json.loads((out / "mlflow.json").read_text())["runs"][""]
    experiment = client.get_experiment_by_name("camid").experiment_id
    below = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'")
    trials = [run for run in below if "trial" in run.data.tags]
    assert sorted(int(run.data.tags["trial"]) for run in trials) == numbers
    methods = {run.data.tags["method"] for run in below if run.data.tags["what"] == "method"}
    assert methods - {"fused"} == {"lukas", "li", "classical", "pairnet", "siamese"}
    assert "search/winner" in client.get_run(parent).data.metrics
    assert client.get_model_version_by_alias("siamese", "best").run_id in {
        run.info.run_id for run in trials
    }


def test_a_server_that_dies_stops_no_training_and_has_all_of_it_when_it_is_back(
    server, home, tmp_path
):
    out = tmp_path / "training"
    places = {"MLFLOW_TRACKING_URI": server.address}
    process = started(home, out, "train_siamese", *SETTINGS, **places)
    wait_until(process, out, step=EVERY)
    server.kill()
    assert process.wait(900) == 0, words(out)
    assert "does not answer" in words(out)
    assert "not in MLflow yet: lukas, li, classical, pairnet, siamese, " in words(out)
    assert (out / "results.json").exists()
    assert (out / "report.html").exists()
    settle(home)
    server.start()
    again = started(home, out, "train_siamese", *SETTINGS, **places)
    assert again.wait(900) == 0, words(out)
    assert "finished:" in words(out)
    runs = json.loads((out / "mlflow.json").read_text())["runs"]
    client = mlflow.MlflowClient(server.address)
    for method in ("lukas", "li", "classical", "pairnet", "siamese"):
        assert "test/eer" in client.get_run(runs[method]).data.metrics
    points = client.get_metric_history(runs["siamese"], "validation/auc")
    assert sorted(point.step for point in points) == list(range(0, STEPS + 1, EVERY))
    assert len(client.get_metric_history(runs["siamese"], "train/loss")) >= len(points) - 1
    assert not (out / "training/unwritten.json").exists()
