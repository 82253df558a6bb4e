"""Scores read back from an output folder, and what is told of them."""

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from camid.comparison.comparison_list import Comparison, ComparisonList, ListedSide, write_list
from camid.evaluation.error_analysis import (
    by_device,
    by_models,
    curve_points,
    evidence,
    reached,
    thresholds,
    tippett_points,
)
from camid.evaluation.metrics import equal_error_rate, roc_auc
from camid.evaluation.score_table import read_scored, write_scores
from camid.io.digested import write_digested
from camid.io.folder import Folder
from camid.io.output_layout import LIST, SCORES
from tests.unit.galleries import gallery

DEVICES = ("a", "b", "c", "d", "e", "f", "g", "h")
MODELS = dict(zip(DEVICES, ("X", "X", "X", "Y", "Y", "Z", "Z", ""), strict=True))
HARD = "f"
"""The device whose own images score low."""


@pytest.fixture
def matrix(tmp_path, rng) -> Folder:
    """Ten images a device against all devices' patterns; those of a model resemble each other."""
    every = gallery(DEVICES, num_queries=10, level=lambda a, b: level(DEVICES[a], DEVICES[b]))
    lift = {device: 0.5 if device == HARD else 6.0 for device in DEVICES}
    values = np.array(
        [
            (pair.level in {"same-device", "same-model"})
            + pair.label * lift[every.sides[pair.first].device]
            for pair in every.comparisons
        ]
    )
    clear = (values + rng.normal(size=len(values)))[:, None]
    folder = Folder(str(tmp_path))
    write_list(folder, LIST, every)
    table = pa.table({"clear": pa.array(list(clear)), "dim": pa.array(list(clear + 9))})
    write_scores(folder, table)
    return folder


@pytest.fixture
def listed(tmp_path, rng) -> Folder:
    """Two sides a device, every two compared."""
    sides = [ListedSide(device=d, images=(f"{d}{n}",)) for d in DEVICES for n in range(4)]
    pairs = [
        Comparison(
            first=i,
            second=j,
            label=int(sides[i].device == sides[j].device),
            level=level(sides[i].device, sides[j].device),
            crops=(),
        )
        for i, j in combinations(range(len(sides)), 2)
    ]
    folder = Folder(str(tmp_path))
    every = ComparisonList(
        seed=1, crop_size=0, strip_size=256, sides=tuple(sides), comparisons=tuple(pairs)
    )
    write_list(folder, LIST, every)
    values = np.array([[0.0, 2.0 * pair.label + rng.normal()] for pair in pairs])
    values[5] = np.nan
    facts = {"first": [pair.first for pair in pairs], "second": [pair.second for pair in pairs]}
    table = pa.table({**facts, "m": pa.array(list(values))})
    write_scores(folder, table.replace_schema_metadata({"comparison_list": every.digest}))
    return folder


def level(first, second):
    if first == second:
        return "same-device"
    models = {MODELS[first], MODELS[second]}
    if "" in models:
        return "unknown"
    return "same-model" if len(models) == 1 else "other-make"


def test_every_comparison_of_a_gallery_is_read_back(matrix, tmp_path_factory):
    scored = read_scored(matrix, models=MODELS)
    assert len(scored.compared.labels) == 80 * 8
    assert scored.compared.labels.sum() == 80
    told = zip(scored.compared.first, scored.compared.second, scored.levels, strict=True)
    assert all(found == level(first, second) for first, second, found in told)
    assert read_scored(Folder(str(tmp_path_factory.mktemp("empty"))), models={}) is None


def test_the_most_crops_count_and_what_was_not_scored_is_left_out(listed):
    scored = read_scored(listed, models=MODELS)
    assert np.isnan(scored.scores["m"][5])
    taken = scored.against("all")
    assert len(taken.compared.labels) == len(scored.compared.labels) - 1
    assert roc_auc(taken.compared.labels, taken.scores["m"]) > 0.8
    kinds = taken.kinds()["m"]
    assert list(kinds) == ["same device", "other model", "same model", "unknown model"]
    assert sum(map(len, kinds.values())) == len(taken.compared.labels)


def test_negatives_of_a_model_bring_the_positives_of_its_devices_alone(matrix):
    same = read_scored(matrix, models=MODELS).against("same-model")
    assert set(same.levels) == {"same-device", "same-model"}
    assert {*same.compared.first} == {*"abcdefg"}


def test_equal_images_have_equal_keys_whatever_scored_them(listed, tmp_path_factory):
    other = Folder(str(tmp_path_factory.mktemp("other")))
    for name in (LIST, SCORES):
        write_digested(other, name, listed.read(name))
    first, second = (read_scored(folder, models=MODELS) for folder in (listed, other))
    assert (first.keys == second.keys).all()
    assert len(set(first.keys)) == len(first.keys)


def test_the_threshold_is_where_both_errors_are_about_equal(matrix):
    scored = read_scored(matrix, models=MODELS).against("all")
    labels = scored.compared.labels
    for method, limit in thresholds(scored).items():
        values = scored.scores[method]
        eer = equal_error_rate(labels, values)
        assert (values[labels == 1] < limit).mean() == pytest.approx(eer, abs=1 / 80)
        assert (values[labels == 0] >= limit).mean() == pytest.approx(eer, abs=1 / 80)


def test_the_device_that_is_hard_has_the_most_false_rejects(matrix):
    scored = read_scored(matrix, models=MODELS).against("all")
    rows = [row for row in by_device(scored) if row["method"] == "clear"]
    assert [row["device"] for row in rows] == sorted(DEVICES, key=lambda d: (MODELS[d], d))
    assert max(rows, key=lambda row: row["false_rejects"])["device"] == HARD
    counts = {row["device"]: row["num_positives"] for row in rows}
    assert counts == dict.fromkeys(DEVICES, 10)
    accepted = sum(row["false_accepts"] * row["num_negatives"] for row in rows)
    limit, negative = thresholds(scored)["clear"], scored.compared.labels == 0
    assert accepted == pytest.approx(2 * (scored.scores["clear"][negative] >= limit).sum())


def test_pairs_of_models_part_the_negatives_and_the_worst_stands_first(matrix):
    scored = read_scored(matrix, models=MODELS).against("all")
    rows = [row for row in by_models(scored) if row["method"] == "clear"]
    assert sum(row["num_negatives"] for row in rows) == (scored.compared.labels == 0).sum()
    assert rows[0]["first"] == rows[0]["second"]
    rates = [row["false_accepts"] for row in rows]
    assert rates == sorted(rates, reverse=True)


def test_points_of_a_curve_enclose_its_area(matrix):
    scored = read_scored(matrix, models=MODELS).against("all")
    points = [row for row in curve_points(scored) if row["method"] == "clear"]
    fpr, tpr = (np.array([row[name] for row in points]) for name in ("fpr", "tpr"))
    auc = roc_auc(scored.compared.labels, scored.scores["clear"])
    assert np.trapezoid(tpr, fpr) == pytest.approx(auc)
    assert all(row["fnr"] == pytest.approx(1 - row["tpr"]) for row in points)


def test_shares_that_reach_a_likelihood_ratio_fall_from_all_to_few(matrix):
    scored = read_scored(matrix, models=MODELS).against("all")
    llrs = evidence(scored, seed=1)
    labels = scored.compared.labels
    for values in llrs.values():
        assert values[labels == 1].mean() > 0 > values[labels == 0].mean()
    levels, shares = reached(llrs["clear"][labels == 1])
    assert shares[0] == 1
    assert (np.diff(levels) > 0).all()
    assert (np.diff(shares) < 0).all()
    assert shares[3] == pytest.approx((llrs["clear"][labels == 1] >= levels[3]).mean())
    kinds = {row["comparisons"] for row in tippett_points(scored, llrs)}
    assert kinds == {"same device", "different devices"}


def test_too_few_devices_have_no_likelihood_ratios(matrix):
    scored = read_scored(matrix, models=MODELS)
    two = np.isin(scored.compared.first, ["a", "b"]) & np.isin(scored.compared.second, ["a", "b"])
    assert evidence(scored.where(two), seed=1) == {}
