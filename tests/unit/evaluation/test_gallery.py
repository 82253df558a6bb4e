from dataclasses import replace

import numpy as np
import pytest

from camid.dataset.records import ImageRecord
from camid.evaluation.gallery import device_rows, gallery_matrices, mistakes
from tests.unit.galleries import gallery

DEVICES = ("a", "b", "c")


@pytest.fixture
def listed():
    return gallery(DEVICES, num_queries=2, level=lambda *_: "unknown")


@pytest.fixture
def scores():
    """Six queries, two a device, by three devices; the second of ``b`` goes to ``c``."""
    matrix = np.array(
        [[9, 1, 2], [8, 2, 1], [1, 7, 2], [0, 2, 5], [1, 2, 6], [2, 1, np.nan]], np.float64
    )
    return {"m": matrix.ravel()}


def test_a_gallery_s_comparisons_are_a_matrix_of_queries_and_devices(listed, scores):
    found = gallery_matrices(listed, scores)
    assert found.firsts.tolist() == [0, 1, 2]
    assert found.own.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(found.scores["m"].ravel(), scores["m"])


def test_queries_take_part_that_meet_their_own_device(listed, scores):
    chosen = np.array([pair.first != 1 for pair in listed.comparisons])
    found = gallery_matrices(listed, scores, chosen)
    assert found.firsts.tolist() == [0, 2]
    assert found.own.tolist() == [0, 0, 1, 1]
    assert found.seconds.tolist() == [3, 4, 7, 8]


def test_mean_scores_leave_out_what_was_not_compared(listed, scores):
    means = gallery_matrices(listed, scores).mean_scores()["m"]
    np.testing.assert_allclose(means, [[8.5, 1.5, 1.5], [0.5, 4.5, 3.5], [1.5, 1.5, 6]])


def test_a_device_s_row_has_its_images_and_how_its_queries_fare(listed, scores):
    images = {
        sha256: ImageRecord(image_id=sha256, kind=kind, width=40, height=30, path="")
        for device in DEVICES
        for sha256, kind in ((f"{device}e", "background"), (f"{device}f", "foreground"))
    }
    models = {"a": "X", "b": "X", "c": ""}
    rows = device_rows(listed, gallery_matrices(listed, scores), images=images, models=models)
    assert [row["device"] for row in rows] == [*DEVICES]
    assert rows[1] == {
        **{"device": "b", "model": "X", "width": 40, "height": 30, "enrolled": 2},
        **{"enrolled_background": 1, "queries": 2, "rank1_m": "0.5000"},
        "mean_score_m": "4.50000",
    }


def test_mistakes_are_the_queries_that_another_device_claims_the_surest_first(listed, scores):
    names = {side: f"query {side}" for side in range(3, 9)}
    found = mistakes(listed, gallery_matrices(listed, scores), "m", names)
    assert [(m["image"], m["device"], m["claimed"]) for m in found] == [
        ("query 6", "b", "c"),
        ("query 8", "c", "a"),
    ]
    assert (found[0]["own_score"], found[0]["best_score"]) == (2, 5)


def test_a_list_of_pairs_is_no_gallery(listed, scores):
    with pytest.raises(ValueError, match="expected a gallery, got a list of drawn pairs"):
        gallery_matrices(replace(listed, is_gallery=False), scores)


def test_a_device_is_enrolled_once(listed):
    sides = (replace(listed.sides[0], device="b"), *listed.sides[1:])
    pairs = tuple(replace(p, label=0, level="unknown") for p in listed.comparisons if p.first < 2)
    pairs = tuple(p for p in pairs if listed.sides[p.second].device == "c")
    with pytest.raises(ValueError, match="a gallery enrols the device 'b' 2 times"):
        replace(listed, sides=sides, comparisons=pairs)
