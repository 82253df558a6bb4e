"""What MLflow has not taken is kept, and written later to the same runs."""

import json
import os
import subprocess
import sys
import time

import mlflow
import pytest

from camid.config import Config
from camid.evaluation.result_rows import ResultRow
from camid.io.digested import write_json
from camid.io.folder import Folder
from camid.io.output_layout import LOGBOOK
from camid.runtime.tracking.client import UNWRITTEN, Curves
from camid.runtime.tracking.runs import COMPARISON, Logbook, begin, metrics, training_curves

ROWS = [
    {"step": 1, "loss": 0.7},
    {"step": 2, "loss": 0.6, "validation_auc": 0.8, "validation_eer": 0.2},
    {"step": 3, "loss": 0.5},
]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Folder:
    monkeypatch.setenv("CAMID_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Folder(str(tmp_path / "out"))


def gone() -> str:
    raise ValueError("MLflow does not answer")


def test_curves_that_a_server_has_missed_are_kept_and_written_once(folder):
    lost = Curves(folder, gone)
    for row in ROWS:
        lost.add(row)
    assert not lost.flush()
    assert len(json.loads(folder.read(UNWRITTEN))) == len(ROWS)
    begin(folder, Config(), pipeline="train_siamese")
    curves = training_curves(folder, "siamese", Config())
    curves.add({"step": 4, "loss": 0.4})
    assert curves.flush()
    assert not folder.exists(UNWRITTEN)
    assert training_curves(folder, "siamese", Config()).flush()
    book = Logbook(folder)
    client = mlflow.MlflowClient()
    losses = client.get_metric_history(book.runs["siamese"], "train/loss")
    assert [(point.step, point.value) for point in losses] == [
        (1, 0.7),
        (2, 0.6),
        (3, 0.5),
        (4, 0.4),
    ]
    run = client.get_run(book.runs["siamese"])
    assert run.data.metrics["validation/auc"] == 0.8
    assert run.data.tags["mlflow.parentRunId"] == book.runs[COMPARISON]


OPENS = """
import sys, time
from pathlib import Path
import mlflow
from camid.runtime.tracking.client import open_tracking

Path(sys.argv[1], f"ready-{sys.argv[2]}").touch()
while not Path(sys.argv[1], "go").exists():
    time.sleep(0.01)
open_tracking()
"""


@pytest.mark.soak
def test_commands_that_begin_at_once_make_one_database(tmp_path):
    place, home = tmp_path / "words", tmp_path / "home"
    place.mkdir()
    environment = {**os.environ, "CAMID_HOME": str(home)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-c", OPENS, str(place)]
    commands = [
        subprocess.Popen([*command, str(number)], env=environment, stderr=subprocess.PIPE)
        for number in range(4)
    ]
    while len(list(place.glob("ready-*"))) < len(commands):
        assert all(one.poll() is None for one in commands)
        time.sleep(0.05)
    (place / "go").touch()
    said = [one.communicate()[1] for one in commands]
    assert [one.returncode for one in commands] == [0] * len(commands), said
    client = mlflow.MlflowClient(f"sqlite:///{home}/mlflow.db")
    assert [one.name for one in client.search_experiments()].count("camid") == 1


def test_a_folder_has_its_runs_once_and_others_on_another_server(folder, monkeypatch, tmp_path):
    begin(folder, Config(), pipeline="evaluate")
    first = folder.read(LOGBOOK)
    begin(folder, Config(), pipeline="evaluate")
    assert folder.read(LOGBOOK) == first
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    assert Logbook(folder).runs == {}
    begin(folder, Config(), pipeline="evaluate")
    assert folder.read(LOGBOOK) != first


def test_a_server_that_never_answered_stops_the_work_and_one_that_did_does_not(
    folder, monkeypatch, capsys
):
    dead = "http://127.0.0.1:1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead)
    with pytest.raises(ValueError, match="does not answer"):
        begin(folder, Config(), pipeline="evaluate")
    told = {"server": dead, "runs": {COMPARISON: "0" * 32}, "written": []}
    write_json(folder, LOGBOOK, told)
    begin(folder, Config(), pipeline="evaluate")
    assert "the work goes on" in " ".join(capsys.readouterr().err.split())


def row(num_crops, negatives, **figures):
    return ResultRow(
        kind="pairs",
        method="lukas",
        images="4+4",
        crop_size=num_crops and 128,
        num_crops=num_crops,
        negatives=negatives,
        split="all",
        figures=figures,
    )


def test_all_methods_have_their_figures_under_the_same_names_by_crops():
    rows = [
        row(num_crops, negatives, eer=0.1, eer_low=0.0)
        for num_crops in (1, 40)
        for negatives in ("all", "same-model")
    ]
    found = {(metric.key, metric.step) for metric in metrics(rows)}
    names = ("test/eer", "test/eer_low", "test/same-model/eer", "test/same-model/eer_low")
    assert found == {(name, step) for name in names for step in (1, 40)}
    whole = metrics([row(None, "all", auc=1.0)])
    assert [(metric.key, metric.step) for metric in whole] == [("test/auc", 0)]
