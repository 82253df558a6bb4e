"""Training on Ray Train: workers with a feed each, checkpoints, and what happens when one dies.

The checkpoint is one file of the output folder, replaced at each validation. Whoever starts with
that folder, a new group of workers or a new run of the program, goes on from it.
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
"""Of a processor, that a worker is given at least."""
PATIENCE_SECONDS = 60
"""Seconds that workers may take to start before a message says so."""


def train(
    task: Task,
    output: Folder,
    *,
    tell: Callable[[Row], None] = lambda _: None,
    began: Callable[[str], None] = lambda _: None,
) -> None:
    """Train a task's network to the end, from the checkpoint that is in ``output`` or anew.

    Writes the network of the best validation and :data:`CHECKPOINT`.

    Parameters
    ----------
    tell
        Gets a row of figures about once a second (``step``, ``loss``), and one a validation
        (``validation_…`` besides).
    began
        Gets the id of the placement group that a group of workers began in.

    Raises
    ------
    ValueError
        If a batch cannot be parted, Ray has too few processors or too little room for what is read
        ahead, there is nothing to train or to validate on, or workers failed more
        often than ``training.max_failures``.
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
    task.check_object_stores(_object_stores())
    logging.getLogger("ray.train").setLevel(logging.CRITICAL)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    lasting = {"max_restarts": -1, "max_task_retries": -1}  # a node that joins may still take it
    queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here, **lasting})
    steps = partial(work, task=task, output=output.uri, queue=queue)
    groups: list[str] = []

    def note(group: str) -> None:
        groups.append(group)
        began(group)

    fit = partial(_fit, lambda: _trainer(steps, output, training, cpus=cpus), training, groups)
    try:
        _followed(fit, queue, task, done=done.step, tell=tell, began=note)
    finally:
        with suppress(OSError):
            output.delete(RAY)


def _object_stores() -> list[float]:
    """Return the bytes of the object store of each node that has processors."""
    stores = [node.get("object_store_memory") for node in node_resources() if node.get("CPU")]
    return [size for size in stores if size is not None]


def _done(output: Folder) -> Progress:
    """Return how far the training in an output folder is."""
    if not output.exists(CHECKPOINT):
        return Progress()
    try:
        return checkpoint_parts(output.read(CHECKPOINT))[1]
    except ValueError as error:
        where = output.address(CHECKPOINT)
        raise ValueError(f"{where}: {error}; train anew with --fresh") from None


def _trainer(steps: Callable[[], None], output: Folder, training: Training, *, cpus: float) -> Any:
    """Return Ray's trainer, which runs ``steps`` in each worker of a group."""
    import ray.train
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    class Trainer(DataParallelTrainer):  # type: ignore[misc]
        """Without Ray's cleaner of placement groups, which can take another cluster for its own.

        It looks for a Ray on the machine; where it finds one that does not know this training, it
        removes the group that the training's workers are in, and where it finds two, it dies.
        """

        def _create_default_callbacks(self) -> list[Any]:
            callbacks = super()._create_default_callbacks()
            return [c for c in callbacks if type(c).__name__ != "PlacementGroupCleanerCallback"]

    filesystem, path = filesystem_of(output.uri)
    least, most = training.min_workers or training.num_workers, training.num_workers
    return Trainer(
        steps,
        backend_config=TensorFlowCluster(),
        scaling_config=ray.train.ScalingConfig(
            num_workers=(least, most) if least < most else most,
            use_gpu=training.use_gpu,
            resources_per_worker={"CPU": cpus} | ({"GPU": 1.0} if training.use_gpu else {}),
            placement_strategy=training.placement.upper().replace("-", "_"),
        ),
        run_config=ray.train.RunConfig(
            name=uuid4().hex,  # Ray would go on with a run of the same name by itself
            storage_path=f"{path}/{RAY}",
            storage_filesystem=filesystem,
        ),
    )


Nodes = Sequence[Mapping[str, float]]
"""Resources of each."""


def places(training: Training, nodes: Nodes, needed: float) -> int:
    """Return how many workers that take so many processors have a place on nodes."""
    cpus = [node.get("CPU", 0.0) for node in nodes]
    cards = [node.get("GPU", 0.0) if training.use_gpu else inf for node in nodes]
    pairs = zip(cpus, cards, strict=True)
    return int(sum(min(floor(there / needed + 1e-9), n) for there, n in pairs))


def worker_cpus(training: Training, nodes: Nodes, *, num_trainings: int = 1) -> float:
    """Return the processors of a worker, with those of what reads for it.

    That is what is set, or as much as lets all workers of so many trainings at once have the same
    on nodes with these resources; fewer workers, if ``training.min_workers`` allows it, where not
    all have a place.

    Raises
    ------
    ValueError
        If Ray has too few processors or graphics cards.
    """
    least = training.min_workers or training.num_workers
    cpus = [node.get("CPU", 0.0) for node in nodes]
    cards = sum(node.get("GPU", 0.0) for node in nodes)
    if training.use_gpu and cards < least:
        raise ValueError(
            f"{least} workers take a GPU each, and Ray has {cards:g}; lower "
            "training.num_workers or set training.use_gpu=false"
        )
    needed = (training.worker_cpus or LEAST_CPUS) + training.feed_workers * training.feed_cpus
    if places(training, nodes, needed) < least:
        raise ValueError(
            f"{least} workers, each with {training.feed_workers} processes that read for it, take "
            f"{needed:g} CPUs each, and Ray's nodes have {', '.join(f'{n:g}' for n in cpus)}; "
            "lower training.num_workers, training.worker_cpus or training.feed_cpus"
        )
    if training.worker_cpus:
        return needed
    count = min(num_trainings * training.num_workers, places(training, nodes, needed))
    shares = {floor(100 * there / part) / 100 for there in cpus for part in range(1, count + 1)}
    return max(
        (s for s in shares if s >= needed and places(training, nodes, s) >= count), default=needed
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
    """Run a training to its end, and show and tell what its workers say of it meanwhile."""
    ended: list[BaseException | None] = []
    thread = Thread(target=_caught, args=(fit, ended), daemon=True)
    thread.start()
    training = task.config.training
    with progress() as display:
        bar = display.add_task("train", total=training.num_steps, completed=done, unit="steps")
        started, waiting_since = 0, time.monotonic()
        known: Row = {}
        while True:
            is_over = not thread.is_alive()
            for row in _heard(queue):
                if "started" in row:
                    started += 1
                    began(row["group"])
                    if started > 1:
                        say(f"workers start again; training goes on from step {row['started']:g}")
                    display.update(bar, completed=row["started"])
                    continue
                tell(row)
                known |= row
                display.update(bar, completed=row["step"], description=_described(known, task))
            if is_over:
                break
            if not started and time.monotonic() - waiting_since > PATIENCE_SECONDS:
                say(f"waiting for Ray to start {training.num_workers} workers; is it busy?")
                waiting_since = time.monotonic()
            thread.join(TOLD_SECONDS / 2)
    if ended[0]:
        raise ended[0]


def _fit(trainer: Callable[[], Any], training: Training, groups: Sequence[str]) -> None:
    """Train with one group of workers after the other, until one ends or too many have failed.

    What a worker finds wrong in what it is given would be wrong again, so it is not repeated.
    """
    from ray.exceptions import RayActorError
    from ray.train import TrainingFailedError

    for failures in range(training.max_failures + 1):
        try:
            trainer().fit()
            return
        except (TrainingFailedError, RayActorError) as error:
            told = _as_told(error, training)
            if failures == training.max_failures or _cause(error, ValueError):
                raise told from None
            time.sleep(TOLD_SECONDS)  # until all groups are known
            for group in groups:
                remove_group(group)


def remove_group(group: str) -> None:
    """Remove a placement group by its id, if it is still there, with what runs in it.

    Ray keeps the group of a training whose controller died until the job ends.
    """
    from ray import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(group))))


def _as_told(error: Exception, training: Training) -> Exception:
    """Return what a user is told of a training that failed: a worker's own sentence, if it has."""
    if cause := _cause(error, ValueError, OSError):
        return cause
    words = str(_cause(error, Exception) or error).strip().splitlines()
    return ValueError(
        f"training stopped, as workers failed more than {training.max_failures} times "
        f"({words[-1] if words else 'no word'}); the same command goes on from the last checkpoint"
    )


def _cause(error: Exception, *kinds: type[Exception]) -> Exception | None:
    """Return the first error of these kinds that a worker of a failed training had."""
    causes: Iterable[Exception] = getattr(error, "worker_failures", {}).values()
    return next((cause for cause in causes if isinstance(cause, kinds)), None)


def _caught(fit: Callable[[], Any], ended: list[BaseException | None]) -> None:
    try:
        fit()
        ended.append(None)
    except BaseException as error:
        ended.append(error)


def _heard(queue: Any) -> list[dict[str, Any]]:
    """Return what workers said since; a queue that was lost with its node begins empty."""
    from ray.util.queue import Empty

    try:
        rows: list[dict[str, Any]] = queue.get_nowait_batch(queue.qsize())
    except Empty:
        return []
    return rows


def _described(row: Row, task: Task) -> str:
    """Return what is known of a training, as its progress says it."""
    figure = task.figure.removeprefix("validation_").replace("_", " ")
    words = {
        "loss": "loss {:.3f}",
        task.figure: f"{figure} {{:.3f}}",
        rate_name(task): f"{{:.0f}} {task.unit}/s",
    }
    return ", ".join(["train", *(word.format(row[k]) for k, word in words.items() if k in row)])
