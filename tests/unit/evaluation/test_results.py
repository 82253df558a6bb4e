from dataclasses import replace

import numpy as np
import pytest

from camid.comparison.comparison_list import ComparisonList, Crop, ListedSide
from camid.evaluation.metrics import equal_error_rate, recognition_rate, roc_auc, single_threshold
from camid.evaluation.published import study_figures
from camid.evaluation.results import fused_scores, images_a_side, judged_rows
from tests.unit.galleries import gallery

NUM_DEVICES, NUM_QUERIES = 8, 12
STATED = {"split": "all", "seed": 1, "single_threshold_fpr": 1e-2}


@pytest.fixture
def listed():
    """Eight devices, two a model, four a make, a dozen queries each, all against all."""
    devices = [f"d{number}" for number in range(NUM_DEVICES)]
    return gallery(devices, num_queries=NUM_QUERIES, level=level)


def level(a, b):
    if a // 2 == b // 2:
        return "same-model"
    return "same-make" if a // 4 == b // 4 else "other-make"


@pytest.fixture
def scores(listed, rng):
    """A good method and a worse one: same-model negatives score higher."""
    shift = {"same-device": 3.0, "same-model": 1.0, "same-make": 0.0, "other-make": 0.0}
    means = np.array([shift[pair.level] for pair in listed.comparisons])
    good = means + rng.standard_normal(len(means))
    return {"good": good[:, None], "worse": (good + 2 * rng.standard_normal(len(means)))[:, None]}


def side(listed, pair):
    """Return the device's number of a comparison's second side."""
    return listed.sides[pair.second].device[1:]


def rows_of(listed, scores, **more):
    rows, differences = judged_rows(listed, scores, num_crops=(), **STATED, **more)
    return {(row.method, row.negatives): row.flat() for row in rows}, differences


def test_figures_are_those_of_the_plain_functions(listed, scores):
    rows, _ = rows_of(listed, scores)
    labels = [pair.label for pair in listed.comparisons]
    own = np.repeat(np.arange(NUM_DEVICES), NUM_QUERIES)
    for method, values in scores.items():
        row = rows[method, "all"]
        assert row["eer"] == pytest.approx(equal_error_rate(labels, values[:, 0]))
        assert row["auc"] == pytest.approx(roc_auc(labels, values[:, 0]))
        single = single_threshold(labels, values[:, 0], fpr=1e-2)
        assert row["single_threshold_eer"] == single.eer == 1 - row["single_threshold_auc"]
        assert row["single_threshold_crossing"] == single.crossing
        matrix = values.reshape(-1, NUM_DEVICES)
        assert row["rank1"] == pytest.approx(recognition_rate(own, matrix))
        assert row["eer_low"] <= row["eer"] <= row["eer_high"]
        assert (row["images"], row["num_devices"]) == ("2+1", NUM_DEVICES)


def test_negatives_of_one_model_are_harder_and_judged_on_their_own(listed, scores):
    rows, _ = rows_of(listed, scores)
    assert rows["good", "same-model"]["num_negatives"] == NUM_DEVICES * NUM_QUERIES
    assert rows["good", "different-model"]["num_negatives"] == 6 * NUM_DEVICES * NUM_QUERIES
    assert rows["good", "same-model"]["eer"] > rows["good", "different-model"]["eer"]
    assert rows["good", "same-model"]["rank1"] > rows["good", "all"]["rank1"]


def test_impostors_of_one_size_are_judged_on_their_own_where_sizes_differ(listed, scores):
    """Even devices have one size, odd ones another: a sibling never has one's own."""
    is_same_size = np.array([(p.first - int(side(listed, p))) % 2 == 0 for p in listed.comparisons])
    rows, _ = rows_of(listed, scores, is_same_size=is_same_size)
    found = rows["good", "same-size"]
    assert found["num_negatives"] == 3 * NUM_DEVICES * NUM_QUERIES
    assert found["num_positives"] == NUM_DEVICES * NUM_QUERIES
    assert found["eer"] < rows["good", "same-model"]["eer"]
    alike, _ = rows_of(listed, scores, is_same_size=np.ones_like(is_same_size))
    assert set(alike) == set(rows) - {("good", "same-size"), ("worse", "same-size")}
    assert set(rows_of(listed, scores)[0]) == set(alike)


def test_a_row_tells_how_many_crops_there_were_and_how_much_was_seen_twice(listed, scores):
    crops = (Crop(0, 0, 0, 0), Crop(0, 0, 0, 64), Crop(256, 0, 0, 0))
    pairs = tuple(replace(pair, crops=crops[: 2 + pair.label]) for pair in listed.comparisons)
    cropped = replace(listed, crop_size=128, comparisons=pairs)
    once_and_thrice = {method: np.hstack([v, v]) for method, v in scores.items()}
    rows, _ = judged_rows(cropped, once_and_thrice, num_crops=(1, 3), **STATED)
    first, last = (next(r.figures for r in rows if r.num_crops == n) for n in (1, 3))
    assert (first["mean_crops"], first["overlap"]) == (1, 0)
    share = np.mean([pair.label for pair in pairs])
    assert last["mean_crops"] == pytest.approx(2 + share)
    assert last["overlap"] == pytest.approx(share / 6 + (1 - share) / 4)


def test_what_the_study_states_stands_where_all_negatives_count(listed, scores):
    rows, _ = rows_of(listed, {"lukas": scores["worse"], "new": scores["good"]})
    assert rows["lukas", "all"].items() >= study_figures("lukas").items()
    others = [row for key, row in rows.items() if key != ("lukas", "all")]
    assert others
    assert not any(name.startswith("study") for row in others for name in row)


def test_a_difference_has_a_verdict_with_its_interval(listed, scores):
    _, differences = rows_of(listed, scores)
    (eer,) = [d for d in differences if d.figure == "eer" and d.negatives == "all"]
    assert (eer.method, eer.baseline, eer.verdict) == ("worse", "good", "worse")
    assert 0 < eer.low <= eer.value <= eer.high
    assert eer.value == eer.of_method - eer.of_baseline
    same = {"good": scores["good"], "again": scores["good"]}
    verdicts = {d.verdict for d in rows_of(listed, same)[1]}
    assert verdicts == {"undecided"}


def test_calibration_costs_more_than_the_best_there_is(listed, scores):
    rows, _ = rows_of(listed, scores)
    for row in rows.values():
        assert 0 < row["cllr_min"] <= row["cllr"] + 1e-9
    assert rows["good", "all"]["cllr"] < rows["worse", "all"]["cllr"] < 1


def test_what_one_method_cannot_compare_no_method_is_judged_on(listed, scores):
    scores["worse"][:NUM_DEVICES] = np.nan
    rows, _ = rows_of(listed, scores)
    assert rows["good", "all"]["num_positives"] == NUM_DEVICES * NUM_QUERIES - 1


def accuracies(listed, columns, num_crops):
    """Return the rows of negatives "all" of scores at some numbers of crops."""
    crops = tuple(Crop(256 * n, 0, 0, 0) for n in range(num_crops[-1]))
    pairs = tuple(replace(pair, crops=crops) for pair in listed.comparisons)
    cropped = replace(listed, crop_size=128, comparisons=pairs)
    rows, _ = judged_rows(cropped, {"one": columns}, num_crops=num_crops, **STATED)
    return [row.figures for row in rows if row.negatives == "all"]


def test_accuracy_is_1_of_labels_that_scores_part_and_a_half_of_noise(listed, rng):
    labels = np.array([pair.label for pair in listed.comparisons])
    noise = rng.standard_normal((len(labels), 2))
    parted, unknown = accuracies(
        listed, np.stack([9 * labels + noise[:, 0], noise[:, 1]], 1), (1, 4)
    )
    assert parted["accuracy"] > 0.99
    assert unknown["accuracy"] == pytest.approx(0.5, abs=0.08)


def test_accuracy_takes_scores_of_any_scale_and_place(listed, scores):
    values = scores["good"][:, 0]
    first, other = accuracies(listed, np.stack([values, 1e-3 * values - 7], 1), (1, 4))
    assert 0.8 < first["accuracy"] < 1
    assert other["accuracy"] == pytest.approx(first["accuracy"], abs=1e-2)


def test_the_gain_of_more_crops_is_over_the_accuracy_of_the_fewest(listed, scores):
    columns = np.hstack([scores["worse"], scores["good"], scores["good"]])
    rows = accuracies(listed, columns, (2, 5, 9))
    found = [row["accuracy"] for row in rows]
    assert [row["accuracy_gain"] for row in rows] == [accuracy / found[0] for accuracy in found]
    assert found[0] < found[1] == found[2]


def test_whole_strips_have_an_accuracy_and_no_gain(listed, scores):
    rows, _ = rows_of(listed, scores)
    assert all("accuracy" in row and "accuracy_gain" not in row for row in rows.values())
    assert rows["good", "all"]["accuracy"] > rows["worse", "all"]["accuracy"] > 0.5


def test_two_devices_are_too_few_for_an_accuracy(listed, scores):
    few = [
        i
        for i, pair in enumerate(listed.comparisons)
        if {pair.first, int(side(listed, pair))} <= {0, 1}
    ]
    pairs = tuple(listed.comparisons[i] for i in few)
    rows, _ = rows_of(replace(listed, comparisons=pairs), {n: v[few] for n, v in scores.items()})
    assert rows["good", "all"]["num_devices"] == 2
    assert "accuracy" not in rows["good", "all"]


def test_sides_are_told_by_their_numbers_of_images(listed):
    sides = (ListedSide(device="d0", images=("x",)), *listed.sides[1:])
    other = ComparisonList(
        seed=1, crop_size=0, strip_size=256, sides=sides, comparisons=listed.comparisons
    )
    assert (images_a_side(listed), images_a_side(other)) == ("2+1", "1..2+1")


def test_methods_together_tell_more_than_each_and_what_they_tell_is_calibrated(listed, rng):
    labels = np.array([[pair.label] for pair in listed.comparisons])
    each = {name: rng.standard_normal(labels.shape) + 2.0 * labels for name in ("one", "other")}
    together = fused_scores(listed, each, seed=1)
    rows, differences = rows_of(listed, each | {"fused": together})
    found, truth = rows["fused", "all"], rows_of(listed, {"truth": sum(each.values())})[0]
    assert found["eer"] == pytest.approx(truth["truth", "all"]["eer"], abs=0.02)
    assert found["auc"] == pytest.approx(truth["truth", "all"]["auc"], abs=0.01)
    for name in each:
        assert found["eer"] < rows[name, "all"]["eer"]
        assert found["cllr"] < rows[name, "all"]["cllr"]
    assert {row.method for row in differences} == {"other", "fused"}


def test_crops_are_fused_apart_and_what_a_method_lacks_the_fusion_lacks(listed, scores):
    more = {name: np.hstack([values, 3 * values]) for name, values in scores.items()}
    more["good"][5, 0] = np.nan
    found = fused_scores(listed, more, seed=1)
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [5]
    alone = fused_scores(listed, scores, seed=1)
    np.testing.assert_allclose(found[:, 1], alone[:, 0], atol=1e-3)


def test_a_list_of_too_few_devices_is_not_fused(listed, scores):
    few = [i for i, p in enumerate(listed.comparisons) if {p.first, int(side(listed, p))} <= {0, 1}]
    pairs = tuple(listed.comparisons[i] for i in few)
    some = {name: values[few] for name, values in scores.items()}
    assert fused_scores(replace(listed, comparisons=pairs), some, seed=1) is None
    none = {name: np.full_like(values, np.nan) for name, values in scores.items()}
    assert fused_scores(listed, none, seed=1) is None
