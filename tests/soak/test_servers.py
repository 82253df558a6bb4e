"""A Ray job on two nodes, and a real MLflow server."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.soak.servers import MlflowServer, free_port
from tests.test_pipelines import SMALL

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.soak


@pytest.fixture
def mlflow_server(tmp_path):
    server = MlflowServer(tmp_path)
    server.start()
    yield server.address
    server.kill()


def run(*command: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=home,
        env={**os.environ, "CAMID_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_a_ray_job_runs_the_demo(two_nodes, tmp_path):
    """`ray job submit -- python pipelines/demo.py` where camid is installed."""
    from ray.job_submission import JobSubmissionClient

    client = JobSubmissionClient(two_nodes.address)
    job = client.submit_job(
        entrypoint=f"{sys.executable} {ROOT}/pipelines/demo.py {' '.join(SMALL)}",
        runtime_env={"env_vars": {"CAMID_HOME": str(tmp_path)}},
    )
    while not client.get_job_status(job).is_terminal():
        time.sleep(1)
    assert client.get_job_status(job) == "SUCCEEDED", client.get_job_logs(job)
    rows = json.loads((tmp_path / "runs/demo/results.json").read_text())
    trained = {"siamese", "cnn", "cnn-embedding"}
    methods = {"lukas", "li", "classical", "pairnet"}
    assert {row["method"] for row in rows} - {"fused"} == methods | trained


def test_a_server_gets_the_same_figures_as_the_results_file(mlflow_server, tmp_path):
    script = str(ROOT / "pipelines/demo.py")
    faint = [*SMALL, "--set", "simulate.pattern_strength=0.002"]
    done = run(sys.executable, script, *faint, home=tmp_path, MLFLOW_TRACKING_URI=mlflow_server)
    assert done.returncode == 0, done.stderr
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=mlflow_server)
    experiment = client.get_experiment_by_name("camid")
    every = client.search_runs([experiment.experiment_id])
    runs = [run for run in every if run.data.tags["what"] == "method"]
    outputs = [tmp_path / "runs/demo" / name for name in ("", "siamese", "cnn")]
    rows = [row for out in outputs for row in json.loads((out / "results.json").read_text())]
    place = ("method", "split", "crop_size")
    found = {
        tuple(run.data.tags[name] for name in place): run.data.metrics["test/eer"] for run in runs
    }
    most = {  # later rows have more crops
        tuple(str(row[name]) for name in place): row["eer"]
        for row in rows
        if row["negatives"] == "all"
    }
    assert found == most
    assert len(set(most.values())) > 1
    assert not (tmp_path / "mlflow.db").exists()


def test_a_server_that_is_gone_is_one_sentence_before_the_scoring(tmp_path):
    command = [sys.executable, str(ROOT / "pipelines/baselines.py"), *SMALL]
    address = f"http://127.0.0.1:{free_port()}"
    refused = run(*command, home=tmp_path, MLFLOW_TRACKING_URI=address)
    assert refused.returncode == 2
    assert f"MLflow at {address} does not answer" in refused.stderr
    assert not (tmp_path / "runs/baselines/scores.parquet").exists()
    again = run(*command, home=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "runs/baselines/scores.parquet").exists()
