"""The demo: a small one, all of it looked at, and the shipped one, as hard as photographs."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.commands import FAINT, pipeline, pipeline_here

pytestmark = pytest.mark.soak


def test_the_demo_prints_baselines_and_networks_and_keeps_their_rows(demo):
    assert "lukas" in (demo / "stdout").read_text()
    assert re.search(r"^\s*li ", (demo / "stdout").read_text(), re.MULTILINE)
    rows = json.loads((demo / "runs/demo/results.json").read_text())
    baselines = [r for r in rows if r["kind"] == "gallery"]
    assert {row["method"] for row in baselines} == {"lukas", "li"}
    networks = {"siamese", "cnn", "cnn-embedding"}
    methods = {"lukas", "li", "classical", "pairnet"}
    assert {row["method"] for row in rows} - {"fused"} == methods | networks
    assert re.search(r"^\s*siamese +4 ", (demo / "stdout").read_text(), re.MULTILINE)
    assert re.search(r"^\s*cnn-embedding +4 ", (demo / "stdout").read_text(), re.MULTILINE)
    (cnn,) = [r for r in rows if (r["method"], r["negatives"]) == ("cnn", "all")]
    assert cnn["accuracy"] == cnn["rank1"]
    assert (demo / "runs/demo/siamese/siamese.keras").exists()
    assert f"Report: {demo}/runs/demo/report.html" in (demo / "stdout").read_text()
    assert re.search(
        r"simulate [\d.]+ s · preprocess [\d.]+ s · enrol", (demo / "stdout").read_text()
    )
    page = (demo / "runs/demo/report.html").read_text()
    assert all(f"{row['eer']:.4f}" in page for row in baselines)
    assert "simulating 8 phones with 13 photographs each" in (demo / "stderr").read_text()


def test_the_demo_s_network_is_judged_on_devices_that_it_has_not_seen(demo):
    out = demo / "runs/demo/siamese"
    told = json.loads((out / "inputs.json").read_text())
    parts = [set(told[name]) for name in ("trained", "validated", "devices")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 8
    written = {str(path.relative_to(out)) for path in out.rglob("*")}
    assert {"siamese.keras", "history.csv", "figures/learning.png"} <= written
    assert "evidence" not in written


def run_of(demo: Path, method: str) -> tuple[MlflowClient, Run]:
    """Return MLflow and the one run of a method in it."""
    client = MlflowClient(f"sqlite:///{demo}/mlflow.db")
    experiment = client.get_experiment_by_name("camid").experiment_id
    (run,) = client.search_runs([experiment], f"tags.method = '{method}'")
    return client, run


def test_a_training_is_one_run_of_curves_and_test_figures(demo):
    client, run = run_of(demo, "siamese")
    names = {"train/loss", "validation/auc", "validation/eer", "test/eer", "test/auc"}
    assert names <= set(run.data.metrics)
    points = client.get_metric_history(run.info.run_id, "validation/auc")
    assert [point.step for point in points] == [0, 2, 4]


def test_the_demo_again_is_finished_at_once(demo):
    again = pipeline("demo", *FAINT, home=demo)
    assert again.returncode == 0
    assert "finished:" in again.stderr
    assert again.stdout == (demo / "stdout").read_text()


def test_the_demo_s_resolved_configuration_repeats_it(demo):
    again = pipeline_here("demo", "runs/demo/config.yaml", home=demo)
    assert "finished:" in again.stderr


def test_another_configuration_needs_fresh(demo):
    refused = pipeline_here("demo", *FAINT, "--set", "enhancer.alpha=5", home=demo)
    assert refused.returncode == 2
    assert "enhancer.alpha was 7.0, now 5.0" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def classified(demo: Path) -> subprocess.CompletedProcess[str]:
    """What the demo's classifier prints again."""
    return pipeline_here("train_cnn", "runs/demo/cnn/config.yaml", home=demo)


def test_a_classifier_answers_the_queries_that_methods_answer(demo, classified):
    assert classified.returncode == 0, classified.stderr
    assert "finished:" in classified.stderr
    assert "Which of 4 devices?" in classified.stdout
    out = demo / "runs/demo/cnn"
    rows = json.loads((out / "results.json").read_text())
    asked = [row for row in rows if row["split"] == "images"]
    whole = {row["method"]: row for row in asked if row["negatives"] == "all"}
    assert set(whole) == {"lukas", "li", "classical", "cnn"}
    assert len({(row["num_positives"], row["num_negatives"]) for row in whole.values()}) == 1
    assert whole["cnn"]["num_negatives"] == 3 * whole["cnn"]["num_positives"]
    assert all(row["accuracy"] == row["rank1"] for row in whole.values())
    figures = {"vote_accuracy", "patch_accuracy", "model_accuracy", "log_loss", "unknown_accepted"}
    assert figures <= set(whole["cnn"])
    compared = {row["method"] for row in rows if row["split"] != "images"}
    assert compared == {"lukas", "li", "classical", "cnn-embedding"}


def test_a_classifier_keeps_its_tables_and_pictures_and_nothing_it_needed_on_the_way(demo):
    out = demo / "runs/demo/cnn"
    written = {str(path.relative_to(out)) for path in out.rglob("*")}
    pictures = {f"figures/{name}.png" for name in ("confusion", "reliability", "open_set")}
    tables = {"history.csv", "groups.csv", "devices.csv"}
    assert {"cnn.keras", "figures/learning.png"} | tables | pictures <= written
    assert not {"evidence", "answers", "embedding/answers", "embedding/evidence"} & written


def test_other_devices_are_compared_on_the_list_of_the_network_of_pairs(demo):
    lists = [demo / f"runs/demo/{of}/comparisons.parquet" for of in ("siamese", "cnn/embedding")]
    assert lists[0].read_bytes() == lists[1].read_bytes()


def test_a_classifier_s_run_has_curves_and_accuracies(demo):
    _, run = run_of(demo, "cnn")
    names = {"train/loss", "validation/accuracy", "test/rank1", "test/accuracy", "test/eer"}
    assert names <= set(run.data.metrics)


def test_runs_are_compared_by_their_folders_and_by_their_ids(demo):
    folders = [f"runs/demo/{name}" for name in ("siamese", "cnn/embedding")]
    told = pipeline_here("compare", *folders, "--out", "runs/by_folder", home=demo)
    assert told.returncode == 0, told.stderr
    assert re.search(r"^ cnn-embedding +lukas +all others +EER", told.stdout, re.MULTILINE)
    assert "left out, as they scored the same: lukas B, li B, classical B" in told.stderr
    books = [json.loads((demo / folder / "mlflow.json").read_text()) for folder in folders]
    ids = [book["runs"][""] for book in books]
    again = pipeline("compare", *ids, "--out", "runs/by_id", home=demo)
    assert again.returncode == 0, again.stderr
    rows, others = (
        json.loads((demo / f"runs/{out}/differences.json").read_text())
        for out in ("by_folder", "by_id")
    )
    assert rows == others
    assert {row["baseline"] for row in rows} == {"lukas"}
    page = (demo / "runs/by_folder/report.html").read_text()
    assert "Is one method better than another?" in page
    methods = [
        book["runs"][name] for book, name in zip(books, ("siamese", "cnn-embedding"), strict=True)
    ]
    alone = pipeline_here("compare", *methods, "--out", "runs/two", home=demo)
    assert alone.returncode == 0, alone.stderr
    told = json.loads((demo / "runs/two/differences.json").read_text())
    assert {(row["method"], row["baseline"]) for row in told} == {("cnn-embedding", "siamese")}


def test_runs_that_cannot_be_compared_are_one_sentence(demo):
    sentences = {
        (): "no runs to compare",
        ("runs/nowhere",): "runs/nowhere: has no scores",
        ("runs/demo", "runs/demo/siamese"): "no comparison in common",
        ("0" * 32,): f"{'0' * 32}: no such run in MLflow",
    }
    for runs, sentence in sentences.items():
        refused = pipeline_here("compare", *runs, "--out", "runs/refused", home=demo)
        assert refused.returncode == 2
        assert sentence in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_a_run_goes_on_by_what_its_folder_says_alone(demo):
    again = pipeline_here("demo", "--resume", home=demo)
    assert (again.returncode, "finished:" in again.stderr) == (0, True)
    assert again.stdout == (demo / "stdout").read_text()
    for options in (["--fresh"], ["--config", "runs/demo/config.yaml"]):
        refused = pipeline_here("demo", "--resume", *options, home=demo)
        assert refused.returncode == 2
        assert "--resume takes the configuration from --out alone" in refused.stderr
    refused = pipeline_here("tune_cnn", "--resume", home=demo)
    assert refused.returncode == 2
    assert "runs/tune_cnn: nothing to go on with; start without --resume" in refused.stderr


@pytest.mark.long
@pytest.mark.timeout(2700)
def test_the_demo_is_as_hard_as_real_photographs(tmp_path):
    done = pipeline("demo", home=tmp_path, seconds=2400)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "runs/demo"
    every = json.loads((out / "results.json").read_text())
    few = {(r["method"], r["negatives"]): r for r in every if r["kind"] == "pairs"}
    rows = {(r["method"], r["negatives"]): r for r in every if r["kind"] == "gallery"}
    for method in ("lukas", "li"):
        assert 0.03 <= rows[method, "all"]["eer"] <= 0.15
        assert rows[method, "same-model"]["eer"] > rows[method, "different-model"]["eer"]
        assert rows[method, "all"]["num_devices"] >= 6
    network = few["siamese", "all"]  # the last of its rows: at the most crops
    assert network["auc_low"] > 0.5
    (classifier,) = (r for r in every if (r["method"], r["negatives"]) == ("cnn", "all"))
    assert classifier["accuracy"] >= 3 * classifier["chance"]
    assert classifier["accuracy"] > classifier["patch_accuracy"]
    assert ("cnn-embedding", "all") in few
    split = json.loads((out / "data.json").read_text())["split"]
    assert not {*split["test"]} & {*split["train"], *split["validation"]}
    assert "<h1" in (out / "report.html").read_text()
