"""A worker of a training: its steps, its share of the validation, its checkpoints."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.config import Training
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT
from camid.runtime.cluster.session import tensorflow_uses
from camid.runtime.training.feed import Feed, fed
from camid.store.store import open_store
from camid.store.strip_reader import RowGroups
from camid.training.batches import Share, joined, share_of
from camid.training.checkpoint import Progress, checkpoint_parts
from camid.training.tasks import Task

Row = dict[str, float]

TOLD_SECONDS = 1.0
"""Seconds between two rows of a training's progress."""
HANG_SECONDS = 600
"""Seconds that a worker waits for another in a sum before presuming it dead."""
CURE = "lower training.learning_rate or training.clip_norm, and train anew with --fresh"
"""Advice for a training that diverges."""
SCORED_SAMPLES = 6 * 2**20
"""Samples scored at once: 64 pairs of 128 px, or 2048 patches of 32 px."""


def work(*, task: Task, output: str, queue: Any, most_readers: int) -> None:
    """Train as one worker of a group, from the checkpoint in ``output`` if there is one.

    Runs on every worker of a group of Ray Train. The first worker writes the network and the
    checkpoint, and puts rows of figures into ``queue``. Up to ``most_readers`` processes read.
    """
    import ray.train

    context = ray.train.get_context()
    rank, num_workers = context.get_world_rank(), context.get_world_size()
    config, folder = task.config, Folder(output)
    saved = folder.read(CHECKPOINT) if folder.exists(CHECKPOINT) else b""
    done = checkpoint_parts(saved)[1] if saved else Progress(figure=task.figure)
    tell: Callable[[Row], None] = (lambda _: None) if rank else queue.put_nowait
    if not rank:
        queue.put_nowait({"started": done.step, "group": _group()})
    micro_batches = share_of(rank, num_workers, training=config.training)
    steps = range(done.step, config.training.num_steps)
    feeding = fed(task, micro_batches, steps, most_readers=most_readers)
    with feeding as feed:  # reads while TensorFlow loads
        from camid.training.train_step import Learner, restore

        learner = Learner(
            task.build,
            config.training,
            seed=config.seed,
            strategy=_strategy(
                num_workers, context.get_local_world_size(), use_gpu=config.training.use_gpu
            ),
        )
        if saved:
            restore(learner, saved)
        _agree(learner, done)
        validation = _validation(task, rank, num_workers)
        with BackgroundWriter(folder) as writer:
            _Worker(
                learner=learner,
                task=task,
                writer=writer,
                rank=rank,
                validation=validation,
                tell=tell,
            ).run(done, feed)


def _group() -> str:
    """Return the id of this worker's placement group; empty if it has none."""
    from ray.util import get_current_placement_group

    group = get_current_placement_group()
    return group.id.hex() if group else ""


class BackgroundWriter:
    """Writer of files into an output folder, while the next steps are taken.

    Files are written one set after another, in order; a set waits until the one before is written.
    """

    def __init__(self, output: Folder) -> None:
        self._output = output
        self._threads = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> "BackgroundWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    def write(self, files: Mapping[str, bytes], then: Callable[[], None]) -> None:
        """Begin to write files by name; ``then`` is called when they are there.

        Raises
        ------
        OSError
            If the files before could not be written.
        """
        self.wait()
        self._writing = self._threads.submit(self._written, files, then)

    def _written(self, files: Mapping[str, bytes], then: Callable[[], None]) -> None:
        for name, data in files.items():
            self._output.write(name, data)
        then()

    def wait(self) -> None:
        """Wait until all files are written.

        Raises
        ------
        OSError
            If they could not be.
        """
        if self._writing:
            self._writing.result()


@dataclass(kw_only=True)
class _Worker:
    """One worker of a training, which takes steps and validates."""

    learner: Any
    task: Task
    writer: BackgroundWriter
    rank: int
    validation: "Validation"
    tell: Callable[[Row], None]

    @property
    def training(self) -> Training:
        return self.task.config.training

    def run(self, done: Progress, feed: Feed) -> None:
        """Take all remaining steps, with a validation and a checkpoint after each span."""
        if not done.history:
            self.validate(done, {})
        for span in _spans(done.step, self.training):
            if done.is_stopped:  # also set by a worker that died right afterwards
                break
            self.validate(done, self.steps(span, feed, done))
        self.writer.wait()

    def steps(self, span: range, feed: Feed, done: Progress) -> Row:
        """Take the steps of a span; return its mean loss and its speed.

        A step's loss is looked at when the next step is on its way, so that a GPU does not wait.
        """
        losses: list[Any] = done.losses
        started = reported = saved = time.perf_counter()
        waited_before, first_step = feed.waited, span.start
        for step in span:
            losses.append(self.learner.step([next(feed)]))
            if len(losses) > 1:
                losses[-2] = _finite(losses[-2], step - 1)
            now = time.perf_counter()
            if now - reported > TOLD_SECONDS:
                losses[-1] = _finite(losses[-1], step)
                rate = (step + 1 - first_step) * self.training.batch_size / (now - reported)
                self.tell({"step": step + 1, "loss": losses[-1], rate_name(self.task): rate})
                reported, first_step = now, step + 1
            is_due = now - saved > 60 * self.training.checkpoint_minutes
            if is_due and step + 1 < span.stop:  # where no validation writes one
                losses[-1] = _finite(losses[-1], step)
                done.step, saved = step + 1, now
                self.save(done)
        losses[-1] = _finite(losses[-1], span.stop - 1)
        seconds = time.perf_counter() - started
        return {
            "step": span.stop,
            "loss": float(np.mean(losses)),
            rate_name(self.task): len(span) * self.training.batch_size / seconds,
            "waited": (feed.waited - waited_before) / seconds,
            "readers": feed.num_readers,
            **_gpu_memory(),
        }

    def save(self, done: Progress) -> None:
        """Write a checkpoint between validations."""
        from camid.training.train_step import checkpoint

        if self.rank == 0:
            self.writer.write({CHECKPOINT: checkpoint(self.learner, done)}, lambda: None)

    def validate(self, done: Progress, row: Row) -> None:
        """Score the validation list, each worker its share, and write the checkpoint."""
        import ray.train

        outputs, labels = self.outputs()
        if not np.isfinite(outputs).all():
            raise ValueError(f"logits are not finite after step {row.get('step', 0):g}; {CURE}")
        figures = self.task.figures(outputs, labels, self.validation.parts)
        row = {"step": 0, **row, **figures}
        done.step = int(row["step"])
        done.history.append(row)
        done.losses = []
        done.is_stopped = done.has_stalled(self.training)
        if self.rank == 0:
            self.writer.write(self.files(done), lambda: self.tell(row))
        ray.train.report(row)

    def outputs(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return all logits and labels of the validation list, the same in every worker."""
        share, rows = self.validation.mine, self.validation.places
        values = np.zeros((self.validation.parts[-1].stop, self.task.num_outputs + 1))
        size = max(1, SCORED_SAMPLES // share.arrays()[0][0].size)
        for start in range(0, len(rows), size):
            batch = slice(start, start + size)
            values[rows[batch], :-1] = self.learner.outputs(share.some(batch))
        values[rows, -1] = share.labels
        totals = self.learner.added(values)
        return totals[:, :-1], totals[:, -1]

    def files(self, done: Progress) -> dict[str, bytes]:
        """Return the network if it is the best so far, then the checkpoint, by name."""
        from camid.comparison.networks.files import network_bytes
        from camid.training.train_step import checkpoint

        best = {self.task.network: network_bytes(self.learner.model)} if done.is_best() else {}
        return best | {CHECKPOINT: checkpoint(self.learner, done)}


def _agree(learner: Any, done: Progress) -> None:
    """Raise if workers have read different checkpoints: another run may have replaced the file."""
    count, total, squares = learner.added(np.array([1.0, done.step, done.step**2]))
    if count * squares != total**2:
        raise OSError("the checkpoint was replaced while workers read it; is another run at work?")


def _strategy(num_workers: int, num_local: int, *, use_gpu: bool) -> Any:
    """Set up TensorFlow; return the strategy that sums several workers' gradients, None for one."""
    import tensorflow as tf

    num_cpus = os.cpu_count() or 1
    # One more than its share: a busy worker can use processors of those that wait.
    tensorflow_uses(min(num_cpus, num_cpus // num_local + 1), use_gpu=use_gpu)
    if num_workers == 1:
        return None
    return tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=tf.distribute.experimental.CommunicationOptions(
            timeout_seconds=HANG_SECONDS
        )
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """A worker's share of the validation list."""

    mine: Share
    places: NDArray[np.int64]
    """Rows of the share in the list."""
    parts: Sequence[range]
    """Ranges of all parts in the list."""


def _validation(task: Task, rank: int, num_workers: int) -> Validation:
    """Return a worker's share of the validation list."""
    with RowGroups(open_store(task.store)) as row_groups:
        validation = task.validation(row_groups)
        part_numbers = range(rank, len(validation.parts), num_workers)
        return Validation(
            mine=joined([validation.part(number) for number in part_numbers]),
            places=np.concatenate(
                [
                    np.arange(len(validation.parts[number])) + validation.parts[number].start
                    for number in part_numbers
                ]
            ),
            parts=validation.parts,
        )


def _gpu_memory() -> Row:
    """Return the most memory, bytes, that TensorFlow has had of a worker's GPU, if it has one."""
    import tensorflow as tf

    if not tf.config.get_visible_devices("GPU"):
        return {}
    return {"gpu_bytes": tf.config.experimental.get_memory_info("GPU:0")["peak"]}


def _finite(loss: Any, step: int) -> float:
    """Return the loss of a step as a number; raise ``ValueError`` if it is none."""
    value = float(loss)
    if not np.isfinite(value):
        raise ValueError(f"the loss of step {step} is {value}; {CURE}")
    return value


def rate_name(task: Task) -> str:
    """Return the name of a training's speed in its rows."""
    return f"{task.unit}_per_second"


def _spans(step: int, training: Training) -> Iterator[range]:
    """Yield the remaining steps as ranges from validation to validation."""
    while step < training.num_steps:
        next_validation = (step // training.validate_every + 1) * training.validate_every
        stop = min(training.num_steps, next_validation)
        yield range(step, stop)
        step = stop
