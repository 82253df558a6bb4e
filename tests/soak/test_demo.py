"""The demo as it is shipped: as hard as real photographs are, on devices that nothing trains on."""

import json

import pytest

from tests.commands import pipeline

pytestmark = [pytest.mark.soak, pytest.mark.long]


def test_the_demo_is_as_hard_as_real_photographs(tmp_path):
    done = pipeline("demo", home=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "runs/demo"
    every = json.loads((out / "results.json").read_text())
    few = {(r["method"], r["negatives"]): r for r in every if r["crop_size"] != "whole"}
    rows = {(r["method"], r["negatives"]): r for r in every if r["crop_size"] == "whole"}
    for method in ("lukas", "li"):
        assert 0.03 <= rows[method, "all"]["eer"] <= 0.15
        assert rows[method, "same-model"]["eer"] > rows[method, "different-model"]["eer"]
        assert rows[method, "all"]["num_devices"] >= 6
    network = few["siamese", "all"]  # the last of its rows: at the most crops
    assert network["auc_low"] > 0.5
    classifier = rows["cnn", "all"]
    assert classifier["accuracy"] >= 3 * classifier["chance"]
    assert classifier["accuracy"] > classifier["patch_accuracy"]
    assert ("cnn-embedding", "all") in few
    split = json.loads((out / "data.json").read_text())["split"]
    assert not {*split["test"]} & {*split["train"], *split["validation"]}
    assert "<h1" in (out / "report.html").read_text()
