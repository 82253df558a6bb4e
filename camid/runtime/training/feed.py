"""The feed: a worker's shares of training steps, drawn and read on any processor of the cluster.

Each worker of a training has readers of its own, actors that it asks for steps in turn, a few ahead
of the one it takes. What they answer is a function of the configuration, the step and the worker's
micro-batches, so a feed begins at any step, for any number of workers.

Not Ray Data: its loop never rests while what it made waits to be read, which takes a third of a
processor from each worker.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import cycle, islice
from typing import Any

from camid.store.store import open_store
from camid.store.strip_reader import RowGroups
from camid.training.batches import Batches, Share
from camid.training.tasks import Task


@contextmanager
def fed(task: Task, micro_batches: Sequence[int], steps: range) -> Iterator[Iterator[Share]]:
    """Open a feed of a worker's micro-batches in steps, in order; reading begins at once.

    Each of ``training.feed_workers`` processes reads ``training.prefetch`` steps ahead.

    Raises
    ------
    ValueError, OSError
        From the iterator, in the reader's own words, if the store is damaged or unreachable.
    """
    import ray

    training = task.config.training
    reader = partial(
        ray.remote(_Reader).options,
        num_cpus=0,  # its worker has taken them, so that it never waits for any
        max_restarts=training.max_failures,
        max_task_retries=training.max_failures,
    )
    readers = [
        reader(scheduling_strategy=place).remote(task, tuple(micro_batches))
        for place in islice(_places(micro_batches[0]), training.feed_workers)
    ]
    asked = (one.share.remote(step) for one, step in zip(cycle(readers), steps, strict=False))
    try:
        yield _taken(asked, deque(islice(asked, training.prefetch * len(readers))))
    finally:
        for one in readers:
            ray.kill(one)


def _taken(asked: Iterator[Any], ahead: deque[Any]) -> Iterator[Share]:
    """Yield what is read, and ask for one more step for each that is taken."""
    import ray

    while ahead:
        try:
            share: Share = ray.get(ahead.popleft())
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        ahead.extend(islice(asked, 1))
        yield share


def _places(first: int) -> Iterator[Any]:
    """Yield where readers are started: on all nodes that work, in turn from the given one."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    for node in islice(cycle(nodes), first, None):
        yield NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)


class _Reader:
    """A process that draws and reads; runs anywhere."""

    def __init__(self, task: Task, micro_batches: Sequence[int]) -> None:
        self._task, self._micro_batches = task, micro_batches

    def share(self, step: int) -> Share:
        """Draw and read the worker's share of a step."""
        return self._batches.share(step, self._micro_batches)

    @cached_property
    def _batches(self) -> Batches:
        return self._task.training(RowGroups(open_store(self._task.store)))
