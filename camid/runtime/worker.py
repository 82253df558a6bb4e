"""A worker of a training: its steps, its share of the validation, its checkpoints."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.batches import Batches, joined, share_of
from camid.candidates import candidates
from camid.checkpoints import Progress, checkpoint_parts
from camid.config import Training
from camid.folder import Folder
from camid.metrics import equal_error_rate, roc_auc
from camid.pairs import Sums
from camid.row_groups import RowGroups
from camid.runtime.feed import Source, fed
from camid.runtime.output import CHECKPOINT
from camid.runtime.session import tensorflow_uses
from camid.store import open_store

Row = dict[str, float]

TOLD_SECONDS = 1.0
"""Time between two words of a training on how far it is."""
HANG_SECONDS = 600
"""How long a worker waits for another in a sum before it takes it for dead."""
CURE = "lower training.learning_rate or training.clip_norm, and train anew with --fresh"
"""Of a training that diverges."""
VALIDATION_BATCH = 64
"""Pairs that are scored at once."""


def work(*, source: Source, output: str, network: str, queue: Any) -> None:
    """Train as one worker of a group, from the checkpoint in ``output`` if there is one.

    Runs on a worker of Ray Train; every worker of the group calls it. The first of them writes
    ``network`` and the checkpoint, and puts rows of figures into ``queue``.
    """
    import ray.train

    context = ray.train.get_context()
    rank, num_workers = context.get_world_rank(), context.get_world_size()
    config, folder = source.config, Folder(output)
    data = folder.read(CHECKPOINT) if folder.exists(CHECKPOINT) else b""
    done = checkpoint_parts(data)[1] if data else Progress()
    tell: Callable[[Row], None] = (lambda _: None) if rank else queue.put_nowait
    tell({"started": done.step})
    mine = share_of(rank, num_workers, training=config.training)
    steps = range(done.step, config.training.num_steps)
    with fed(source, mine, steps) as feed:  # reads while TensorFlow is loaded
        from camid.models.siamese import siamese
        from camid.training import Learner, restore

        learner = Learner(
            partial(siamese, config.siamese, size=config.pairs.crop_size),
            config.training,
            seed=config.seed,
            strategy=_strategy(
                num_workers, context.get_local_world_size(), use_gpu=config.training.use_gpu
            ),
        )
        if data:
            restore(learner, data)
        _agree(learner, done)
        validation, places = _validation(source, rank, num_workers)
        _Worker(
            learner=learner,
            source=source,
            output=folder,
            network=network,
            rank=rank,
            validation=validation,
            places=places,
            tell=tell,
        ).run(done, feed)


@dataclass(kw_only=True)
class _Worker:
    """One worker of a training: what it needs to take steps and to validate."""

    learner: Any
    source: Source
    output: Folder
    network: str
    rank: int
    validation: Sums
    """The worker's share of the validation's list."""
    places: NDArray[np.int64]
    """Where its pairs are in the list."""
    tell: Callable[[Row], None]

    @property
    def training(self) -> Training:
        return self.source.config.training

    def run(self, done: Progress, feed: Iterator[Sums]) -> None:
        """Take all steps that are left, with a validation and a checkpoint after each span."""
        if not done.history:
            self.validate(done, {})
        for span in _spans(done.step, self.training):
            if done.is_stopped:  # also by a worker that died of something else right after
                return
            self.validate(done, self.steps(span, feed))

    def steps(self, span: range, feed: Iterator[Sums]) -> Row:
        """Take the steps of a span; return its mean loss and how fast it was."""
        losses: list[float] = []
        started = told = time.perf_counter()
        waited, first = 0.0, span.start
        for step in span:
            before = time.perf_counter()
            share = next(feed)
            waited += time.perf_counter() - before
            losses.append(self.learner.step([share]))
            if not np.isfinite(losses[-1]):
                raise ValueError(f"the loss of step {step} is {losses[-1]}; {CURE}")
            now = time.perf_counter()
            if now - told > TOLD_SECONDS:
                rate = (step + 1 - first) * self.training.batch_size / (now - told)
                self.tell({"step": step + 1, "loss": losses[-1], "pairs_per_second": rate})
                told, first = now, step + 1
        seconds = time.perf_counter() - started
        return {
            "step": span.stop,
            "loss": float(np.mean(losses)),
            "pairs_per_second": len(span) * self.training.batch_size / seconds,
            "waited": waited / seconds,
        }

    def validate(self, done: Progress, row: Row) -> None:
        """Score the validation's list, each worker its share, and keep what is worth it."""
        import ray.train

        scores, labels = self.scores()
        if not np.isfinite(scores).all():
            raise ValueError(f"scores are not finite after step {row.get('step', 0):g}; {CURE}")
        row = {
            "step": 0,
            **row,
            "validation_auc": roc_auc(labels, scores),
            "validation_eer": equal_error_rate(labels, scores),
        }
        done.step = int(row["step"])
        done.history.append(row)
        done.is_stopped = done.has_stalled(self.training)
        if self.rank == 0:
            self.keep(done)
        self.tell(row)
        ray.train.report(row)

    def scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return all scores and labels of the validation's list; the same in every worker."""
        every = np.zeros((2, self.training.validation_pairs))
        for start in range(0, len(self.places), VALIDATION_BATCH):
            some = slice(start, start + VALIDATION_BATCH)
            every[0, self.places[some]] = self.learner.scores(self.validation.some(some))
        every[1, self.places] = self.validation.labels
        scores, labels = self.learner.added(every)
        return scores, labels

    def keep(self, done: Progress) -> None:
        """Write the network if it is the best so far, then the checkpoint."""
        from camid.models.files import network_bytes
        from camid.training import checkpoint

        if done.is_best():
            self.output.write(self.network, network_bytes(self.learner.model))
        self.output.write(CHECKPOINT, checkpoint(self.learner, done))


def _agree(learner: Any, done: Progress) -> None:
    """See that all workers have read the same checkpoint: another run may just have replaced it."""
    count, total, squares = learner.added(np.array([1.0, done.step, done.step**2]))
    if count * squares != total**2:
        raise OSError("the checkpoint was replaced while workers read it; is another run at work?")


def _strategy(num_workers: int, num_here: int, *, use_gpu: bool) -> Any:
    """Return what adds up the gradients of several workers, or None for one; set TensorFlow up."""
    import tensorflow as tf

    count = os.cpu_count() or 1
    # One more than its share: who does not wait for the others uses what they leave.
    tensorflow_uses(min(count, count // num_here + 1), use_gpu=use_gpu)
    for card in tf.config.get_visible_devices("GPU"):
        tf.config.experimental.set_memory_growth(card, True)
    if num_workers == 1:
        return None
    return tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=tf.distribute.experimental.CommunicationOptions(
            timeout_seconds=HANG_SECONDS
        )
    )


def _validation(source: Source, rank: int, num_workers: int) -> tuple[Sums, NDArray[np.int64]]:
    """Return a worker's share of the validation's list, and where its pairs are in it."""
    config, store = source.config, open_store(source.store)
    size = config.training.batch_size // config.training.micro_batches
    count = config.training.validation_pairs
    parts, places = [], []
    with RowGroups(store) as row_groups:
        found = candidates(store, source.split.images("validation", store.images()))
        drawing = Batches.validation(config, found, row_groups)
        for number in range(rank, -(-count // size), num_workers):
            place = np.arange(number * size, min(count, (number + 1) * size))
            parts.append(drawing.share(number, [0]).some(slice(len(place))))
            places.append(place)
    return joined(parts), np.concatenate(places)


def _spans(step: int, training: Training) -> Iterator[range]:
    """Yield the steps that are left, as ranges from validation to validation."""
    while step < training.num_steps:
        stop = min(training.num_steps, step + training.validate_every)
        stop -= stop % training.validate_every if stop < training.num_steps else 0
        yield range(step, stop)
        step = stop
