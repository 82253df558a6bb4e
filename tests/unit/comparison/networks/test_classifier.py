"""Classifiers: what they take and give, that they learn, and that the deep one's gradient lasts."""

from functools import partial

import keras
import numpy as np
import pytest

from camid.comparison.networks.classifier import NETWORKS, classifier
from camid.comparison.networks.files import network_bytes, read_network
from camid.config import Classifier, Training
from camid.io.folder import Folder
from camid.training.patches import Patches
from camid.training.train_step import Learner

NUM, SIZE, BATCH = 5, 32, 40


def built(network="deep", *, size=SIZE, width=0.25, is_residual=True, seed=1):
    keras.utils.set_random_seed(seed)
    settings = Classifier(network=network, width=width)
    return classifier(settings, size=size, num_devices=NUM, is_residual=is_residual)


def patches(count=BATCH, *, seed=1):
    """Return patches of noise, each with a texture of its device."""
    rng = np.random.default_rng(seed)
    textures = np.random.default_rng(0).normal(0, 12, (NUM, SIZE, SIZE, 3))
    labels = (np.arange(count) % NUM).astype(np.int32)
    samples = textures[labels] + rng.normal(0, 12, (count, SIZE, SIZE, 3))
    return Patches(samples=np.rint(samples).astype(np.int8), labels=labels, step=0.125)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("is_residual", [True, False])
def test_a_classifier_gives_a_logit_a_device_and_has_an_embedding(network, is_residual):
    model = built(network, is_residual=is_residual)
    assert model.input_shape == (None, SIZE, SIZE, 3)
    assert model.output_shape == (None, NUM)
    assert len(model.get_layer("embedding").output.shape) == 2
    low, high = (-16, 16) if is_residual else (0, 255)
    levels = np.random.default_rng(1).uniform(low, high, (3, SIZE, SIZE, 3)).astype(np.float32)
    assert np.isfinite(np.asarray(model(levels))).all()


@pytest.mark.parametrize(
    ("network", "count"), [("ghosh2021", 2_146_671), ("freire2019", 739_471), ("deep", 78_655)]
)
def test_numbers_of_parameters_are_those_that_are_stated(network, count):
    model = classifier(Classifier(network=network), size=32, num_devices=15, is_residual=True)
    assert model.count_params() == count


@pytest.mark.parametrize("network", ["ghosh2021", "deep"])
def test_images_that_are_not_cut_are_taken_whole(network):
    model = built(network, size=160, width=0.1)
    assert np.asarray(model(np.zeros((2, 160, 160, 3), np.float32))).shape == (2, NUM)


@pytest.mark.parametrize("network", NETWORKS)
def test_steps_teach_devices_whose_patches_differ(network):
    training = Training(batch_size=BATCH, learning_rate=0.003, warmup_steps=0, schedule="constant")
    one = Learner(partial(built, network), training, seed=1)
    losses = [float(one.step([patches()])) for _ in range(25)]
    assert losses[0] > 1
    assert losses[-1] < losses[0] / 3
    outputs = one.outputs(patches())
    assert outputs.shape == (BATCH, NUM)
    if network != "deep":  # its averages of batches need longer
        assert (outputs.argmax(axis=1) == patches().labels).mean() > 0.9


def test_a_step_s_loss_is_the_cross_entropy_of_the_share_over_the_whole_batch():
    one = Learner(partial(built, "freire2019"), Training(batch_size=2 * BATCH), seed=1)
    share = patches()
    logits = np.asarray(one.model(share.samples * np.float32(0.125), training=True), np.float64)
    told = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -told[np.arange(BATCH), share.labels].mean() / 2
    assert float(one.step([share])) == pytest.approx(expected, rel=1e-4)


def test_the_deep_network_s_gradient_reaches_its_first_layer():
    import tensorflow as tf

    model, share = built(width=0.5), patches()
    with tf.GradientTape() as tape:
        logits = model(share.samples * np.float32(0.125), training=True)
        loss = keras.ops.mean(
            keras.losses.sparse_categorical_crossentropy(share.labels, logits, from_logits=True)
        )
    kernels = [w for w in model.trainable_weights if w.path.endswith("kernel")]
    norms = {
        w.path: float(np.linalg.norm(np.ravel(g)) / np.linalg.norm(np.ravel(w)))
        for w, g in zip(kernels, tape.gradient(loss, kernels), strict=True)
    }
    assert "stem" in next(iter(norms))
    assert norms[next(iter(norms))] > 0.05 * max(norms.values())


def test_a_classifier_comes_back_from_its_file(tmp_path):
    model = built()
    Folder(str(tmp_path)).write("cnn.keras", network_bytes(model))
    again = read_network(Folder(str(tmp_path)), "cnn.keras")
    levels = patches(3).samples * np.float32(0.125)
    np.testing.assert_allclose(again.predict_on_batch(levels), model.predict_on_batch(levels))
