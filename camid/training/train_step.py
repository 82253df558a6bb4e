"""Training steps of a network, compiled, the same on one device or on many.

``fit`` of Keras 3 does not work under TensorFlow's strategies for several machines, so the step is
written out: each replica's gradients of its part of the batch are added up, then clipped, then
applied, so that replicas stay equal. Only this module knows TensorFlow, and loads it when used.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from camid.config import Training
from camid.training.batches import Share
from camid.training.checkpoint import Progress, checkpoint_bytes, checkpoint_parts

LAST_RATE = 0.01
"""Share of the learning rate that a cosine schedule leaves in the end."""


@keras.saving.register_keras_serializable(package="camid")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of a step: rising from 0, then constant or falling like a cosine."""

    def __init__(self, rate: float, *, warmup_steps: int, num_steps: int, is_cosine: bool) -> None:
        self._facts = {
            "rate": rate,
            "warmup_steps": warmup_steps,
            "num_steps": num_steps,
            "is_cosine": is_cosine,
        }

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, counted from 0."""
        facts = self._facts
        steps_done = ops.cast(step, "float32")
        rate = facts["rate"] * ops.minimum(1.0, (steps_done + 1) / max(1, facts["warmup_steps"]))
        if not facts["is_cosine"]:
            return rate
        decay_steps = max(1, facts["num_steps"] - facts["warmup_steps"])
        progress = ops.clip((steps_done - facts["warmup_steps"]) / decay_steps, 0.0, 1.0)
        cosine = 0.5 * (1 + ops.cos(math.pi * progress))
        return rate * (LAST_RATE + (1 - LAST_RATE) * cosine)

    def get_config(self) -> dict[str, Any]:
        """Return the schedule's settings."""
        return dict(self._facts)


def optimiser(settings: Training) -> keras.optimizers.Optimizer:
    """Return the optimiser that settings name, with their schedule."""
    rate = Schedule(
        settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        num_steps=settings.num_steps,
        is_cosine=settings.schedule == "cosine",
    )
    match settings.optimiser:
        case "adam":
            return Adam(rate)
        case "adamw":
            return AdamW(rate, weight_decay=settings.weight_decay)
    return SGD(rate, momentum=0.9, nesterov=True)


class _OfSums:
    """Mixin of an optimiser under a strategy whose gradients are sums over replicas already.

    Keras's own would add them up once more, which costs as much as the first time.
    """

    def _all_reduce_sum_gradients(self, gradients_and_weights: Any) -> Any:
        return gradients_and_weights


class Adam(_OfSums, keras.optimizers.Adam):  # type: ignore[misc]
    """Keras's, of gradients that are sums over replicas already."""


class AdamW(_OfSums, keras.optimizers.AdamW):  # type: ignore[misc]
    """Keras's, of gradients that are sums over replicas already."""


class SGD(_OfSums, keras.optimizers.SGD):  # type: ignore[misc]
    """Keras's, of gradients that are sums over replicas already."""


class Learner:
    """A network and its optimiser under a strategy of TensorFlow's, or on one device.

    Parameters
    ----------
    build
        Makes the untrained network: grey levels ``(row, …, size, size, 3)``, of pairs or patches,
        to logits: one of label 1, or one a label.
    strategy
        A ``tf.distribute.Strategy``; none for one device.
    """

    def __init__(
        self,
        build: Callable[[], keras.Model],
        settings: Training,
        *,
        seed: int,
        strategy: Any = None,
    ) -> None:
        import tensorflow as tf

        self._strategy = strategy or tf.distribute.get_strategy()
        self.num_replicas = len(strategy.extended.worker_devices) if strategy else 1
        """Replicas of this process, each on a device of its own."""
        self._batch_size, self._clip_norm = settings.batch_size, settings.clip_norm
        keras.utils.set_random_seed(seed)  # equal weights on every worker
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(settings.precision)
        try:
            with self._strategy.scope():
                self.model = build()
                self.optimiser = optimiser(settings)
                self.optimiser.build(self.model.trainable_variables)
        finally:
            keras.config.set_dtype_policy(policy)
        self._step = tf.function(self._replicated(self._learn), reduce_retracing=True)
        self._outputs = tf.function(self._infer, reduce_retracing=True)
        self._added = tf.function(self._replicated(_total), reduce_retracing=True)

    def step(self, shares: Sequence[Share]) -> Any:
        """Take one step and return the loss of the whole batch, nats a row.

        It is a scalar tensor, which a GPU may still be computing; ``float`` of it waits.

        Parameters
        ----------
        shares
            One for each replica of this process; all replicas' together make the batch.
        """
        return self._per_replica(self._step, [share.arrays() for share in shares])

    def outputs(self, share: Share) -> NDArray[np.float32]:
        """Return logits ``(row, output)``, by this process alone."""
        return np.asarray(self._outputs(*share.arrays()[:2]))

    def added(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of all processes' values, in each of them."""
        zeros = [np.zeros_like(values)] * (self.num_replicas - 1)
        return np.asarray(self._per_replica(self._added, [(value,) for value in (values, *zeros)]))

    def _per_replica(self, compiled: Any, parts: Sequence[tuple[Any, ...]]) -> Any:
        """Call a compiled function with a part for each replica; return their common result."""
        if len(parts) != self.num_replicas:
            raise ValueError(f"expected {self.num_replicas} parts, got {len(parts)}")
        if len(parts) == 1:
            return compiled(*parts[0])
        distribute = self._strategy.experimental_distribute_values_from_function
        values = [
            distribute(
                lambda context, by_replica=column: by_replica[context.replica_id_in_sync_group]
            )
            for column in zip(*parts, strict=True)
        ]
        return compiled(*values)

    def _replicated(self, replica_function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*values: Any) -> Any:
            results = self._strategy.run(replica_function, args=values)
            return self._strategy.experimental_local_results(results)[0]

        return run

    def _learn(self, samples: Any, scales: Any, labels: Any) -> Any:
        import tensorflow as tf

        levels = _grey_levels(samples, scales)
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.model(levels, training=True)
            loss = ops.sum(_losses(labels, logits)) / self._batch_size
        gradients = tape.gradient(loss, weights)
        *sums, loss = _total([*gradients, loss])
        self.optimiser.apply(_clipped(sums, self._clip_norm), weights)
        return loss

    def _infer(self, samples: Any, scales: Any) -> Any:
        return self.model(_grey_levels(samples, scales), training=False)


def _losses(labels: Any, logits: Any) -> Any:
    """Return the cross-entropy of each row, of one logit or of one a label."""
    if logits.shape[-1] == 1:
        return keras.losses.binary_crossentropy(labels[:, None], logits, from_logits=True)
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def _clipped(gradients: Sequence[Any], clip_norm: float) -> Sequence[Any]:
    """Return gradients whose norm, of all together, is at most ``clip_norm``; 0 for any."""
    if not clip_norm:
        return gradients
    norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))
    factor = clip_norm / ops.maximum(norm, clip_norm)
    return [gradient * factor for gradient in gradients]


def _total(values: Any) -> Any:
    """Return the sum over all replicas; called in each of them."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    placed = tf.nest.map_structure(tf.identity, values)  # an argument alone is on no device
    return context.all_reduce(tf.distribute.ReduceOp.SUM, placed)


def _grey_levels(samples: Any, scales: Any) -> Any:
    return ops.cast(samples, "float32") * scales


def checkpoint(learner: Learner, progress: Progress) -> bytes:
    """Return weights, the optimiser's state and the progress as one file."""
    arrays = [np.asarray(variable) for variable in _variables(learner)]
    return checkpoint_bytes(arrays, progress)


def restore(learner: Learner, data: bytes) -> Progress:
    """Set weights and the optimiser's state to a checkpoint's, and return its progress.

    Raises
    ------
    ValueError
        If the data are no checkpoint, or another network's.
    """
    arrays, progress = checkpoint_parts(data)
    variables = _variables(learner)
    if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
        raise ValueError("the checkpoint is another network's; start anew with --fresh")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return progress


def _variables(learner: Learner) -> list[Any]:
    return [*learner.model.variables, *learner.optimiser.variables]
