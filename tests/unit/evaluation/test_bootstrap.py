import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm

from camid.evaluation.bootstrap import FEWEST, resampled, resampled_rank1
from camid.evaluation.labels import Compared
from camid.evaluation.metrics import equal_error_rate, roc_auc, tpr_at_fpr
from camid.evaluation.results import with_intervals
from camid.evaluation.weighted_roc import FIGURES, curve, parties

NUM_DEVICES = 4
device = st.integers(0, NUM_DEVICES - 1)
scored = st.lists(st.tuples(device, device, st.integers(-4, 4)), min_size=2, max_size=40)
counted = st.lists(st.integers(0, 3), min_size=NUM_DEVICES, max_size=NUM_DEVICES)


def of(rows):
    """Return comparisons and scores of rows of two devices and a score; every device has one."""
    rows = [*rows, *((d, d, 0) for d in range(NUM_DEVICES)), (0, 1, 0)]
    first, second, scores = np.array(rows).T
    labels = (first == second).astype(np.int64)
    return Compared(labels=labels, first=first, second=second), scores.astype(float)


def plain(labels, scores):
    return {
        "eer": equal_error_rate(labels, scores),
        "auc": roc_auc(labels, scores),
        "tpr_at_fpr_1e-2": tpr_at_fpr(labels, scores, fpr=1e-2),
        "tpr_at_fpr_1e-3": tpr_at_fpr(labels, scores, fpr=1e-3),
    }


def drawn(seed=0, *, num_devices=30, num_pairs=400, shift=1.5, spread=0.7, noise=0.7):
    """Return comparisons of devices that have effects of their own, and scores of variance 1.

    A positive's device adds an effect; a negative's two devices add one each.
    """
    rng = np.random.default_rng(seed)
    first = rng.integers(num_devices, size=num_pairs)
    labels = (np.arange(num_pairs) % 4 == 0).astype(np.int64)
    second = np.where(labels, first, (first + rng.integers(1, num_devices, num_pairs)))
    second %= num_devices
    own, foreign = rng.standard_normal((2, num_devices)) * [[spread], [spread / np.sqrt(2)]]
    effects = np.where(labels, shift + own[first], foreign[first] + foreign[second])
    scores = effects + noise * rng.standard_normal(num_pairs)
    return Compared(labels=labels, first=first, second=second), scores


def weighted_figures(compared, scores, times):
    """Return the figures of comparisons whose devices count some times each."""
    devices = parties(compared)
    figures = curve(compared, devices, scores).figures(times, devices.meetings(times))
    return dict(zip(FIGURES, figures, strict=True))


@given(scored)
def test_counted_once_figures_are_those_of_the_metrics(rows):
    compared, scores = of(rows)
    found = weighted_figures(compared, scores, np.ones((NUM_DEVICES, 1)))
    for name, value in plain(compared.labels, scores).items():
        assert found[name][0] == pytest.approx(value, abs=1e-12), name


def test_many_scores_with_and_without_ties_have_the_metrics_figures():
    compared, scores = drawn(num_pairs=5000)
    for values in (scores, np.round(scores, 1)):
        found = resampled(compared, {"m": values}, rng=np.random.default_rng(0), num_resamples=1)
        for name, value in plain(compared.labels, values).items():
            assert found.estimates("m")[name].value == pytest.approx(value, abs=1e-12), name


@given(scored, counted)
def test_a_device_that_counts_k_times_is_as_k_of_its_rows(rows, times):
    compared, scores = of(rows)
    once = np.array(times)[compared.first]
    repeats = np.where(compared.positive, once, once * np.array(times)[compared.second])
    labels = np.repeat(compared.labels, repeats)
    assume(0 < labels.sum() < labels.size)
    found = weighted_figures(compared, scores, np.array(times)[:, None])
    for name, value in plain(labels, np.repeat(scores, repeats)).items():
        assert found[name][0] == pytest.approx(value, abs=1e-12), name


@given(scored, st.integers(0, 9))
def test_a_rising_transform_of_the_scores_changes_no_figure(rows, seed):
    compared, scores = of(rows)
    both = {"as it is": scores, "transformed": np.exp(scores / 3) - 7}
    found = resampled(compared, both, rng=np.random.default_rng(seed), num_resamples=20)
    assert found.estimates("transformed") == found.estimates("as it is")


@given(scored)
def test_a_method_differs_from_itself_by_nothing(rows):
    compared, scores = of(rows)
    found = resampled(compared, {"m": scores}, rng=np.random.default_rng(3), num_resamples=20)
    for difference in found.differences("m", baseline="m").values():
        assert (difference.value, difference.verdict) == (0, "undecided")
        assert difference[1:3] in {(0, 0), (None, None)}


def test_intervals_hold_the_truth_as_often_as_they_say_and_those_over_comparisons_do_not():
    truth = norm.cdf(1.5 / np.sqrt(0.7**2 * 4))
    covered, covered_naively = 0, 0
    for seed in range(80):
        compared, scores = drawn(seed)
        rng = np.random.default_rng(seed)
        found = resampled(compared, {"m": scores}, rng=rng, num_resamples=200)
        _, low, high = found.estimates("m")["auc"]
        covered += low <= truth <= high
        wins = scores[compared.positive][:, None] > scores[~compared.positive]
        chosen = [rng.multinomial(n, np.full(n, 1 / n), size=200) / n for n in wins.shape]
        naive = np.einsum("rp,pn,rn->r", chosen[0], wins, chosen[1], optimize=True)
        low, high = np.quantile(naive, [0.025, 0.975])
        covered_naively += low <= truth <= high
    assert covered / 80 > 0.88
    assert covered_naively / 80 < 0.75


def test_comparing_the_same_sides_again_narrows_nothing():
    compared, scores = drawn()
    again = np.tile(np.arange(scores.size), 3)
    found = [
        resampled(some, {"m": values}, rng=np.random.default_rng(5), num_resamples=50).draws["m"]
        for some, values in [(compared, scores), (compared.where(again), scores[again])]
    ]
    np.testing.assert_allclose(*found, atol=1e-12)


def test_a_method_plus_noise_is_worse_and_a_method_less_noise_is_better(rng):
    compared, scores = drawn(shift=3)
    noisy = scores + 2 * rng.standard_normal(scores.size)
    found = resampled(compared, {"m": scores, "noisy": noisy}, rng=rng, num_resamples=300)
    worse = found.differences("noisy", baseline="m")
    better = found.differences("m", baseline="noisy")
    for name in ("eer", "auc", "tpr_at_fpr_1e-2"):
        assert (worse[name].verdict, better[name].verdict) == ("worse", "better"), name
        assert better[name].value == -worse[name].value
    assert worse["eer"].low > 0 > worse["auc"].high


def test_pairing_decides_what_two_intervals_that_overlap_cannot(rng):
    compared, scores = drawn(num_pairs=4000)
    noisy = scores + 0.5 * rng.standard_normal(scores.size)
    found = resampled(compared, {"m": scores, "noisy": noisy}, rng=rng, num_resamples=300)
    assert found.estimates("noisy")["auc"].high > found.estimates("m")["auc"].low
    assert found.differences("m", baseline="noisy")["auc"].verdict == "better"


def test_a_method_s_interval_is_the_same_whoever_stands_beside_it(rng):
    compared, scores = drawn(num_pairs=20000)
    other = np.round(scores + rng.standard_normal(scores.size))
    alone, beside = (
        resampled(compared, methods, rng=np.random.default_rng(1), num_resamples=60)
        for methods in ({"other": other}, {"other": other, "m": scores})
    )
    assert alone.estimates("other") == beside.estimates("other")


def test_resamples_without_positives_or_without_negatives_are_drawn_again():
    compared = Compared(labels=np.array([1, 0]), first=np.array([0, 0]), second=np.array([0, 1]))
    found = resampled(compared, {"m": [1.0, 0.0]}, rng=np.random.default_rng(0), num_resamples=50)
    assert found.draws["m"].shape == (len(FIGURES), 50)
    assert found.estimates("m")["auc"] == (1, None, None)
    assert (found.draws["m"][FIGURES.index("auc")] == 1).all()


def test_devices_are_names_or_numbers_alike():
    compared, scores = drawn()
    names = np.array([f"phone {d:02d}" for d in range(30)])
    named = Compared(
        labels=compared.labels, first=names[compared.first], second=names[compared.second]
    )
    found = [
        resampled(some, {"m": scores}, rng=np.random.default_rng(2), num_resamples=20)
        for some in (compared, named)
    ]
    assert found[0].estimates("m") == found[1].estimates("m")


def test_rank1_s_interval_is_that_of_devices_not_of_queries(rng):
    """Half of the devices are always recognised, the others never: 20 coins, not 1,000."""
    queries = np.repeat(np.arange(20), 50)
    scores = np.zeros((1000, 20))
    scores[np.arange(1000), queries] = np.where(queries < 10, 1, -1)
    found = resampled_rank1(queries, {"m": scores}, rng=rng).estimates("m")["rank1"]
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 20), rel=0.15)


def test_rank1_queries_meet_the_whole_gallery_and_a_better_method_is_found(rng):
    queries = np.repeat(np.arange(10), 20)
    good = rng.standard_normal((200, 40))
    good[np.arange(200), queries] += 4
    bad = good + 3 * rng.standard_normal(good.shape)
    found = resampled_rank1(queries, {"good": good, "bad": bad}, rng=rng, num_resamples=200)
    assert found.differences("good", baseline="bad")["rank1"].verdict == "better"
    best = good.argmax(axis=1) == queries
    assert found.estimates("good")["rank1"].value == pytest.approx(best.mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "second", "scores", "sentence"),
    [
        ([1, 0], [0, 1], [1.0], "a score for each of 2 comparisons, got an array of \\(1,\\)"),
        ([1, 0], [0, 1], [1.0, np.nan], "finite scores"),
        ([1, 1], [0, 0], [1.0, 2.0], "both same-device and different-device"),
        ([1, 1], [0, 1], [1.0, 2.0], "label 1 for one device and 0 for two, got label 1 for 0 and"),
        ([1, 0], [0], [1.0, 2.0], "a label and two devices for every comparison"),
    ],
)
def test_what_cannot_be_judged_is_refused(labels, second, scores, sentence, rng):
    with pytest.raises(ValueError, match=sentence):
        resampled(
            Compared(labels=np.array(labels), first=np.zeros(2, np.int64), second=np.array(second)),
            {"m": scores},
            rng=rng,
        )


def test_no_resamples_and_too_few_devices_are_refused(rng):
    compared, scores = drawn()
    with pytest.raises(ValueError, match="at least one resample, got num_resamples=0"):
        resampled(compared, {"m": scores}, rng=rng, num_resamples=0)
    with pytest.raises(ValueError, match="queries of at least two devices, got 1"):
        resampled_rank1(np.zeros(3, np.int64), {"m": np.ones((3, 2))}, rng=rng)


@pytest.mark.parametrize("num_devices", range(2, FEWEST + 3))
def test_of_few_devices_nothing_is_said_to_be_certain(num_devices):
    """Of a method that never errs and one that always does."""
    first, second = np.triu_indices(num_devices)
    compared = Compared(labels=(first == second).astype(np.int64), first=first, second=second)
    scores = {"right": compared.labels, "wrong": -compared.labels}
    found = resampled(compared, scores, rng=np.random.default_rng(1), num_resamples=200)
    difference = found.differences("right", baseline="wrong")["auc"]
    assert difference.value == 1
    ends = (*found.estimates("right")["auc"][1:], *difference[1:3])
    if num_devices < FEWEST:
        assert (set(ends), difference.verdict) == ({None}, "undecided")
        assert {*dict(with_intervals(found.estimates("right")))} == {*FIGURES}
    else:
        assert (set(ends), difference.verdict) == ({1}, "better")
