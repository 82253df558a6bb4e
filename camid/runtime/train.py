"""Training on Ray Train: workers with a feed each, checkpoints, and what happens when one dies.

The checkpoint is one file of the output folder, replaced at each validation. Whoever starts with
that folder, a new group of workers or a new run of the program, goes on from it.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import floor
from threading import Thread
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from camid.batches import VALIDATION, Batches, check_batches, joined, share_of
from camid.candidates import candidates
from camid.checkpoints import Progress, checkpoint_parts
from camid.config import Training
from camid.filesystems import filesystem_of
from camid.folder import Folder
from camid.metrics import equal_error_rate, roc_auc
from camid.pairs import Sums
from camid.row_groups import RowGroups
from camid.runtime.feed import Source, fed
from camid.runtime.output import CHECKPOINT, TRAINING
from camid.runtime.session import tensorflow_threads
from camid.runtime.stream import console, progress
from camid.store import open_store

Row = dict[str, float]

TOLD_SECONDS = 1.0
"""Time between two words of a training on how far it is."""
LEAST_CPUS = 0.1
"""Of a processor, that a worker is given at least."""
PATIENCE_SECONDS = 60
"""How long workers may take to start before a word of it."""
HANG_SECONDS = 600
"""How long a worker waits for another in a sum before it takes it for dead."""
VALIDATION_BATCH = 64
"""Pairs that are scored at once."""


def train(
    source: Source, output: Folder, *, network: str, tell: Callable[[Row], None] = lambda _: None
) -> None:
    """Train the configured network to the end, from the checkpoint that is in ``output`` or anew.

    Writes ``network``, the network of the best validation, and :data:`CHECKPOINT`.

    Parameters
    ----------
    tell
        Gets a row of figures about once a second (``step``, ``loss``), and one a validation
        (``validation_auc`` and ``validation_eer`` besides).

    Raises
    ------
    ValueError
        If a batch cannot be parted, Ray has too few processors, the split trains or validates on
        nothing, or workers died more often than ``training.max_failures``.
    """
    import ray
    import ray.train
    from ray.train.tensorflow import TensorflowTrainer
    from ray.util.queue import Queue

    training = source.config.training
    for name in ("train", "validation"):
        if not getattr(source.split, name):
            raise ValueError(
                f"the split {source.split.name!r} leaves no device for {name}; name another with "
                "--split, such as seeded"
            )
    check_batches(training)
    done = Progress()
    if output.exists(CHECKPOINT):
        done = checkpoint_parts(output.read(CHECKPOINT))[1]
        words = "was finished" if done.is_finished(training) else "goes on"
        _say(f"training {words} at step {done.step} of {training.num_steps}")
    if done.is_finished(training):
        return
    cpus = worker_cpus(training, ray.cluster_resources())
    for name in ("ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    queue = Queue(actor_options={"num_cpus": 0})
    filesystem, path = filesystem_of(output.uri)
    least, most = training.min_workers or training.num_workers, training.num_workers
    resources = {"CPU": cpus} | ({"GPU": 1.0} if training.use_gpu else {})
    place = f"{TRAINING}/ray"
    trainer = TensorflowTrainer(
        partial(_work, source=source, output=output.uri, network=network, queue=queue),
        scaling_config=ray.train.ScalingConfig(
            num_workers=(least, most) if least < most else most,
            use_gpu=training.use_gpu,
            resources_per_worker=resources,
        ),
        run_config=ray.train.RunConfig(
            name=uuid4().hex,  # Ray would go on with a run of the same name by itself
            storage_path=f"{path}/{place}",
            storage_filesystem=filesystem,
            failure_config=ray.train.FailureConfig(max_failures=training.max_failures),
        ),
    )
    try:
        _followed(trainer.fit, queue, training, done=done.step, tell=tell)
    finally:
        with suppress(OSError):
            output.delete(place)


def worker_cpus(training: Training, resources: dict[str, float]) -> float:
    """Return the processors of a worker: what is set, or its share of what the feeds leave.

    Ray grants whole processors, or parts of one.

    Raises
    ------
    ValueError
        If Ray has too few processors or graphics cards.
    """
    least, feed = training.min_workers or training.num_workers, _feed_cpus(training)
    there, cards = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    if training.use_gpu and cards < least:
        raise ValueError(
            f"{least} workers take a GPU each, and Ray has {cards:g}; lower training.num_workers "
            "or set training.use_gpu=false"
        )
    share = there / training.num_workers - feed
    cpus = training.worker_cpus or (floor(share) if share >= 1 else floor(100 * share) / 100)
    needed = least * (max(cpus, LEAST_CPUS) + feed)
    if needed > there + 1e-6:
        raise ValueError(
            f"{least} workers and {training.feed_workers} processes each that read for them take "
            f"{needed:g} CPUs, and Ray has {there:g}; lower training.num_workers, "
            "training.worker_cpus or training.feed_cpus"
        )
    return cpus


def _feed_cpus(training: Training) -> float:
    return training.feed_workers * training.feed_cpus


def _followed(
    fit: Callable[[], Any],
    queue: Any,
    training: Training,
    *,
    done: int,
    tell: Callable[[Row], None],
) -> None:
    """Run a training to its end, and show and tell what its workers say of it meanwhile."""
    ended: list[BaseException | None] = []
    thread = Thread(target=_caught, args=(fit, ended), daemon=True)
    thread.start()
    with progress() as display:
        task = display.add_task("train", total=training.num_steps, completed=done, unit="steps")
        started, waiting_since = 0, time.monotonic()
        while True:
            is_over = not thread.is_alive()
            for row in _heard(queue):
                if "started" in row:
                    started += 1
                    if started > 1:
                        _say(f"a worker died; training goes on from step {row['started']:g}")
                    display.update(task, completed=row["started"])
                    continue
                tell(row)
                display.update(task, completed=row["step"], description=_described(row))
            if is_over:
                break
            if not started and time.monotonic() - waiting_since > PATIENCE_SECONDS:
                _say(f"waiting for Ray to start {training.num_workers} workers; is it busy?")
                waiting_since = time.monotonic()
            thread.join(TOLD_SECONDS / 2)
    if ended[0]:
        raise _as_told(ended[0], training)


def _as_told(error: BaseException, training: Training) -> BaseException:
    """Return what a user is told of a training that failed: a worker's own sentence, if it has."""
    from ray.train import TrainingFailedError

    if not isinstance(error, TrainingFailedError):
        return error
    causes = list(getattr(error, "worker_failures", {}).values())
    for cause in causes:
        if isinstance(cause, (ValueError, OSError)):
            return cause
    words = str(causes[0] if causes else error).strip().splitlines()
    return ValueError(
        f"training stopped, as workers died more than {training.max_failures} times "
        f"({words[-1] if words else 'no word'}); the same command goes on from the last checkpoint"
    )


def _caught(fit: Callable[[], Any], ended: list[BaseException | None]) -> None:
    try:
        fit()
        ended.append(None)
    except BaseException as error:
        ended.append(error)


def _heard(queue: Any) -> list[Row]:
    rows: list[Row] = queue.get_nowait_batch(queue.qsize())
    return rows


def _described(row: Row) -> str:
    parts = [f"loss {row['loss']:.3f}"] if "loss" in row else []
    if "validation_auc" in row:
        parts.append(f"AUC {row['validation_auc']:.3f}")
    return " ".join(["train", *parts])


def _say(line: str) -> None:
    console.print(line, soft_wrap=True, markup=False, highlight=False)


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
            self.validate(done, self.steps(span, feed))
            if done.is_finished(self.training):
                return

    def steps(self, span: range, feed: Iterator[Sums]) -> Row:
        """Take the steps of a span; return its mean loss and how fast it was."""
        losses: list[float] = []
        started = told = time.perf_counter()
        waited = 0.0
        for step in span:
            before = time.perf_counter()
            share = next(feed)
            waited += time.perf_counter() - before
            losses.append(self.learner.step([share]))
            now = time.perf_counter()
            if now - told > TOLD_SECONDS:
                told = now
                self.tell({"step": step + 1, "loss": losses[-1]})
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


def _work(*, source: Source, output: str, network: str, queue: Any) -> None:
    """Train as one worker of a group; runs on a worker of Ray Train."""
    import ray.train

    context = ray.train.get_context()
    rank, num_workers = context.get_world_rank(), context.get_world_size()
    config, folder = source.config, Folder(output)
    data = folder.read(CHECKPOINT) if folder.exists(CHECKPOINT) else b""
    done = checkpoint_parts(data)[1] if data else Progress()
    tell: Callable[[Row], None] = (lambda _: None) if rank else queue.put_nowait
    tell({"started": done.step})
    mine = share_of(rank, num_workers, training=config.training)
    spans = list(_spans(done.step, config.training))
    with fed(source, mine, spans) as feed:  # reads while TensorFlow is loaded
        from camid.models.siamese import siamese
        from camid.training import Learner, restore

        learner = Learner(
            partial(siamese, config.siamese, size=config.pairs.crop_size),
            config.training,
            seed=config.seed,
            strategy=_strategy(num_workers, context.get_local_world_size()),
        )
        if data:
            restore(learner, data)
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


def _strategy(num_workers: int, num_here: int) -> Any:
    """Return what adds up the gradients of several workers, or None for one; set TensorFlow up."""
    import tensorflow as tf

    tensorflow_threads(max(1, (os.cpu_count() or 1) // num_here))
    for card in tf.config.list_physical_devices("GPU"):
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
        drawing = Batches(
            candidates=candidates(store, source.split.images("validation", store.images())),
            row_groups=row_groups,
            pairs=config.pairs,
            seed=config.seed,
            purpose=VALIDATION,
            micro_size=size,
        )
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
