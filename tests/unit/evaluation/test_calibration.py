import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm

from camid.evaluation.calibration import (
    calibrator,
    cllr,
    cllr_min,
    cross_fitted,
    device_folds,
    logistic_calibrator,
    support,
)
from camid.evaluation.labels import Compared

scored = st.lists(st.tuples(st.integers(0, 1), st.integers(-6, 6)), min_size=2, max_size=40)


def compared(labels):
    """Return comparisons whose devices are all different ones, but for the positives' two sides."""
    labels = np.asarray(labels, np.int64)
    first = 2 * np.arange(labels.size)
    return Compared(labels=labels, first=first, second=first + (labels == 0))


def split(pairs):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    assume(0 < labels.sum() < len(labels))
    return labels, scores.astype(float)


def gaussian(num_scores, *, shift=2.0, seed=0):
    """Return labels and scores of N(shift, 1) and N(0, 1): their LLR is shift·score − shift²/2."""
    labels = np.arange(num_scores) % 2
    return labels, np.random.default_rng(seed).standard_normal(num_scores) + shift * labels


def of_devices(rng, *, num_devices=20, shift=3.0):
    """Return all devices against all, twice, and scores of N(shift, 1) and N(0, 1)."""
    first, second = np.indices((num_devices, num_devices)).reshape(2, -1).repeat(2, axis=1)
    labels = (first == second).astype(np.int64)
    scores = rng.standard_normal(labels.size) + shift * labels
    return Compared(labels=labels, first=first, second=second), scores


def test_gaussian_scores_get_the_theory_s_log_likelihood_ratios():
    labels, scores = gaussian(20000)
    asked = np.linspace(-0.5, 2.5, 7)
    found = logistic_calibrator(compared(labels), scores).llr(asked)
    np.testing.assert_allclose(found, 2 * asked - 2, atol=0.1)


def test_gaussian_llrs_cost_what_theory_says_and_calibration_neither_adds_nor_hides_a_loss():
    quantiles = norm.ppf((np.arange(20000) + 0.5) / 20000)
    theory = np.mean(np.log2(1 + np.exp(-(2 * (quantiles + 2) - 2))))
    labels, scores = gaussian(20000)
    assert cllr(labels, 2 * scores - 2) == pytest.approx(theory, rel=0.03)
    assert cllr_min(labels, scores) == pytest.approx(theory, rel=0.03)
    fresh, asked = gaussian(20000, seed=1)
    llr = logistic_calibrator(compared(labels), scores).llr(asked)
    assert cllr(fresh, llr) == pytest.approx(theory, rel=0.03)


def test_known_costs():
    assert cllr([0, 1], [0, 0]) == 1
    assert cllr([0, 1, 1], [-np.inf, np.inf, np.inf]) == 0
    assert cllr([0, 1], [np.inf, np.inf]) == np.inf
    assert cllr([1, 0], np.log([3, 1 / 3])) == pytest.approx(np.log2(4 / 3))
    assert cllr_min([0, 0, 1], [1, 2, 3]) == 0
    assert cllr_min([1, 0], [1, 2]) == 1


@given(scored)
def test_no_calibration_costs_less_than_the_least_cost(pairs):
    labels, scores = split(pairs)
    least = cllr_min(labels, scores)
    assert 0 <= least <= 1 + 1e-12
    llr = logistic_calibrator(compared(labels), scores).llr(scores)
    assert cllr(labels, llr) >= least - 1e-12
    assert cllr(labels, 3 * scores + 1) >= least - 1e-12


@given(scored)
def test_the_least_cost_is_that_of_the_best_of_all_rising_steps(pairs):
    """The LLR of a score is a max-min over ranges around it: PAV, written as its definition."""
    labels, scores = split(pairs)
    levels = np.unique(scores)
    counts = np.array([[np.sum((scores == s) & (labels == y)) for s in levels] for y in (1, 0)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        ratio = [
            max(
                min(np.divide(*shares[:, i : j + 1].sum(axis=1)) for j in range(k, len(levels)))
                for i in range(k + 1)
            )
            for k in range(len(levels))
        ]
        llr = np.log(ratio)[np.searchsorted(levels, scores)]
    assert cllr_min(labels, scores) == pytest.approx(cllr(labels, llr), abs=1e-9)


@given(scored)
def test_a_rising_transform_of_the_scores_changes_no_least_cost(pairs):
    labels, scores = split(pairs)
    assert cllr_min(labels, np.exp(scores) - 5) == cllr_min(labels, scores)


@given(scored, st.floats(1e-3, 1e3), st.integers(-5, 5))
def test_the_scores_unit_and_origin_change_no_log_likelihood_ratio(pairs, unit, origin):
    labels, scores = split(pairs)
    moved = unit * (scores + origin)
    found = logistic_calibrator(compared(labels), moved).llr(moved)
    expected = logistic_calibrator(compared(labels), scores).llr(scores)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_log_likelihood_ratios_rise_with_the_score_and_stay_within_what_the_set_supports():
    labels, scores = gaussian(400, shift=3)
    some = compared(labels)
    low, high = support(some)
    found = logistic_calibrator(some, scores).llr(np.linspace(-50, 50, 1001))
    assert (np.diff(found) >= 0).all()
    assert found[0] == pytest.approx(low)
    assert found[-1] == pytest.approx(high)


def test_support_counts_devices_and_pairs_of_devices_not_comparisons():
    some = Compared(
        labels=np.array([1, 1, 1, 0, 0, 0]),
        first=np.array([0, 0, 1, 0, 1, 2]),
        second=np.array([0, 0, 1, 1, 0, 1]),
    )
    assert support(some) == pytest.approx((-np.log(2 + 1), np.log(2 + 1)))


def test_more_negatives_of_the_same_kind_change_no_log_likelihood_ratio(rng):
    """No prior: a set with ten times the negatives says the same."""
    some, scores = of_devices(rng)
    more = np.concatenate([np.arange(scores.size), np.tile(np.flatnonzero(some.labels == 0), 9)])
    asked = np.linspace(-3, 6, 19)
    found = logistic_calibrator(some.where(more), scores[more]).llr(asked)
    np.testing.assert_allclose(found, logistic_calibrator(some, scores).llr(asked), atol=1e-6)


def test_scores_that_classes_part_give_finite_and_bounded_ratios():
    labels = np.repeat([0, 1], 50)
    found = logistic_calibrator(compared(labels), labels * 10.0).llr([-1, 0, 10, 11])
    np.testing.assert_allclose(found, np.log(51) * np.array([-1, -1, 1, 1]), rtol=1e-9)


@pytest.mark.parametrize("scores", [[1, 1, 1, 1], [3, 4, 1, 2], [2, 1, 1, 2]])
def test_scores_that_do_not_rise_with_the_label_carry_no_evidence(scores):
    found = logistic_calibrator(compared([0, 0, 1, 1]), scores).llr([0, 1, 2, 3, 4])
    np.testing.assert_allclose(found, 0, atol=1e-9)


def test_a_calibrator_comes_back_from_json_as_it_was():
    labels, scores = gaussian(300)
    made = logistic_calibrator(compared(labels), scores)
    assert calibrator(json.loads(json.dumps(made.facts()))) == made


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"form": "spline"}, "a logistic calibrator, got 'spline'"),
        ({}, "not the facts of a calibrator: 'form'"),
        ({"form": "logistic", "knots": 1}, "not the facts of a calibrator: .*knots"),
        ({"form": "logistic", "slope": "steep"}, "not the facts of a calibrator: could not"),
        ({"form": "logistic", "slope": -1, "intercept": 0, "low": 0, "high": 1}, "at least 0"),
    ],
)
def test_facts_of_no_calibrator_are_refused(facts, sentence):
    with pytest.raises(ValueError, match=sentence):
        calibrator(facts)


def test_cross_fitted_ratios_are_calibrated(rng):
    some, scores = of_devices(rng, num_devices=60, shift=2)
    llr = cross_fitted(some, scores, seed=1)
    assert cllr(some.labels, llr) == pytest.approx(cllr(some.labels, 2 * scores - 2), rel=0.1)


def test_a_comparison_s_ratio_does_not_depend_on_scores_of_its_devices_or_their_folds(rng):
    some, scores = of_devices(rng)
    folds = device_folds(np.arange(20), seed=4)
    of = np.stack([folds[some.first], folds[some.second]])
    asked = (np.sort(of, axis=0) == [[1], [3]]).all(axis=0)
    touched = np.isin(of, [1, 3]).any(axis=0) & ~asked
    changed = np.where(touched, rng.permutation(scores), scores)
    before, after = (cross_fitted(some, values, seed=4) for values in (scores, changed))
    np.testing.assert_array_equal(after[asked], before[asked])
    assert not np.array_equal(after[~asked & ~touched], before[~asked & ~touched])


def test_cross_fitting_is_what_a_fit_on_all_but_two_folds_gives(rng):
    some, scores = of_devices(rng)
    folds = device_folds(np.arange(20), num_folds=4, seed=4)
    at = int(np.flatnonzero((folds[some.first] == 0) & (folds[some.second] == 2))[0])
    rest = ~np.isin(folds[[some.first, some.second]], [0, 2]).any(axis=0)
    expected = logistic_calibrator(some.where(rest), scores[rest]).llr(scores[at])
    assert cross_fitted(some, scores, num_folds=4, seed=4)[at] == expected


def test_folds_are_of_equal_size_one_for_a_device_and_the_same_in_any_order():
    devices = np.array([f"phone {d}" for d in range(23)])
    folds = device_folds(devices, seed=2)
    assert sorted(np.bincount(folds)) == [4, 4, 5, 5, 5]
    again = np.concatenate([devices[::-1], devices])
    np.testing.assert_array_equal(device_folds(again, seed=2), [*folds[::-1], *folds])
    assert not np.array_equal(device_folds(devices, seed=3), folds)


def test_too_few_folds_or_devices_to_calibrate_with_are_refused(rng):
    some, scores = of_devices(rng, num_devices=4)
    with pytest.raises(
        ValueError, match="no different-device comparison is left .* two of 3 folds; raise"
    ):
        cross_fitted(some, scores, num_folds=3, seed=0)
    lone = some.where((some.labels == 0) | (some.first == 0))
    with pytest.raises(ValueError, match="no same-device comparison is left .* more devices"):
        cross_fitted(lone, scores[(some.labels == 0) | (some.first == 0)], num_folds=4, seed=0)
    with pytest.raises(ValueError, match="2 to 4 folds of 4 devices, got num_folds=5"):
        cross_fitted(some, scores, seed=0)


@pytest.mark.parametrize("judge", [cllr, cllr_min])
@pytest.mark.parametrize(
    ("labels", "values", "sentence"),
    [
        ([0, 1], [1.0], "as many labels as values, got 2 and 1"),
        ([0, 2], [1.0, 2.0], "labels of both 0"),
        ([1, 1], [1.0, 2.0], "labels of both 0"),
        ([0, 1], [1.0, np.nan], "not NaN"),
    ],
)
def test_what_cannot_be_judged_is_refused(judge, labels, values, sentence):
    with pytest.raises(ValueError, match=sentence):
        judge(labels, values)
