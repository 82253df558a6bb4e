"""MLflow on PostgreSQL, with many writers at once, and killed in the middle."""

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import mlflow
import pytest

from camid.config import Config, load_config
from camid.io.folder import Folder
from camid.training.trials import read_trials
from tests.commands import FAINT, LUKAS, ROOT, SMALL, pipeline
from tests.soak.processes import SECONDS, results, settle, started, wait_for_step, words
from tests.soak.servers import MlflowServer, free_port, postgres
from tests.soak.test_training_kills import EVERY, STEPS, TRAINING

pytestmark = pytest.mark.soak

ROWS = 40
SMALLEST = [
    *("--set", "search.num_trials=3", "--set", "training.num_steps=12"),
    *("--set", "training.batch_size=16", "--set", "training.micro_batches=4"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with postgres() as database:
        made = MlflowServer(tmp_path_factory.mktemp("server"), database=database)
        made.start(workers=2)
        yield made
        made.kill()


def write_curves(folder: str, address: str) -> str:
    """Write a training's curves as one of many writers; return its run."""
    os.environ["MLFLOW_TRACKING_URI"] = address
    from camid.runtime.tracking.runs import begin, training_curves

    begin(Folder(folder), Config(), pipeline="train_siamese")
    curves = training_curves(Folder(folder), "siamese", Config())
    for step in range(ROWS):
        curves.add({"step": step, "loss": step / ROWS, "validation_auc": 0.5 + step / 100})
    assert curves.flush()
    return str(json.loads(Folder(folder).read("mlflow.json"))["runs"]["siamese"])


@pytest.mark.parametrize("writers", [4, pytest.param(16, marks=pytest.mark.long)])
def test_trainings_write_to_postgresql_at_once_and_lose_nothing(server, tmp_path, writers):
    folders = [str(tmp_path / str(number)) for number in range(writers)]
    with ProcessPoolExecutor(writers, mp_context=get_context("spawn")) as pool:
        runs = list(pool.map(write_curves, folders, [server.address] * writers))
    assert len(set(runs)) == writers
    client = mlflow.MlflowClient(server.address)
    for run in runs:
        for name in ("train/loss", "validation/auc"):
            points = client.get_metric_history(run, name)
            assert sorted(point.step for point in points) == list(range(ROWS))


@pytest.mark.long
def test_a_ray_job_searches_on_two_nodes_and_postgresql_has_its_runs(server, two_nodes, tmp_path):
    """`ray job submit -- python pipelines/tune_siamese.py` where camid is installed."""
    from ray.job_submission import JobSubmissionClient

    jobs = JobSubmissionClient(two_nodes.address)
    file = ROOT / "tune_configs/siamese-smoke.yaml"
    places = {"CAMID_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": server.address}
    settings = " ".join([*FAINT, *LUKAS, *SMALLEST])
    job = jobs.submit_job(
        entrypoint=f"{sys.executable} {ROOT}/pipelines/tune_siamese.py {file} {settings}",
        runtime_env={"env_vars": places},
    )
    while not jobs.get_job_status(job).is_terminal():
        time.sleep(1)
    assert jobs.get_job_status(job) == "SUCCEEDED", jobs.get_job_logs(job)
    assert "The winner again" in jobs.get_job_logs(job)
    out = tmp_path / "runs/tune_siamese"
    numbers = list(range(load_config(str(out / "config.yaml")).search.num_trials))
    found = read_trials(Folder(str(out)))
    assert [trial.number for trial in found if trial.has_ended] == numbers
    client = mlflow.MlflowClient(server.address)
    parent = json.loads((out / "mlflow.json").read_text())["runs"][""]
    experiment = client.get_experiment_by_name("camid").experiment_id
    below = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'")
    trials = [run for run in below if "trial" in run.data.tags]
    assert sorted(int(run.data.tags["trial"]) for run in trials) == numbers
    judged = {r.data.tags["method"]: r for r in below if r.data.tags["what"] == "method"}
    rows = {r["method"]: r for r in results(out) if r["negatives"] == "all"}  # at the most crops
    figures = {method: run.data.metrics["test/eer"] for method, run in judged.items()}
    assert figures == {method: row["eer"] for method, row in rows.items()}
    assert set(figures) == {"lukas", "siamese"}
    assert not (tmp_path / "mlflow.db").exists()
    assert "search/winner" in client.get_run(parent).data.metrics
    assert client.get_model_version_by_alias("siamese", "best").run_id in {
        run.info.run_id for run in trials
    }


def test_a_server_that_dies_stops_no_training_and_has_all_of_it_when_it_is_back(
    server, phones, tmp_path
):
    out = tmp_path / "training"
    places = {"MLFLOW_TRACKING_URI": server.address}
    options = [*TRAINING, "--set", "training.num_workers=1", "--store", str(phones / "store")]
    process = started("train_siamese", *options, home=tmp_path, out=out, **places)
    wait_for_step(process, out, EVERY)
    server.kill()
    assert process.wait(SECONDS) == 0, words(out)
    assert "does not answer" in words(out)
    assert "not in MLflow yet: lukas, siamese, " in words(out)
    assert (out / "results.json").exists()
    assert (out / "report.html").exists()
    settle(tmp_path)
    server.start()
    again = started("train_siamese", *options, home=tmp_path, out=out, **places)
    assert again.wait(SECONDS) == 0, words(out)
    assert "finished:" in words(out)
    runs = json.loads((out / "mlflow.json").read_text())["runs"]
    client = mlflow.MlflowClient(server.address)
    for method in ("lukas", "siamese"):
        assert "test/eer" in client.get_run(runs[method]).data.metrics
    points = client.get_metric_history(runs["siamese"], "validation/auc")
    assert sorted(point.step for point in points) == list(range(0, STEPS + 1, EVERY))
    assert len(client.get_metric_history(runs["siamese"], "train/loss")) >= len(points) - 1
    assert not (out / "training/unwritten.json").exists()


def test_a_server_that_is_gone_is_one_sentence_before_the_scoring(phones, tmp_path):
    options = [*SMALL, "--store", str(phones / "store")]
    address = f"http://127.0.0.1:{free_port()}"
    refused = pipeline("baselines", *options, home=tmp_path, MLFLOW_TRACKING_URI=address)
    assert refused.returncode == 2
    assert f"MLflow at {address} does not answer" in refused.stderr
    assert not (tmp_path / "runs/baselines/scores.parquet").exists()
    again = pipeline("baselines", *options, home=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "runs/baselines/scores.parquet").exists()
