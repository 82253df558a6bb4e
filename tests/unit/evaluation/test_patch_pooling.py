"""Answers of images from their patches, and figures of them, held against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.evaluation.classification import (
    Asked,
    best_scores,
    by_group,
    calibration_error,
    closed_set,
    confusion,
    gallery_scores,
    log_loss,
    open_set,
    probabilities,
    reliability,
    temperature,
)
from camid.evaluation.patch_pooling import Answers

NUM = 6


def asked(seed=1, *, images=400, patches=8, signal=0.6, copies=1, unknown=False):
    """Return images whose patches favour their device; copies of patches tell nothing new."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(NUM, size=images)
    logits = rng.standard_normal((images, patches, NUM))
    if not unknown:
        logits[np.arange(images), :, labels] += signal
    logits = np.repeat(logits, copies, axis=1)
    answers = Answers.of(logits.reshape(-1, NUM), np.repeat(np.arange(images), patches * copies))
    return Asked(
        labels=np.full(images, -1) if unknown else labels,
        kinds=["background" if i % 2 else "foreground" for i in range(images)],
        models=["new" if unknown and i % 4 else f"model {labels[i] // 2}" for i in range(images)],
        answers=answers,
    )


@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 6))
def test_answers_are_sums_and_counts_over_an_image_s_patches(seed, images, patches):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images * patches, 3))
    order = rng.permutation(images * patches)
    numbers = np.repeat(np.arange(images), patches)
    found = Answers.of(logits[order], numbers[order])
    for image in range(images):
        mine = logits[numbers == image]
        chances = np.exp(mine) / np.exp(mine).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.totals[image], np.log(chances).sum(axis=0))
        assert found.votes[image].tolist() == np.bincount(mine.argmax(axis=1), minlength=3).tolist()


def test_all_patches_together_are_right_more_often_than_one():
    of = asked()
    found = of.answers.accuracies(of.labels)
    assert found["patch_accuracy"] < found["vote_accuracy"] < found["accuracy"] < found["top5"]
    plain = [
        of.answers.votes[i, label] / of.answers.votes[i].sum() for i, label in enumerate(of.labels)
    ]
    assert found["patch_accuracy"] == pytest.approx(np.mean(plain))
    right = of.answers.totals.argmax(axis=1) == of.labels
    assert found["accuracy"] == pytest.approx(right.mean())


def test_a_device_of_the_model_names_the_model():
    of = asked()
    answers = of.answers.totals.argmax(axis=1)
    expected = np.mean(answers // 2 == of.labels // 2)  # models have two devices each
    found = closed_set(of, 1.0)
    assert found["model_accuracy"] == pytest.approx(expected)
    assert found["accuracy"] < found["model_accuracy"] < 1
    alone = Asked(labels=of.labels, kinds=of.kinds, models=[""] * 400, answers=of.answers)
    assert closed_set(alone, 1.0)["model_accuracy"] == found["accuracy"]


def test_equal_votes_are_decided_by_probability():
    totals, votes = np.array([[-3.0, -2.0, -9.0]]), np.array([[2, 2, 0]])
    found = Answers(totals=totals, votes=votes)
    assert found.ballots.argmax() == 1
    assert found.accuracies([1])["vote_accuracy"] == 1


def test_the_temperature_undoes_patches_that_tell_nothing_new():
    once, often = asked(), asked(copies=50)
    assert temperature(often) == pytest.approx(50 * temperature(once), rel=0.02)
    np.testing.assert_allclose(
        probabilities(often, temperature(often)),
        probabilities(once, temperature(once)),
        atol=0.01,
    )
    assert log_loss(often, temperature(often)) < log_loss(often, 1.0)
    assert calibration_error(reliability(often, temperature(often))) < 0.1
    assert calibration_error(reliability(often, 1.0)) > 0.2


def test_images_that_are_all_right_make_no_answer_sure():
    few = asked(images=30, signal=9)
    assert few.answers.accuracies(few.labels)["accuracy"] == 1
    heat = temperature(few)
    assert heat > 1
    assert probabilities(few, heat).max() < 1 - 1e-4


def test_reliability_is_of_all_images_from_least_to_most_sure():
    rows = reliability(asked(images=37), 1.0)
    assert sum(row["images"] for row in rows) == 37
    assert np.all(np.diff([row["probability"] for row in rows]) >= 0)


def test_the_threshold_lets_through_the_stated_share_of_what_validates():
    known, unknown, validation = asked(1, signal=1.2), asked(2, unknown=True), asked(3, signal=1.2)
    how = {"validation": validation, "heat": 1.0}
    found = [open_set(known, unknown, accepted=share, **how) for share in (0.5, 0.95)]
    assert found[1]["known_accepted"] == pytest.approx(0.95, abs=0.04)
    assert found[0]["unknown_accepted"] < found[1]["unknown_accepted"] < 0.95
    assert found[0]["open_set_auc"] > 0.8
    assert "unknown_same_model_accepted" in found[0]
    assert open_set(known, unknown.where(np.zeros(400, bool)), accepted=0.9, **how) == {}


def test_the_best_score_is_the_log_odds_of_the_best_device():
    of = asked(images=20)
    best = probabilities(of, 2.0).max(axis=1)
    np.testing.assert_allclose(best_scores(of, 2.0), np.log(best / (1 - best)), rtol=1e-6)


def test_confusion_is_the_share_of_a_device_s_images_that_are_taken_for_each():
    of = asked()
    found = confusion(of)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    shares = np.bincount(of.labels, minlength=NUM) / len(of.labels)
    accuracy = of.answers.accuracies(of.labels)["accuracy"]
    assert found.diagonal() @ shares == pytest.approx(accuracy)
    alone = of.where(of.labels == 2)
    assert np.isnan(confusion(alone)[3]).all()


def test_groups_are_every_device_and_every_kind():
    of = asked()
    rows = by_group(of, [f"d{n}" for n in range(NUM)])
    devices = [row for row in rows if row["kind"] == "all"]
    kinds = [row for row in rows if row["device"] == "all"]
    whole = closed_set(of, 1.0)["accuracy"]
    for some in (devices, kinds):
        assert sum(row["images"] for row in some) == 400
        mean = sum(row["images"] * row["accuracy"] for row in some) / 400
        assert mean == pytest.approx(whole)


def test_a_query_s_score_with_a_device_is_its_log_probability():
    of = asked(images=5)
    found = gallery_scores(of, [3, 0, 3], [1, 2, 0], 4.0)
    expected = np.log(probabilities(of, 4.0))[[3, 0, 3], [1, 2, 0]]
    np.testing.assert_allclose(found, expected)
