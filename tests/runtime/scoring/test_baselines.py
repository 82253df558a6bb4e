import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest

from camid.comparison.comparison_list import read_list
from camid.comparison.fingerprint_file import FingerprintFile, fingerprint_name
from camid.config import load_config
from camid.dataset.simulate import phones
from camid.io.folder import Folder
from camid.io.images import pixels
from camid.io.output_layout import LIST
from camid.prnu.correlation import ncc
from camid.prnu.enhancers import enhanced_wavelet
from camid.prnu.luminance import grey
from camid.prnu.residual import residual
from camid.runtime.pipelines.workflow import make_baselines
from camid.runtime.run_folder.output import claimed
from camid.runtime.run_folder.stage_times import stage_seconds
from camid.store.store import open_store
from tests.reference.baselines import PlainBaselines, enhancer_5
from tests.runtime.conftest import Place

pytestmark = pytest.mark.usefixtures("ray_here")


@pytest.fixture(scope="module")
def scored(made, tmp_path_factory, tracked_home):
    """The baselines run once on the small store: configuration, output folder and rows."""
    root = tmp_path_factory.mktemp("scored")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMID_HOME", str(tracked_home(root / "home")))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        config = made.config()
        config = replace(config, paths=replace(config.paths, data="", out=str(root / "out")))
        _, rows = make_baselines(config)
    return config, root, rows


def model_4(plane, *, alpha=7.0):
    """Return max(1 − |n| / α, 0) of every sample n, with its sign; +1 at 0."""
    return np.where(plane < 0, -1, 1) * np.maximum(1 - np.abs(plane) / alpha, 0)


def row(rows, method, negatives="all"):
    (found,) = [r for r in rows if (r.method, r.negatives) == (method, negatives)]
    return found


def test_both_methods_are_judged_and_same_model_impostors_apart(scored):
    _, _, rows = scored
    assert {(r.method, r.negatives) for r in rows} == {
        (method, negatives)
        for method in ("lukas", "li")
        for negatives in ("all", "same-model", "different-model")
    }
    for found in rows:
        assert (found.images, found.crop_size, found.split) == ("12+1", None, "all")
        assert 0 <= found.figures["eer"] <= 0.5 <= found.figures["auc"] <= 1
    assert row(rows, "lukas").figures["num_positives"] == 30
    assert row(rows, "lukas").figures["num_negatives"] == 30 * 5
    assert row(rows, "lukas", "same-model").figures["num_negatives"] == 30


def test_strong_patterns_are_recognised(scored):
    _, _, rows = scored
    assert row(rows, "lukas").figures["rank1"] == 1
    assert row(rows, "lukas").figures["auc"] > 0.99
    assert row(rows, "li").figures["auc"] > 0.95


def test_patterns_show_what_was_planted(scored):
    config, _, _ = scored
    planted = {p.device: p.pattern() for p in phones(config.simulate, seed=config.seed)}
    for device in planted:
        with FingerprintFile(Folder(config.paths.out) / "patterns", device) as file:
            assert list(file.positions) == [(0, 0), (0, 256)]
            found = file.read((0, 256))
        own = ncc(found, planted[device][:256, 256:512])
        others = [ncc(found, p[:256, 256:512]) for d, p in planted.items() if d != device]
        assert own > 0.3
        assert max(others) < 0.05


def test_scores_are_the_correlation_of_the_photograph_s_own_residual(made, scored):
    """From the photographs again, without a store: quantisation is all that may differ."""
    config, root, _ = scored
    table = pq.read_table(root / "out/scores.parquet").slice(0, 24)
    listed, store = read_list(Folder(config.paths.out), LIST), open_store(config.paths.store)
    place = {image.sha256: image.path for image in store.images()}
    devices = [side.device for side in listed.sides]
    for row in table.to_pylist()[::6]:
        with FingerprintFile(Folder(config.paths.out) / "patterns", devices[row["first"]]) as file:
            pattern = np.hstack([file.read(position) for position in file.positions])
        (sha256,) = listed.sides[row["second"]].images
        assert row["image_id"] in place[sha256]
        noise = grey(residual(pixels(Path(place[sha256]).read_bytes())))
        np.testing.assert_allclose(row["lukas"], ncc(noise, pattern), atol=2e-3)
        np.testing.assert_allclose(row["li"], ncc(enhanced_wavelet(noise), pattern), atol=4e-3)


def test_scores_are_those_of_the_plain_reference(scored):
    config, root, _ = scored
    listed, store = read_list(Folder(config.paths.out), LIST), open_store(config.paths.store)
    plain, table = PlainBaselines(listed, store), pq.read_table(root / "out/scores.parquet")
    numbers = range(0, len(listed.comparisons), 37)
    for method, enhance in (("lukas", lambda plane: plane), ("li", enhancer_5)):
        found = [table[method][number].as_py()[0] for number in numbers]
        np.testing.assert_allclose(found, plain.scores(numbers, enhance=enhance), atol=2e-6)


def test_the_enhancer_s_settings_reach_the_method(made, tmp_path, home):
    settings = ["enhancer.domain=spatial", "enhancer.model=4", "enhancer.alpha=2"]
    config = made.config(*settings)
    config = replace(config, paths=replace(config.paths, data="", out=str(tmp_path / "out")))
    make_baselines(config)
    listed, store = read_list(Folder(config.paths.out), LIST), open_store(config.paths.store)
    table, numbers = pq.read_table(tmp_path / "out/scores.parquet"), range(0, 180, 71)
    found = [table["li"][number].as_py()[0] for number in numbers]
    expected = PlainBaselines(listed, store).scores(numbers, enhance=partial(model_4, alpha=2))
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_every_score_every_device_and_every_picture_is_kept(scored):
    config, root, _ = scored
    assert pq.read_table(root / "out/scores.parquet").num_rows == 30 * 6
    lines = (root / "out/devices.csv").read_text().splitlines()
    assert len(lines) == 7
    assert lines[1].startswith("100,Aurora A1,512,256,12,12,5,1.0000")
    for name in ("roc", "histograms", "matrix", "patterns"):
        assert (root / f"out/figures/{name}.png").read_bytes().startswith(b"\x89PNG")
    assert load_config(str(root / "out/config.yaml")) == config


def test_the_report_tells_of_every_method_the_data_and_the_time(scored):
    _, root, rows = scored
    page = " ".join((root / "out/report.html").read_text().split())
    for method in ("lukas", "li"):
        assert f"{row(rows, method).figures['auc']:.4f}" in page
    assert page.count("data:image/png;base64,") == 6
    assert f"{row(rows, 'lukas').figures['eer_high']:.2f}" in page
    assert "Simulated phones, not photographs" in page
    assert "6 simulated phones" in page
    for stage in ("Enrol", "Score", "Figures", "Tracking"):
        assert f">{stage}</th>" in page


def test_mlflow_lines_the_methods_up(scored):
    config, root, rows = scored
    mlflow.set_tracking_uri(f"sqlite:///{root}/home/mlflow.db")
    client = mlflow.MlflowClient()
    every = mlflow.search_runs(["1"], output_format="list")
    runs = {r.info.run_name: r for r in every if r.data.tags["what"] == "method"}
    assert set(runs) == {"lukas", "li"}
    (whole,) = [run for run in every if run.data.tags["what"] == "comparison"]
    held = {file.path for file in client.list_artifacts(whole.info.run_id)}
    assert {"config.yaml", "results.csv", "scores.parquet", "devices.csv", "figures"} <= held
    assert {"report.html", "report.json", "data.json", "stages.csv", "by_models.csv"} <= held
    assert set(runs["lukas"].data.metrics) == set(runs["li"].data.metrics)
    for method, run in runs.items():
        found = row(rows, method)
        assert run.data.metrics["test/eer"] == pytest.approx(found.figures["eer"])
        assert run.data.metrics["test/same-model/auc"] == pytest.approx(
            row(rows, method, "same-model").figures["auc"]
        )
        assert run.data.params["residual.sigma"] == "5.0"
        assert run.data.tags["store_digest"] == open_store(config.paths.store).digest
        assert run.data.tags["mlflow.parentRunId"] == whole.info.run_id
        data = {held.dataset.name: held.dataset.digest for held in run.inputs.dataset_inputs}
        assert set(data) == {"store", "comparison list"}
        assert open_store(config.paths.store).digest.startswith(data["store"])
        names = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"figures", "roc.csv", "results.csv"} <= names
        assert json.loads((root / "out/inputs.json").read_text())["devices"] == [
            *("100", "101", "102", "103", "104", "105")
        ]


def test_running_again_says_finished_and_changes_nothing(scored, monkeypatch):
    config, root, rows = scored
    monkeypatch.setenv("CAMID_HOME", str(root / "home"))
    before = (root / "out/results.json").stat().st_mtime_ns
    _, again = make_baselines(config)
    assert again == rows
    assert (root / "out/results.json").stat().st_mtime_ns == before


def test_another_configuration_names_the_difference(scored):
    config, _, _ = scored
    other = replace(config, enhancer=replace(config.enhancer, alpha=3.0))
    with pytest.raises(ValueError, match="enhancer.alpha was 7.0, now 3.0.*--fresh"):
        claimed(other, fresh=False)


def test_an_interrupted_run_goes_on_and_ends_the_same(scored, home):
    config, root, rows = scored
    out = root / "out"
    (out / "results.json").unlink()
    (out / "patterns" / fingerprint_name("101")).unlink()
    kept = out / "patterns" / fingerprint_name("100")
    before = kept.stat().st_mtime_ns
    data, seconds = (out / "data.json").read_bytes(), stage_seconds(Folder(str(out)))
    _, again = make_baselines(config)
    assert again == rows
    assert kept.stat().st_mtime_ns == before
    assert (out / "data.json").read_bytes() == data
    assert stage_seconds(Folder(str(out)))["score"] > seconds["score"]
    assert (out / "patterns" / fingerprint_name("101")).exists()


@pytest.mark.soak
def test_sizes_are_compared_on_the_positions_both_have(made, tmp_path, home):
    """A device with narrower photographs shares the left strips only, and is still recognised."""
    from PIL import Image

    shutil.copytree(made.root / "photographs", tmp_path / "photographs")
    for path in (tmp_path / "photographs").glob("Eurecom_103_*"):
        image = Image.open(path)
        image.crop((0, 0, 256, 256)).save(path, quality=98, exif=image.getexif())
    place = Place(tmp_path)
    config = place.config()
    _, rows = make_baselines(config)
    assert {r.negatives for r in rows} >= {"same-size"}
    assert all(row.figures["eer"] < 0.1 for row in rows if row.method == "lukas")
    lines = [line.split(",") for line in (tmp_path / "out/devices.csv").read_text().splitlines()]
    assert [line[2] for line in lines[1:]] == ["512", "512", "512", "256", "512", "512"]
    assert float(lines[4][7]) >= 0.8


def test_photographs_without_exif_have_no_model_to_share(made, tmp_path, home):
    from PIL import Image

    (tmp_path / "photographs").mkdir()
    for path in (made.root / "photographs").glob("Eurecom_10[0-3]_*"):
        Image.open(path).save(tmp_path / "photographs" / path.name, quality="keep", exif=b"")
    _, rows = make_baselines(Place(tmp_path).config())
    assert {r.negatives for r in rows} == {"all"}
    assert (tmp_path / "out/figures/roc.png").exists()


@pytest.mark.soak
def test_centred_strips_of_images_of_any_size_are_compared(made, tmp_path, home):
    from PIL import Image

    shutil.copytree(made.root / "photographs", tmp_path / "photographs")
    for path in (tmp_path / "photographs").glob("Eurecom_103_*"):
        image = Image.open(path)
        image.crop((0, 0, 480, 256)).save(path, quality=98, exif=image.getexif())
    _, rows = make_baselines(Place(tmp_path).config("strips.layout=centre"))
    found = row(rows, "lukas")
    assert (found.figures["num_positives"], found.figures["num_negatives"]) == (30, 30 * 5)


@pytest.mark.soak
def test_new_photographs_make_finished_results_old(made, tmp_path, home):
    shutil.copytree(made.root / "photographs", tmp_path / "photographs")
    config = Place(tmp_path).config()
    make_baselines(config)
    for path in (tmp_path / "photographs").glob("Eurecom_105_*"):
        path.unlink()
    with pytest.raises(
        ValueError, match="out: made with different settings .store_digest was .* --fresh"
    ):
        make_baselines(config)
    _, rows = make_baselines(config, fresh=True)
    assert row(rows, "lukas").figures["num_devices"] == 5


def test_a_store_of_pixels_is_refused(made, tmp_path, home):
    place = Place(tmp_path)
    config = place.config("residual.filter=none")
    config = replace(config, paths=replace(config.paths, data=made.config().paths.data))
    with pytest.raises(ValueError, match="holds pixels, and the methods lukas, li need"):
        make_baselines(config)


def test_settings_that_the_store_was_not_made_with_are_refused(made, home):
    config = made.config("residual.sigma=3")
    config = replace(config, paths=replace(config.paths, data=""))
    with pytest.raises(ValueError, match="made with residual = .*'sigma': 5.0"):
        make_baselines(config)
