import json
from functools import partial

import numpy as np
import pytest

from camid.evaluation import fusion as module
from camid.evaluation.calibration import (
    cllr,
    cross_fitted,
    device_folds,
    logistic_calibrator,
    support,
)
from camid.evaluation.fusion import Fusion, fusion, logistic_fusion, shipped_fusion
from camid.evaluation.labels import Compared

BOTH = ("correlation", "network")
fit = partial(logistic_fusion, methods=BOTH)


def of_devices(rng, *, num_devices=40, shifts=(2.0, 1.5), spreads=(1.0, 3.0)):
    """Return all devices against all, scores ``(comparison, method)`` and what they truly tell.

    Scores of a method are of N(shift·spread, spread²) and N(0, spread²), independent of others'.
    """
    first, second = np.indices((num_devices, num_devices)).reshape(2, -1).repeat(2, axis=1)
    labels = (first == second).astype(np.int64)
    told = rng.standard_normal((labels.size, len(shifts))) + np.outer(labels, shifts)
    llr = told @ np.array(shifts) - np.square(shifts).sum() / 2
    return Compared(labels=labels, first=first, second=second), told * spreads, llr


def flipped(scores, chosen):
    """Return scores in which some comparisons tell the opposite of their labels."""
    middle = scores.mean(axis=0)
    return np.where(chosen[:, None], 2 * middle - scores, scores)


def test_two_independent_scores_together_cost_what_their_true_llr_costs_and_less_than_each(rng):
    some, scores, truth = of_devices(rng)
    together = cross_fitted(some, scores, fit=fit, seed=1)
    assert cllr(some.labels, together) == pytest.approx(cllr(some.labels, truth), rel=0.1)
    for alone in scores.T:
        assert cllr(some.labels, together) < 0.9 * cllr(
            some.labels, cross_fitted(some, alone, seed=1)
        )


def test_gaussian_scores_get_the_theory_s_weights(rng):
    labels, first = np.arange(20000) % 2, 2 * np.arange(20000)
    some = Compared(labels=labels, first=first, second=first + (labels == 0))
    told = rng.standard_normal((20000, 2)) + np.outer(labels, [2, 1.5])
    made = fit(some, told * [1, 3])
    np.testing.assert_allclose(made.weights, [2 / 1, 1.5 / 3], rtol=0.05)
    assert made.intercept == pytest.approx(-(2**2 + 1.5**2) / 2, rel=0.05)


def test_one_score_twice_is_not_counted_twice(rng):
    some, scores, _ = of_devices(rng)
    twice = fit(some, scores[:, [0, 0]])
    alone = logistic_calibrator(some, scores[:, 0])
    assert sum(twice.weights) == pytest.approx(alone.slope, rel=0.01)
    np.testing.assert_allclose(
        twice.llr(scores[:, [0, 0]]), alone.llr(scores[:, 0]), rtol=0.01, atol=0.01
    )


def test_a_worthless_score_gets_next_to_no_weight(rng):
    some, scores, _ = of_devices(rng, shifts=(2, 0), spreads=(1, 1))
    made = fit(some, scores)
    assert 0 <= made.weights[1] < 0.15 * made.weights[0]


@pytest.mark.parametrize("worse", [-1, 0])
def test_a_score_that_does_not_rise_with_the_label_gets_no_weight(worse, rng):
    """Neither one that falls with it, nor one that never changes."""
    some, scores, _ = of_devices(rng)
    scores[:, 1] *= worse
    made, alone = fit(some, scores), logistic_calibrator(some, scores[:, 0])
    assert made.weights[1] == 0
    assert made.weights[0] == pytest.approx(alone.slope, rel=0.01)
    assert made.intercept == pytest.approx(alone.intercept, rel=0.01)
    nothing = fit(some, -np.abs(scores[:, [1, 1]]) * some.labels[:, None])
    assert nothing.weights == (0, 0)
    np.testing.assert_array_equal(nothing.llr(scores), 0)


def test_the_scores_units_and_origins_change_no_log_likelihood_ratio(rng):
    some, scores, _ = of_devices(rng, num_devices=12)
    other = scores * [1e-3, 40] + [7, -100]
    np.testing.assert_allclose(
        fit(some, other).llr(other), fit(some, scores).llr(scores), atol=1e-4
    )


def test_log_likelihood_ratios_stay_within_what_the_set_supports(rng):
    some, scores, _ = of_devices(rng, shifts=(8.0, 8.0))
    made = fit(some, scores)
    assert (made.low, made.high) == support(some)
    assert made.llr([-1e6, 0]) == made.low
    assert made.llr([1e6, 0]) == made.high
    beyond = made.unbounded().llr([[0, 1e6], [0, 2e6]])
    assert made.high < beyond[0] < beyond[1]


def test_scores_of_any_shape_keep_it_and_nan_of_one_method_is_nan():
    made = Fusion(methods=BOTH, weights=(2.0, 0.0), intercept=-1.0, low=-2.0, high=4.0)
    scores = [[[1, 5], [0, 5], [9, 5]], [[np.nan, 5], [1, np.nan], [-9, 5]]]
    np.testing.assert_array_equal(made.llr(scores), [[1, -1, 4], [np.nan, np.nan, -2]])
    with pytest.raises(ValueError, match=r"scores of correlation, network on the last axis, .*3"):
        made.llr([1, 2, 3])


def test_what_a_comparison_s_own_devices_tell_changes_no_ratio_of_its_own(rng):
    some, scores, _ = of_devices(rng, num_devices=20)
    folds = device_folds(np.arange(20), seed=4)
    of = np.stack([folds[some.first], folds[some.second]])
    asked = (np.sort(of, axis=0) == [[1], [3]]).all(axis=0)
    touched = np.isin(of, [1, 3]).any(axis=0) & ~asked
    before, after = (
        cross_fitted(some, values, fit=fit, seed=4) for values in (scores, flipped(scores, touched))
    )
    np.testing.assert_array_equal(after[asked], before[asked])
    assert not np.allclose(after[~asked & ~touched], before[~asked & ~touched])


def test_cross_fitting_is_what_a_fit_on_all_but_two_folds_gives(rng):
    some, scores, _ = of_devices(rng, num_devices=20)
    folds = device_folds(np.arange(20), num_folds=4, seed=4)
    at = int(np.flatnonzero((folds[some.first] == 0) & (folds[some.second] == 2))[0])
    rest = ~np.isin(folds[[some.first, some.second]], [0, 2]).any(axis=0)
    expected = fit(some.where(rest), scores[rest]).llr(scores[at])
    found = cross_fitted(some, scores, fit=fit, num_folds=4, seed=4)
    assert found[at] == pytest.approx(float(expected))


def test_a_fusion_comes_back_from_json_as_it_was(rng):
    some, scores, _ = of_devices(rng, num_devices=12)
    made = fit(some, scores)
    assert fusion(json.loads(json.dumps(made.facts()))) == made


FACTS = {
    "form": "fusion",
    "methods": ["a", "b"],
    "weights": [1, 0],
    "intercept": 0,
    "low": -1,
    "high": 1,
}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"form": "logistic"}, "not the facts of a fusion: of a 'logistic'"),
        ({"weights": [1]}, "different methods and a weight for each"),
        ({"methods": ["a", "a"]}, "different methods and a weight for each"),
        ({"methods": [], "weights": []}, "different methods and a weight for each"),
        ({"weights": [1, -1]}, "weights of at least 0, low <= high"),
        ({"weights": [1, float("nan")]}, "weights of at least 0, low <= high"),
        ({"low": 2}, "weights of at least 0, low <= high"),
        ({"weights": "steep"}, "not the facts of a fusion: could not"),
        ({"knots": 1}, "not the facts of a fusion: .*knots"),
    ],
)
def test_facts_of_no_fusion_are_refused(changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        fusion(FACTS | changed)
    with pytest.raises(ValueError, match="not the facts of a fusion: 'form'"):
        fusion({})


def test_scores_that_cannot_be_fused_are_refused(rng):
    some, scores, _ = of_devices(rng, num_devices=4)
    with pytest.raises(ValueError, match=r"scores of correlation, network, got .*\(32, 1\)"):
        fit(some, scores[:, :1])
    with pytest.raises(ValueError, match=r"scores of correlation, network, got .*\(32,\)"):
        fit(some, scores[:, 0])
    with pytest.raises(ValueError, match="each of 32 comparisons"):
        fit(some, scores[1:])
    with pytest.raises(ValueError, match="finite"):
        fit(some, np.where(scores == scores[5, 1], np.nan, scores))


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder in the place of that which camid comes with."""
    monkeypatch.setattr(module.resources, "files", lambda _: tmp_path)
    return tmp_path


def test_the_shipped_fusion_is_that_of_its_file(shipped):
    (shipped / "fusion.json").write_text(json.dumps(FACTS))
    assert shipped_fusion() == fusion(FACTS)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "fusion.json: camid's fusion is missing; install camid again"),
        ("{}", "fusion.json: not the facts of a fusion: 'form'; install"),
        ("{", "fusion.json: .*; install camid again"),
    ],
)
def test_a_shipped_fusion_that_is_missing_or_damaged_is_one_sentence(shipped, text, sentence):
    if text is not None:
        (shipped / "fusion.json").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        shipped_fusion()
