"""One list, every method, on a real Ray."""

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest

from camid.comparison.comparison_list import read_list, write_list
from camid.comparison.methods import METHODS
from camid.comparison.sufficient_statistics import scores
from camid.evaluation.fusion import FUSED
from camid.evaluation.published import study_figures
from camid.evaluation.results import fused_scores
from camid.io.csv_tables import csv_rows
from camid.io.folder import Folder
from camid.io.output_layout import (
    DIFFERENCES,
    EVIDENCE,
    LIST,
    REPORT,
    SCORES,
    SECONDS,
    TABLE,
    TIPPETT_POINTS,
)
from camid.runtime.pipelines.workflow import make_baselines, make_evaluation
from camid.runtime.scoring.collect import gather
from camid.store.store import open_store
from tests.runtime.conftest import Place

pytestmark = pytest.mark.usefixtures("ray_here", "home")

METHOD_NAMES = ("lukas", "li", "weighted", "cleaned", "pairnet")
"""One of each kind; that every method tells something is a test of its own."""
DRAWN = [
    f"evaluate.methods=[{','.join(METHOD_NAMES)}]",
    "evaluate.fused=[weighted,lukas]",
    "comparisons.num_pairs=80",
    "comparisons.num_crops=[1,4]",
    "comparisons.num_images=[4,2]",
]
EVERY = {*METHOD_NAMES, FUSED}


def config_of(made: Place, out: str, *settings: str):
    config = made.config(*settings)
    return replace(config, paths=replace(config.paths, data="", out=out))


@pytest.fixture(scope="module")
def drawn(ray_here, made, tmp_path_factory, tracked_home):
    root = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMID_HOME", str(tracked_home(root / "home")))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return make_evaluation(config_of(made, str(root / "out"), *DRAWN))


def test_every_method_has_a_row_for_each_number_of_crops_and_kind_of_negatives(drawn):
    output, rows = drawn
    conditions = {(row.method, row.num_crops, row.negatives) for row in rows}
    kinds = ("all", "different-model", "same-model")
    assert conditions == {(m, n, k) for m in EVERY for n in (1, 4) for k in kinds}
    assert all(row.images == "4+2" for row in rows)
    seconds = {row["method"]: float(row["seconds"]) for row in csv_rows(output.folder, SECONDS)}
    assert {*seconds} == {*METHOD_NAMES}
    assert min(seconds.values()) > 0


def test_a_method_of_the_study_stands_beside_what_the_study_states(drawn):
    output, rows = drawn
    for row in rows:
        stated = study_figures(row.method) if row.negatives == "all" else {}
        assert {k: v for k, v in row.figures.items() if k.startswith("study_")} == stated
        single = [row.figures[f"single_threshold_{name}"] for name in ("eer", "auc", "crossing")]
        assert sum(single[:2]) == pytest.approx(1)
        assert 0 <= single[2] <= 0.5
    table = csv_rows(output.folder, TABLE)
    assert (table[0]["study_images"], table[0]["study_crossing"]) == ("50+1", "0.152")


def test_scores_are_drawn_and_mlflow_has_the_pictures_and_our_figures(drawn):
    output, _ = drawn
    pictures = {"figures/roc.png", "figures/det.png", "figures/histograms.png"}
    pictures |= {"figures/tippett.png"} & {*output.folder.files()}
    drawn_files = {name for name in output.folder.files() if name.endswith(".png")}
    assert drawn_files == pictures
    assert all(output.folder.read(name).startswith(b"\x89PNG") for name in pictures)
    mlflow.set_tracking_uri(f"sqlite:///{Path(output.folder.uri).parent}/home/mlflow.db")
    runs = mlflow.search_runs(["1"], output_format="list")
    (whole,) = [run for run in runs if run.data.tags["what"] == "comparison"]
    files = mlflow.MlflowClient().list_artifacts(whole.info.run_id, "figures")
    assert {file.path for file in files if file.path.endswith(".png")} == pictures
    runs = [run for run in runs if run.data.tags["what"] == "method"]
    assert {run.info.run_name for run in runs} == EVERY
    for run in runs:
        assert run.data.tags["comparison_list"] == read_list(output.folder, LIST).digest
        points = mlflow.MlflowClient().get_metric_history(run.info.run_id, "test/eer")
        assert [point.step for point in points] == [1, 4]
        assert run.data.metrics["test/single_threshold_eer"] <= 0.5
        assert not any("study" in name for name in run.data.metrics)


def test_planted_patterns_are_found_and_more_crops_tell_more(drawn):
    _, rows = drawn
    eer = {(r.method, r.num_crops): r.figures["eer"] for r in rows if r.negatives == "all"}
    for method in EVERY:
        assert eer[method, 4] < 0.25
        assert eer[method, 4] <= eer[method, 1]


def test_every_score_and_difference_is_kept(drawn):
    output, _ = drawn
    listed = read_list(output.folder, LIST)
    table = pq.read_table(f"{output.folder.uri}/{SCORES}")
    assert table.num_rows == len(listed.comparisons) == 80
    assert np.isfinite(np.stack(table["lukas"].to_numpy())).all()
    differences = json.loads(output.folder.read(DIFFERENCES))
    assert {d["method"] for d in differences} == EVERY - {"lukas"}
    assert {d["baseline"] for d in differences} == {"lukas"}


def test_fused_scores_are_those_of_the_methods_that_the_configuration_names(drawn):
    output, rows = drawn
    table = pq.read_table(f"{output.folder.uri}/{SCORES}")
    taken = {name: np.stack(table[name].to_numpy()) for name in ("weighted", "lukas", FUSED)}
    listed = read_list(output.folder, LIST)
    expected = fused_scores(listed, {n: taken[n] for n in ("weighted", "lukas")}, seed=1)
    np.testing.assert_array_equal(taken[FUSED], expected)
    assert all(
        0 <= row.figures["cllr_min"] <= row.figures["cllr"] for row in rows if row.method == FUSED
    )
    report = output.folder.read(REPORT).decode()
    assert "Fused: weighs the scores of several methods" in report
    tippett = csv_rows(output.folder, TIPPETT_POINTS)
    assert FUSED in {row["method"] for row in tippett}


def test_what_is_gathered_is_kept_and_not_gathered_again(drawn, made, tmp_path):
    output, _ = drawn
    assert not output.folder.exists(EVIDENCE)  # a finished run has no use for it
    listed, store = read_list(output.folder, LIST), open_store(str(made.root / "store"))
    folder = Folder(str(tmp_path))
    write_list(folder, LIST, listed)
    how = {"methods": ["weighted", "cleaned"], "num_crops": (1, 4)}
    first, seconds = gather(store, listed, folder, **how)
    assert all(seconds.values())
    parts = sorted((tmp_path / EVIDENCE).iterdir())
    assert {part.name[:6] for part in parts} == {"strip-", "image-"}
    parts[0].unlink()
    kept = {part: part.stat().st_mtime_ns for part in parts[1:]}
    again, _ = gather(store, listed, folder, **how)
    assert sorted((tmp_path / EVIDENCE).iterdir()) == parts
    assert {part: part.stat().st_mtime_ns for part in parts[1:]} == kept
    for name, sums in first.sums.items():
        np.testing.assert_array_equal(again.sums[name], sums)
    told, table = scores(first, METHODS), pq.read_table(f"{output.folder.uri}/{SCORES}")
    np.testing.assert_array_equal(told["cleaned"], np.stack(table["cleaned"].to_numpy()))


def test_a_saved_list_is_scored_as_it_is_and_gives_the_same_scores(drawn, made, tmp_path):
    output, _ = drawn
    named = output.folder.address(LIST)
    settings = ["comparisons.num_crops=[1,4]", f"evaluate.comparisons={json.dumps(named)}"]
    again, found = make_evaluation(
        config_of(made, str(tmp_path / "out"), *settings, "evaluate.methods=[cleaned, lukas]")
    )
    assert {row.method for row in found} == {"lukas", "cleaned"}
    both = [pq.read_table(f"{place.folder.uri}/{SCORES}") for place in (output, again)]
    for method in ("lukas", "cleaned"):
        assert both[0][method] == both[1][method]


def test_a_list_of_too_few_devices_has_no_fusion_and_the_run_says_so(drawn, made, tmp_path, capsys):
    output, _ = drawn
    listed = read_list(output.folder, LIST)
    sides = [{listed.sides[n].device for n in (p.first, p.second)} for p in listed.comparisons]
    two = next(devices for devices in sides if len(devices) == 2)
    pairs = [p for p, of in zip(listed.comparisons, sides, strict=True) if of <= two]
    write_list(Folder(str(tmp_path)), LIST, replace(listed, comparisons=tuple(pairs)))
    named = f"evaluate.comparisons={json.dumps(str(tmp_path / LIST))}"
    settings = ["evaluate.methods=[weighted, lukas]", "evaluate.fused=[weighted, lukas]", named]
    _, rows = make_evaluation(config_of(made, str(tmp_path / "out"), *settings))
    assert {row.method for row in rows} == {"lukas", "weighted"}
    assert "fused is left out: the list has too few devices" in capsys.readouterr().err


def test_a_gallery_has_the_baselines_error_rates(made, tmp_path):
    enrolment = "enrolment.num_background=12"
    _, judged = make_evaluation(
        config_of(
            made,
            str(tmp_path / "out"),
            enrolment,
            "evaluate.comparisons=gallery",
            "evaluate.methods=[lukas]",
        )
    )
    _, rows = make_baselines(config_of(made, str(tmp_path / "baselines"), enrolment))
    (mine,) = [r for r in judged if r.negatives == "all"]
    (theirs,) = [r for r in rows if (r.method, r.negatives) == ("lukas", "all")]
    assert mine.images == theirs.images
    for figure in ("eer", "auc", "rank1"):
        assert mine.figures[figure] == pytest.approx(theirs.figures[figure], abs=0.02)


def test_a_gallery_of_crops_compares_as_many_as_comparisons_says(made, tmp_path):
    crops = ["comparisons.crop_size=64", "comparisons.num_crops=[2]", "enrolment.num_background=12"]
    gallery = ["evaluate.comparisons=gallery-crops", "evaluate.methods=[lukas]"]
    output, (row, *_) = make_evaluation(config_of(made, str(tmp_path / "out"), *crops, *gallery))
    assert (row.crop_size, row.num_crops, row.figures["mean_crops"]) == (64, 2, 2)
    assert "rank1" in row.figures
    listed = read_list(output.folder, LIST)
    assert all(len(pair.crops) == 2 for pair in listed.comparisons)


def test_a_method_that_is_not_there_is_one_sentence(made, tmp_path):
    config = config_of(made, str(tmp_path / "out"), "evaluate.methods=[lucas]")
    with pytest.raises(ValueError, match="no method 'lucas'; there are lukas, li"):
        make_evaluation(config)


def test_a_network_cannot_be_called_as_the_fusion_is(made, tmp_path):
    config = config_of(made, str(tmp_path / "out"), "evaluate.networks=[/absent/fused.keras]")
    with pytest.raises(
        ValueError, match="file cannot be called 'fused': evaluate.fused is; rename"
    ):
        make_evaluation(config)
