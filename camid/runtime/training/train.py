"""Training on Ray Train: workers with a feed each, checkpoints, and restarts after failures.

The checkpoint is one file of the output folder, replaced at each validation. A new group of
workers, or a new run of the program with that folder, resumes from it.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import floor, inf
from threading import Thread
from typing import Any
from uuid import uuid4

from camid.config import Training
from camid.io.filesystems import filesystem_of
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT, TRAINING
from camid.runtime.cluster.resources import node_resources
from camid.runtime.console import progress, say
from camid.runtime.training.tensorflow_cluster import TensorFlowCluster
from camid.runtime.training.worker import TOLD_SECONDS, Row, rate_name, work
from camid.training.checkpoint import Progress, checkpoint_parts
from camid.training.tasks import Task

RAY = f"{TRAINING}/ray"
"""Folder of Ray's own files of a running training, below the output folder."""
LEAST_CPUS = 0.1
"""Smallest share of a processor that a worker gets."""
MOST_WAITED = 0.2
"""Share of the time that a network may wait for its readers before a message is printed."""
PATIENCE_SECONDS = 60
"""Seconds that workers may take to start before a message is printed."""


def train(
    task: Task,
    output: Folder,
    *,
    tell: Callable[[Row], None] = lambda _: None,
    began: Callable[[str], None] = lambda _: None,
) -> None:
    """Train a task's network to the end, from the checkpoint in ``output`` if there is one.

    Writes the network of the best validation and :data:`CHECKPOINT`.

    Parameters
    ----------
    tell
        Receives a row of figures about once a second (``step``, ``loss``), and one for each
        validation (with ``validation_…``).
    began
        Receives the id of the placement group of each group of workers that begins.

    Raises
    ------
    ValueError
        If a batch cannot be divided, Ray has too few processors or too little memory to read
        ahead, there is nothing to train or to validate on, or workers failed more often than
        ``training.max_failures``.
    """
    import ray
    from ray.util.queue import Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    training = task.config.training
    task.check()
    done = _done(output)
    if done.history:
        words = "was finished" if done.is_finished(training) else "goes on"
        say(f"training {words} at step {done.step} of {training.num_steps}")
    if done.is_finished(training):
        return
    cpus = worker_cpus(training, node_resources())
    object_stores = _object_stores()
    task.check_object_stores(object_stores)
    most_readers = task.most_readers(object_stores, cpus=cpus)
    logging.getLogger("ray.train").setLevel(logging.CRITICAL)
    this_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    restarts = {"max_restarts": -1, "max_task_retries": -1}  # a later node may still run the queue
    queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": this_node, **restarts})
    train_loop = partial(work, task=task, output=output.uri, queue=queue, most_readers=most_readers)
    groups: list[str] = []

    def record_group(group: str) -> None:
        groups.append(group)
        began(group)

    fit = partial(_fit, lambda: _trainer(train_loop, output, training, cpus=cpus), training, groups)
    try:
        _followed(fit, queue, task, done=done.step, tell=tell, began=record_group)
    finally:
        with suppress(OSError):
            output.delete(RAY)


def _object_stores() -> list[float]:
    """Return the size of the object store, bytes, of each node that has processors."""
    sizes = [node.get("object_store_memory") for node in node_resources() if node.get("CPU")]
    return [size for size in sizes if size is not None]


def _done(output: Folder) -> Progress:
    """Return the progress of the training in an output folder."""
    if not output.exists(CHECKPOINT):
        return Progress()
    try:
        return checkpoint_parts(output.read(CHECKPOINT))[1]
    except ValueError as error:
        address = output.address(CHECKPOINT)
        raise ValueError(f"{address}: {error}; train anew with --fresh") from None


def _trainer(steps: Callable[[], None], output: Folder, training: Training, *, cpus: float) -> Any:
    """Return Ray's trainer, which runs ``steps`` in each worker of a group."""
    import ray.train
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    class Trainer(DataParallelTrainer):  # type: ignore[misc]
        """Trainer without Ray's cleaner of placement groups, which can pick the wrong cluster.

        The cleaner looks for a Ray on the machine; if that Ray does not know this training, the
        cleaner removes the placement group of the training's workers; if there are two, it fails.
        """

        def _create_default_callbacks(self) -> list[Any]:
            callbacks = super()._create_default_callbacks()
            return [c for c in callbacks if type(c).__name__ != "PlacementGroupCleanerCallback"]

    filesystem, path = filesystem_of(output.uri)
    min_workers, max_workers = training.min_workers or training.num_workers, training.num_workers
    return Trainer(
        steps,
        backend_config=TensorFlowCluster(),
        scaling_config=ray.train.ScalingConfig(
            num_workers=(min_workers, max_workers) if min_workers < max_workers else max_workers,
            use_gpu=training.use_gpu,
            resources_per_worker={"CPU": cpus} | ({"GPU": 1.0} if training.use_gpu else {}),
            placement_strategy=training.placement.upper().replace("-", "_"),
        ),
        run_config=ray.train.RunConfig(
            name=uuid4().hex,  # Ray itself would resume a run of the same name
            storage_path=f"{path}/{RAY}",
            storage_filesystem=filesystem,
        ),
    )


Nodes = Sequence[Mapping[str, float]]
"""Resources of each node."""


def places(training: Training, nodes: Nodes, needed: float) -> int:
    """Return how many workers fit on nodes if each takes ``needed`` processors."""
    cpus = [node.get("CPU", 0.0) for node in nodes]
    gpus = [node.get("GPU", 0.0) if training.use_gpu else inf for node in nodes]
    capacities = zip(cpus, gpus, strict=True)
    return int(
        sum(min(floor(num_cpus / needed + 1e-9), num_gpus) for num_cpus, num_gpus in capacities)
    )


def worker_cpus(training: Training, nodes: Nodes, *, num_trainings: int = 1) -> float:
    """Return the processors of a worker and of the processes that read for it.

    Without a configured number, this is the largest equal share with which the workers of
    ``num_trainings`` concurrent trainings fit on the nodes: all of them, or as many as can if
    ``training.min_workers`` allows fewer.

    Raises
    ------
    ValueError
        If Ray has too few processors or GPUs.
    """
    min_workers = training.min_workers or training.num_workers
    cpus = [node.get("CPU", 0.0) for node in nodes]
    num_gpus = sum(node.get("GPU", 0.0) for node in nodes)
    if training.use_gpu and num_gpus < min_workers:
        raise ValueError(
            f"{min_workers} workers take a GPU each, and Ray has {num_gpus:g}; lower "
            "training.num_workers or set training.use_gpu=false"
        )
    needed = (training.worker_cpus or LEAST_CPUS) + training.least_readers * training.feed_cpus
    if places(training, nodes, needed) < min_workers:
        raise ValueError(
            f"{min_workers} workers, each with {training.least_readers} processes that read for "
            f"it, take {needed:g} CPUs each, "
            f"and Ray's nodes have {', '.join(f'{n:g}' for n in cpus)}; "
            "lower training.num_workers, training.worker_cpus or training.feed_cpus"
        )
    if training.worker_cpus:
        return needed
    count = min(num_trainings * training.num_workers, places(training, nodes, needed))
    shares = {
        floor(100 * available / num_parts) / 100
        for available in cpus
        for num_parts in range(1, count + 1)
    }
    return max(
        (share for share in shares if share >= needed and places(training, nodes, share) >= count),
        default=needed,
    )


def _followed(
    fit: Callable[[], Any],
    queue: Any,
    task: Task,
    *,
    done: int,
    tell: Callable[[Row], None],
    began: Callable[[str], None],
) -> None:
    """Run a training to its end; show its workers' rows, and pass them on as they come."""
    outcome: list[BaseException | None] = []
    thread = Thread(target=_caught, args=(fit, outcome), daemon=True)
    thread.start()
    training = task.config.training
    with progress() as display:
        bar = display.add_task("train", total=training.num_steps, completed=done, unit="steps")
        num_started, waiting_since = 0, time.monotonic()
        latest: Row = {}
        waiting = _Waiting()
        while True:
            is_over = not thread.is_alive()
            for row in _heard(queue):
                if "started" in row:
                    num_started += 1
                    began(row["group"])
                    if num_started > 1:
                        say(f"workers start again; training goes on from step {row['started']:g}")
                    display.update(bar, completed=row["started"])
                    continue
                tell(row)
                furthest = max(row["step"], latest.get("step", 0))  # a checkpoint's row comes later
                latest |= row | {"step": furthest}
                display.update(bar, completed=furthest, description=_described(latest, task))
                waiting.hear(row)
            if is_over:
                break
            if not num_started and time.monotonic() - waiting_since > PATIENCE_SECONDS:
                say(f"waiting for Ray to start {training.num_workers} workers; is it busy?")
                waiting_since = time.monotonic()
            thread.join(TOLD_SECONDS / 2)
    if outcome[0]:
        raise outcome[0]


class _Waiting:
    """Says once that workers wait too long for what their readers read."""

    def __init__(self) -> None:
        self._since, self._is_said = time.monotonic(), False

    def hear(self, row: Row) -> None:
        """Take a row of figures; those of validations have the share of time that was waited."""
        if "waited" not in row:
            return
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        if row["waited"] > MOST_WAITED and seconds > PATIENCE_SECONDS and not self._is_said:
            say(
                f"the network waits {row['waited']:.0%} of the time for what is read; raise "
                "training.feed_workers or training.prefetch, or give Ray more processors"
            )
            self._is_said = True


def _fit(trainer: Callable[[], Any], training: Training, groups: Sequence[str]) -> None:
    """Train with one group of workers after another, until one finishes or too many have failed.

    A worker's ``ValueError`` would be raised again, so that the training is not tried again. Ray
    itself begins again when a machine is taken away (a preemption), and that counts as no failure.
    """
    from ray.exceptions import RayActorError
    from ray.train import TrainingFailedError

    for failures in range(training.max_failures + 1):
        try:
            trainer().fit()
            return
        except (TrainingFailedError, RayActorError) as error:
            user_error = _user_error(error, training)
            if failures == training.max_failures or _cause(error, ValueError):
                raise user_error from None
            time.sleep(TOLD_SECONDS)  # until all groups are known
            for group in groups:
                remove_group(group)


def remove_group(group: str) -> None:
    """Remove a placement group by its id, if it still exists, with all that runs in it.

    Ray keeps the group of a training whose controller died until the job ends.
    """
    from ray import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(group))))


def _user_error(error: Exception, training: Training) -> Exception:
    """Return the error to show for a failed training: a worker's own, if there is one."""
    if cause := _cause(error, ValueError, OSError):
        return cause
    lines = str(_cause(error, Exception) or error).strip().splitlines()
    return ValueError(
        f"training stopped, as workers failed more than {training.max_failures} times "
        f"({lines[-1] if lines else 'no word'}); the same command goes on from the last checkpoint"
    )


def _cause(error: Exception, *kinds: type[Exception]) -> Exception | None:
    """Return the first error of the given kinds that a worker of a failed training raised."""
    causes: Iterable[Exception] = getattr(error, "worker_failures", {}).values()
    return next((cause for cause in causes if isinstance(cause, kinds)), None)


def _caught(fit: Callable[[], Any], outcome: list[BaseException | None]) -> None:
    try:
        fit()
        outcome.append(None)
    except BaseException as error:
        outcome.append(error)


def _heard(queue: Any) -> list[dict[str, Any]]:
    """Return the workers' new rows; a queue that was lost with its node restarts empty."""
    from ray.util.queue import Empty

    try:
        rows: list[dict[str, Any]] = queue.get_nowait_batch(queue.qsize())
    except Empty:
        return []
    return rows


def _described(row: Row, task: Task) -> str:
    """Return the progress display's description of a training from its latest figures."""
    figure = task.figure.removeprefix("validation_").replace("_", " ")
    formats = {
        "loss": "loss {:.3f}",
        task.figure: f"{figure} {{:.3f}}",
        rate_name(task): f"{{:.0f}} {task.unit}/s",
    }
    return ", ".join(
        [
            "train",
            *(template.format(row[name]) for name, template in formats.items() if name in row),
        ]
    )
