"""A classifier of a store of pixels, from its photographs to what it is compared with."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from camid.comparison.networks.classifier import classifier
from camid.comparison.networks.files import network_bytes
from camid.config import Classifier
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT
from camid.runtime.pipelines.workflow import make_cnn, make_evaluation
from camid.store.store import open_store
from camid.training.checkpoint import checkpoint_parts
from tests.runtime.conftest import Place

SETTINGS = (
    *("residual.filter=none", "strips.size=160", "strips.layout=centre"),
    *("classifier.num_devices=4", "classifier.network=freire2019", "classifier.width=0.1"),
    *("training.num_steps=3", "training.batch_size=32", "training.micro_batches=2"),
    *("patches.validation_per_image=4", "comparisons.num_images=[2,2]"),
    *("comparisons.num_pairs=20", "comparisons.num_crops=[1]", "comparisons.crop_size=64"),
    *("evaluate.methods=[lukas,classical]", "evaluate.fused=[]"),
)


@pytest.mark.usefixtures("ray_here")
def test_a_classifier_of_pixels_is_not_judged_on_residuals(made, tmp_path, home):
    network = classifier(
        Classifier(width=0.1, network="freire2019"), size=32, num_devices=2, is_residual=False
    )
    Folder(str(tmp_path)).write("cnn.keras", network_bytes(network))
    config = replace(made.config(), paths=replace(made.config().paths, out=str(tmp_path / "out")))
    judged = replace(config.evaluate, networks=(f"{tmp_path}/cnn.keras",))
    with pytest.raises(ValueError, match="cnn.keras: a network of pixels, and .* residuals"):
        make_evaluation(replace(config, paths=replace(config.paths, data=""), evaluate=judged))


@pytest.fixture
def made_here(made, tmp_path, home):
    config = Place(tmp_path).config(*SETTINGS)
    config = replace(config, paths=replace(config.paths, data=made.config().paths.data))
    return config, *make_cnn(config)


@pytest.mark.soak
@pytest.mark.usefixtures("ray_here")
def test_methods_answer_the_same_queries_from_residuals_of_the_same_strips(made_here):
    config, output, rows = made_here
    pixels = open_store(config.paths.store)
    residuals = open_store(f"{config.paths.store}-residuals")
    assert pixels.description["samples"]["dtype"] == "uint8"
    assert residuals.description["samples"]["dtype"] == "int8"
    assert pixels.description["plan_digest"] == residuals.description["plan_digest"]
    assert pixels.index.equals(residuals.index)
    asked = {r.method: r for r in rows if (r.kind, r.negatives) == ("classifier", "all")}
    assert set(asked) == {"lukas", "classical", "cnn"}
    assert {row.figures["num_positives"] for row in asked.values()} == {
        asked["cnn"].figures["num_positives"]
    }
    compared = {row.method for row in rows if row.kind != "classifier"}
    assert compared == {"lukas", "classical", "cnn-embedding"}
    # What is printed of an image is what its scores say: the likeliest device's is the largest.
    table = pq.read_table(output.folder.local_path + "/scores.parquet")
    scores = np.array(table["cnn"].to_pylist())[:, 0]
    by_query: dict[int, list[tuple[float, int]]] = {}
    for second, label, score in zip(
        table["second"].to_pylist(), table["label"].to_pylist(), scores, strict=True
    ):
        by_query.setdefault(second, []).append((score, label))
    right = np.mean([max(of)[1] for of in by_query.values()])
    assert asked["cnn"].figures["accuracy"] == pytest.approx(right)
    for of in by_query.values():
        assert np.exp([score for score, _ in of]).sum() == pytest.approx(1)
    facts = json.loads(output.folder.read("inputs.json"))
    assert facts["store_digest"] == pixels.digest
    history = checkpoint_parts(output.folder.read(CHECKPOINT))[1].history
    assert [row["step"] for row in history] == [0, 3]
