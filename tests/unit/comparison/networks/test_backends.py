"""Networks are the same on another backend of Keras: from one's file to the other's answers."""

import os
import subprocess
import sys

import numpy as np
import pytest

from camid.config import Classifier, PairNet, Siamese

SIZE = 32
ON_JAX = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # which take longer than what they speed up
}


def networks():
    """Yield a small network of each kind, untrained but for its seed, and inputs of it."""
    import keras

    from camid.comparison.networks.classifier import NETWORKS, classifier
    from camid.comparison.networks.pairnet import pairnet
    from camid.comparison.networks.siamese import EXTRACTORS, siamese

    rng = np.random.default_rng(3)
    keras.utils.set_random_seed(3)
    pair = rng.normal(0, 3, (3, 2, SIZE, SIZE, 3)).astype(np.float32)
    for name in EXTRACTORS:
        yield siamese(Siamese(extractor=name, width=0.25), size=SIZE), pair
    for name in NETWORKS:
        settings = Classifier(network=name, width=0.25)
        network = classifier(settings, size=SIZE, num_devices=4, is_residual=True)
        yield network, pair[:, 0]
    stacks = rng.normal(0, 3, (3, 2, 2, SIZE, SIZE, 4)).astype(np.float32)
    yield pairnet(PairNet(filters=4, channels=8, blocks=1, planes=2)), stacks


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Return the outputs and gradients of each network, on TensorFlow and on JAX."""
    import tensorflow as tf

    from camid.comparison.networks.files import network_bytes

    folder, found = tmp_path_factory.mktemp("networks"), {}
    for network, inputs in networks():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(network(inputs, training=False))
        gradients = tape.gradient(total, network.trainable_variables)
        outputs = network(inputs, training=False)
        found[network.name] = [np.asarray(array) for array in (outputs, *gradients)]
        (folder / f"{network.name}.keras").write_bytes(network_bytes(network))
        np.save(folder / f"{network.name}.npy", inputs)
    subprocess.run(
        [sys.executable, "-m", "tests.reference.other_backend", str(folder)],
        env={**os.environ, **ON_JAX},
        check=True,
    )
    others = {}
    for name in found:
        with np.load(folder / f"{name}.npz") as arrays:
            others[name] = [arrays["outputs"], *(arrays[n] for n in sorted(arrays)[:-1])]
    return found, others


NAMES = ("report", "report_code", "residual", "small", "ghosh2021", "freire2019", "deep", "pairnet")


@pytest.mark.parametrize("name", NAMES)
def test_a_network_of_tensorflow_s_gives_the_same_logits_and_gradients_on_jax(answers, name):
    found, others = answers
    assert found.keys() == set(NAMES)
    assert len(found[name]) == len(others[name]) > 2
    for one, other in zip(found[name], others[name], strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-3, atol=2e-4 * np.abs(one).max() + 1e-6)
