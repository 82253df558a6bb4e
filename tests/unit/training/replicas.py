"""Steps of two replicas on two devices of one processor, told as JSON: ``python -m …replicas``.

TensorFlow divides a processor once a process, so this is a process of its own.
"""

import json
from functools import partial

import numpy as np

from camid.comparison.networks.classifier import classifier
from camid.comparison.networks.siamese import siamese
from camid.config import Classifier, Siamese, Training
from camid.training.batches import Share
from camid.training.pairs import Sums
from camid.training.patches import Patches
from camid.training.train_step import Learner

BATCH, SIZE, NUM_STEPS, NUM_DEVICES = 8, 32, 5, 4
PLAIN = {"batch_size": BATCH, "warmup_steps": 0, "schedule": "constant"}
CASES = {
    "small": (
        partial(siamese, Siamese(extractor="small"), size=SIZE),
        Training(optimiser="sgd", learning_rate=0.1, clip_norm=0.0, **PLAIN),
    ),
    "report": (
        partial(siamese, Siamese(extractor="report", width=0.1), size=SIZE),
        Training(optimiser="sgd", learning_rate=0.1, clip_norm=0.1, **PLAIN),
    ),
    "deep": (
        partial(
            classifier,
            Classifier(network="deep", width=0.25),
            size=SIZE,
            num_devices=NUM_DEVICES,
            is_residual=True,
        ),
        Training(optimiser="sgd", learning_rate=0.1, clip_norm=0.1, **PLAIN),
    ),
}
"""With ``sgd`` the scale of gradients shows, with clipping whether it comes after their sum."""
VALUES = np.array([[1 / 3, 2.0**40], [-0.1, 0.0]])


def pairs(num_pairs: int = BATCH, *, size: int = SIZE, seed: int = 1) -> Sums:
    """Return pairs of noise, in which both sides of every other one share a little."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(num_pairs) % 2).astype(np.int8)
    sums = rng.integers(-60, 61, (num_pairs, 2, size, size, 3))
    shared = rng.integers(-30, 31, (num_pairs, 1, size, size, 3))
    sums += labels[:, None, None, None, None] * shared
    counts = np.tile(np.array([1, 3], np.int16), (num_pairs, 1))
    return Sums(sums=sums.astype(np.int16), counts=counts, labels=labels, step=0.125)


def patches(num_patches: int = BATCH, *, seed: int = 1) -> Patches:
    """Return patches of noise, each with a little of its device's."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(num_patches) % NUM_DEVICES).astype(np.int32)
    own = rng.integers(-20, 21, (NUM_DEVICES, SIZE, SIZE, 3))
    samples = own[labels] + rng.integers(-60, 61, (num_patches, SIZE, SIZE, 3))
    return Patches(samples=samples.astype(np.int8), labels=labels, step=0.125)


def batch(case: str) -> Share:
    """Return what a case learns from."""
    return patches() if case == "deep" else pairs()


def learner(case: str, strategy: object = None) -> Learner:
    """Return an untrained network of a case."""
    build, training = CASES[case]
    return Learner(build, training, seed=1, strategy=strategy)


def followed(of: Learner, case: str) -> dict[str, list[float]]:
    """Return the losses of some steps on one batch, dealt to all replicas, and how they end."""
    share, whole = BATCH // of.num_replicas, batch(case)
    parts = [whole.some(slice(i * share, (i + 1) * share)) for i in range(of.num_replicas)]
    losses = [float(of.step(parts)) for _ in range(NUM_STEPS)]
    state = [float(np.linalg.norm(variable)) for variable in of.optimiser.variables]
    return {"losses": losses, "logits": of.outputs(whole).ravel().tolist(), "state": state}


def main() -> None:
    """Print what two replicas do."""
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
    tf.config.set_logical_device_configuration(processor, halves)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    learners = {case: learner(case, strategy) for case in CASES}
    told: dict[str, object] = {case: followed(of, case) for case, of in learners.items()}
    any_one = learners["small"]
    told["num_replicas"] = any_one.num_replicas
    told["added"] = any_one.added(VALUES).tolist()
    try:
        any_one.step([pairs()])
    except ValueError as error:
        told["refusal"] = str(error)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
