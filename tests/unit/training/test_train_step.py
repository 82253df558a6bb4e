"""Steps of a network: what they do to it, and that they are the same on one device or on two."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.comparison.networks.siamese import siamese
from camid.config import Siamese, Training
from camid.training.checkpoint import Progress
from camid.training.train_step import Learner, Schedule, checkpoint, optimiser, restore
from tests.unit.training.replicas import CASES, VALUES, followed, learner, pairs

SIZE, BATCH = 16, 8
ROOT = Path(__file__).parents[3]
SGD = {"optimiser": "sgd", "learning_rate": 0.1}
NUMBERS = {"rate": st.floats(1e-4, 1), "warmup": st.integers(0, 20), "steps": st.integers(21, 60)}


def fresh(seed=1, *, network=None, **settings):
    """Return a small network that trains with plain settings but for those that are given."""
    training = {"batch_size": BATCH, "warmup_steps": 0, "schedule": "constant", **settings}
    build = partial(siamese, Siamese(**(network or {"width": 0.5})), size=SIZE)
    return Learner(build, Training(**training), seed=seed)


def weights(of):
    return [np.asarray(weight) for weight in of.model.trainable_weights]


def update(seed=1, **settings):
    """Return by how much one step changes all weights, as one vector."""
    one = fresh(seed, **settings)
    before = weights(one)
    one.step([pairs(BATCH, size=SIZE)])
    changes = zip(weights(one), before, strict=True)
    return np.concatenate([(after - was).ravel() for after, was in changes])


def cross_entropy(labels, logits):
    signs = 1 - 2 * labels.astype(np.float64)
    return float(np.mean(np.logaddexp(0, signs * logits)))


def rates(schedule, steps):
    return np.asarray(schedule(np.array(steps)) * np.ones(len(steps), np.float32))


@pytest.fixture(scope="module")
def free_update():
    return update(clip_norm=0.0, **SGD)


@pytest.fixture(scope="module")
def two_replicas():
    told = subprocess.run(
        [sys.executable, "-m", "tests.unit.training.replicas"],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-2000:]
    return json.loads(told.stdout)


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES)
def test_two_replicas_with_half_a_batch_each_learn_what_one_learns_of_the_whole(case, two_replicas):
    found, alone = two_replicas[case], followed(learner(case), case)
    np.testing.assert_allclose(found["losses"], alone["losses"], rtol=1e-3)
    np.testing.assert_allclose(found["logits"], alone["logits"], rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(found["state"], alone["state"], rtol=1e-2, atol=1e-5)
    assert alone["losses"][-1] < alone["losses"][0]


@pytest.mark.soak
def test_of_a_process_with_two_replicas_values_are_added_once(two_replicas):
    assert two_replicas["num_replicas"] == 2
    np.testing.assert_array_equal(two_replicas["added"], VALUES)
    np.testing.assert_array_equal(fresh().added(VALUES), VALUES)


@pytest.mark.soak
def test_every_replica_needs_a_share(two_replicas):
    assert two_replicas["refusal"] == "expected 2 parts, got 1"
    with pytest.raises(ValueError, match="expected 1 parts, got 2"):
        fresh().step([pairs(4, size=SIZE)] * 2)


def test_a_step_s_loss_is_the_share_s_cross_entropy_before_it_over_the_whole_batch():
    one, share = fresh(batch_size=3 * BATCH), pairs(BATCH, size=SIZE)
    logits = np.asarray(one.model(share.averages(), training=True))[:, 0]
    expected = cross_entropy(share.labels, logits) / 3
    assert float(one.step([share])) == pytest.approx(expected, rel=1e-4)


def test_scores_are_the_logits_of_averages_and_change_nothing():
    one, batch = fresh(), pairs(5, size=SIZE)
    before = weights(one)
    found = one.outputs(batch)[:, 0]
    plain = np.asarray(one.model(batch.averages(), training=False))[:, 0]
    np.testing.assert_allclose(found, plain, rtol=1e-4)
    np.testing.assert_allclose(one.outputs(batch.some(slice(2, 4)))[:, 0], found[2:4], rtol=1e-4)
    assert found.dtype == np.float32
    for was, now in zip(before, weights(one), strict=True):
        np.testing.assert_array_equal(now, was)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_steps_lower_the_loss_of_a_batch_and_part_its_labels(name):
    one, batch = fresh(optimiser=name, learning_rate=0.02), pairs(BATCH, size=SIZE)
    losses = [float(one.step([batch])) for _ in range(30)]
    assert losses[-1] < losses[0] / 2
    assert np.mean(losses[15:]) < np.mean(losses[:15])


def test_clipping_bounds_a_step_and_keeps_its_direction(free_update):
    bound = update(clip_norm=1e-3, **SGD)
    momentum = 1.9  # of Nesterov's first step
    assert np.linalg.norm(bound) == pytest.approx(0.1 * 1e-3 * momentum, rel=1e-3)
    assert np.linalg.norm(free_update) > 10 * np.linalg.norm(bound)
    cosine = bound @ free_update / np.linalg.norm(bound) / np.linalg.norm(free_update)
    assert cosine == pytest.approx(1, abs=1e-4)


def test_gradients_below_the_norm_are_left_alone(free_update):
    np.testing.assert_allclose(update(clip_norm=1e6, **SGD), free_update, rtol=1e-5, atol=1e-8)


def test_weights_decay_where_it_is_asked_for():
    settings = {"optimiser": "adamw", "learning_rate": 0.01}
    plain, decayed = update(weight_decay=0.0, **settings), update(weight_decay=0.5, **settings)
    before = np.concatenate([weight.ravel() for weight in weights(fresh())])
    np.testing.assert_allclose(decayed - plain, -0.01 * 0.5 * before, rtol=1e-2, atol=1e-6)


@given(NUMBERS["rate"], NUMBERS["warmup"], NUMBERS["steps"], st.booleans())
def test_a_rate_rises_over_the_warm_up_and_then_stays_or_falls(rate, warmup, steps, is_cosine):
    schedule = Schedule(rate, warmup_steps=warmup, num_steps=steps, is_cosine=is_cosine)
    rising, rest = rates(schedule, range(warmup)), rates(schedule, range(warmup, steps + 1))
    np.testing.assert_allclose(rising, rate * np.arange(1, warmup + 1) / max(1, warmup), rtol=1e-5)
    assert rest[0] == pytest.approx(rate, rel=1e-5)
    if is_cosine:
        assert (np.diff(rest) < 0).all()
        assert rest[-1] == pytest.approx(rate / 100, rel=1e-3)
        assert rest[:: len(rest) - 1].mean() == pytest.approx(rest.mean(), rel=1e-3)
    else:
        np.testing.assert_allclose(rest, rate, rtol=1e-5)
    again = Schedule(**schedule.get_config())
    assert rates(again, range(steps)).tolist() == rates(schedule, range(steps)).tolist()


def test_the_optimiser_s_rate_is_the_schedule_s_of_the_next_step():
    settings = {"learning_rate": 0.5, "warmup_steps": 4, "num_steps": 9}
    found = optimiser(Training(schedule="cosine", **settings))
    schedule = Schedule(0.5, warmup_steps=4, num_steps=9, is_cosine=True)
    for step in range(10):
        found.iterations.assign(step)
        assert float(found.learning_rate) == pytest.approx(float(schedule(step)))


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_the_optimiser_is_the_named_one(name, kind):
    assert type(optimiser(Training(optimiser=name))).__name__ == kind


@pytest.mark.parametrize(
    ("network", "settings"),
    [
        ({"extractor": "small"}, {"optimiser": "adam"}),
        ({"extractor": "report-code", "width": 0.05, "dropout": 0.3}, {"optimiser": "sgd"}),
    ],
)
def test_a_restored_training_takes_the_steps_of_the_undisturbed_one(network, settings):
    batch = pairs(BATCH, size=SIZE)
    settings = {"warmup_steps": 5, "schedule": "cosine", "num_steps": 9, **settings}
    one, other = (fresh(seed, network=network, **settings) for seed in (1, 2))
    progress = Progress(step=3, history=[{"step": 0, "validation_auc": 0.5}])
    for _ in range(3):
        one.step([batch])
    other.step([batch])
    assert restore(other, checkpoint(one, progress)) == progress
    expected, found = ([float(each.step([batch])) for _ in range(3)] for each in (one, other))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert len(set(expected)) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"network": {"extractor": "residual", "width": 0.5}},
        {"network": {"extractor": "small", "width": 1.0}},
        {"optimiser": "sgd"},
    ],
)
def test_another_network_s_checkpoint_is_refused(other):
    data = checkpoint(fresh(**other), Progress())
    one = fresh()
    before = weights(one)
    with pytest.raises(ValueError, match="^the checkpoint is another network's; start anew with"):
        restore(one, data)
    with pytest.raises(ValueError, match="^not a checkpoint, or damaged"):
        restore(one, data[:-30])
    for was, now in zip(before, weights(one), strict=True):
        np.testing.assert_array_equal(now, was)


def test_one_seed_gives_one_network_whatever_was_drawn_before_and_another_another():
    first = fresh(seed=3)
    keras.utils.set_random_seed(99)
    again, other = fresh(seed=3), fresh(seed=4)
    for one, two in zip(weights(first), weights(again), strict=True):
        np.testing.assert_array_equal(one, two)
    assert any(not np.allclose(a, b) for a, b in zip(weights(first), weights(other), strict=True))


def test_half_precision_learns_with_whole_weights_and_leaves_other_networks_whole():
    one, batch = fresh(precision="mixed_bfloat16", learning_rate=0.02), pairs(BATCH, size=SIZE)
    assert keras.config.dtype_policy().name == "float32"
    losses = [float(one.step([batch])) for _ in range(20)]
    assert losses[-1] < losses[0] / 2
    assert {weight.dtype for weight in weights(one)} == {np.dtype(np.float32)}
    assert one.outputs(batch).dtype == np.float32
    distance = one.model.get_layer("distance")
    assert (
        distance.compute_dtype == one.model.get_layer("distance_scale").compute_dtype == "float32"
    )
    assert one.model.get_layer("features").compute_dtype == "bfloat16"
    with pytest.raises(ZeroDivisionError):
        Learner(lambda: 1 // 0, Training(precision="mixed_bfloat16"), seed=1)
    assert keras.config.dtype_policy().name == "float32"
