import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm

from camid.evaluation.metrics import (
    balanced_accuracy,
    equal_error_rate,
    recognised,
    recognition_rate,
    roc,
    roc_auc,
    single_threshold,
    tpr_at_fpr,
)

scored = st.lists(st.tuples(st.integers(0, 1), st.integers(-8, 8)), min_size=2, max_size=40)


def split(pairs):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    assume(0 < labels.sum() < len(labels))
    return labels, scores.astype(float)


@given(scored)
def test_auc_is_the_chance_that_a_positive_outscores_a_negative(pairs):
    labels, scores = split(pairs)
    wins = [(p > n) + (p == n) / 2 for p in scores[labels == 1] for n in scores[labels == 0]]
    assert roc_auc(labels, scores) == pytest.approx(np.mean(wins))


@given(scored)
def test_the_eer_lies_on_the_roc_where_errors_are_equal(pairs):
    labels, scores = split(pairs)
    eer = equal_error_rate(labels, scores)
    curve = roc(labels, scores)
    distance = [
        abs((f1 - f0) * (1 - eer - t0) - (t1 - t0) * (eer - f0))
        for f0, f1, t0, t1 in zip(curve.fpr, curve.fpr[1:], curve.tpr, curve.tpr[1:], strict=False)
        if f0 - 1e-12 <= eer <= f1 + 1e-12
    ]
    assert min(distance) < 1e-9


@given(scored)
def test_swapping_the_classes_and_the_sign_changes_nothing(pairs):
    labels, scores = split(pairs)
    assert equal_error_rate(1 - labels, -scores) == pytest.approx(equal_error_rate(labels, scores))
    assert roc_auc(1 - labels, -scores) == pytest.approx(roc_auc(labels, scores))


@given(scored)
def test_balanced_accuracy_is_the_mean_of_what_each_class_gets_right(pairs):
    labels, scores = split(pairs)
    found = balanced_accuracy(labels, scores)
    right = [np.mean([(s > 0) == bool(label) for s in scores[labels == label]]) for label in (0, 1)]
    assert found == pytest.approx(np.mean(right))
    twice = (
        np.concatenate([labels, labels[labels == 1]]),
        np.concatenate([scores, scores[labels == 1]]),
    )
    assert balanced_accuracy(*twice) == pytest.approx(found)
    assert balanced_accuracy(labels, 3 * scores) == found


@given(scored)
def test_balanced_accuracy_of_the_other_class_s_scores_is_what_is_missing_of_1(pairs):
    labels, scores = split(pairs)
    odd = scores + 0.5  # no score is 0, where both classes are told to be different
    found = balanced_accuracy(labels, odd)
    assert balanced_accuracy(1 - labels, -odd) == pytest.approx(found)
    assert balanced_accuracy(labels, -odd) == pytest.approx(1 - found)


def test_a_score_of_0_is_of_different_devices():
    assert balanced_accuracy([0, 1], [0, 0]) == 0.5
    assert balanced_accuracy([0, 1], [0, 1e-9]) == 1


@pytest.mark.parametrize(
    ("positives", "negatives", "eer"),
    [([2, 3], [0, 1], 0.0), ([0, 1], [2, 3], 1.0), ([1], [1], 0.5), ([0, 2], [1, 3], 0.5)],
)
def test_known_equal_error_rates(positives, negatives, eer):
    labels = [1] * len(positives) + [0] * len(negatives)
    assert equal_error_rate(labels, positives + negatives) == pytest.approx(eer)


def test_gaussian_scores_have_the_theory_s_error_rates():
    quantiles = norm.ppf((np.arange(20000) + 0.5) / 20000)
    labels = np.repeat([1, 0], 20000)
    scores = np.concatenate([quantiles + 2, quantiles])
    assert equal_error_rate(labels, scores) == pytest.approx(norm.cdf(-1), abs=1e-3)
    assert roc_auc(labels, scores) == pytest.approx(norm.cdf(np.sqrt(2)), abs=1e-3)
    assert tpr_at_fpr(labels, scores, fpr=0.01) == pytest.approx(
        norm.sf(norm.isf(0.01) - 2), abs=1e-3
    )


@given(scored, st.floats(1e-3, 0.9))
def test_the_one_threshold_s_crossing_lies_on_its_two_lines(pairs, fpr):
    labels, scores = split(pairs)
    found = single_threshold(labels, scores, fpr=fpr)
    knee_tpr = tpr_at_fpr(labels, scores, fpr=fpr)
    knee_fpr = 1 + knee_tpr - 2 * found.auc
    assert -1e-9 <= knee_fpr <= fpr + 1e-9
    accepted = np.interp(found.crossing, [0, knee_fpr, 1], [0, knee_tpr, 1])
    if 0 < knee_fpr < found.crossing:
        assert accepted == pytest.approx(1 - found.crossing)


def test_a_query_is_recognised_only_if_its_device_wins_alone():
    scores = np.array([[3, 1, 2], [1, 1, 0], [0, 5, np.nan], [np.nan, 0, 1]])
    assert recognised([0, 0, 1, 0], scores).tolist() == [True, False, True, False]
    assert recognition_rate([0, 0, 1, 0], scores) == 0.5


@pytest.mark.parametrize(
    ("labels", "scores", "sentence"),
    [
        ([0, 1], [1.0], "as many labels as scores, got 2 and 1"),
        ([0, 2], [1.0, 2.0], "labels 0"),
        ([0, 1], [1.0, np.nan], "finite scores"),
        ([1, 1], [1.0, 2.0], "both same-device and different-device"),
        ([], [], "both same-device and different-device"),
    ],
)
def test_what_cannot_be_judged_is_refused(labels, scores, sentence):
    for figure in (equal_error_rate, balanced_accuracy):
        with pytest.raises(ValueError, match=sentence):
            figure(labels, scores)
