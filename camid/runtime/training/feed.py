"""The feed: a worker's shares of training steps, drawn and read on any processor of the cluster.

Each worker of a training has its own readers, actors that read steps in turn, a few ahead of the
worker. A share is a function of the configuration, the step and the worker's micro-batches, so a
feed can begin at any step, for any number of workers.

Ray Data is not used: its loop is busy while blocks wait to be read, which costs each worker a third
of a processor.
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
    """Yield an iterator over a worker's shares of steps, in order; reading begins at once.

    Each of ``training.feed_workers`` processes reads ``training.prefetch`` steps ahead.

    Raises
    ------
    ValueError, OSError
        From the iterator, in the reader's own words, if the store is damaged or unreachable.
    """
    import ray

    training = task.config.training
    reader_options = partial(
        ray.remote(_Reader).options,
        num_cpus=0,  # counted with its worker's, so that a reader never waits
        max_restarts=training.max_failures,
        max_task_retries=training.max_failures,
    )
    readers = [
        reader_options(scheduling_strategy=strategy).remote(task, tuple(micro_batches))
        for strategy in islice(_strategies(micro_batches[0]), training.feed_workers)
    ]
    requests = (
        reader.share.remote(step) for reader, step in zip(cycle(readers), steps, strict=False)
    )
    try:
        yield _shares(requests, deque(islice(requests, training.prefetch * len(readers))))
    finally:
        for reader in readers:
            ray.kill(reader)


def _shares(requests: Iterator[Any], pending: deque[Any]) -> Iterator[Share]:
    """Yield the shares in order, and request another step after each."""
    import ray

    while pending:
        try:
            share: Share = ray.get(pending.popleft())
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        pending.extend(islice(requests, 1))
        yield share


def _strategies(first: int) -> Iterator[Any]:
    """Yield scheduling strategies for readers: on all running nodes, in turn from the given one."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    for node in islice(cycle(nodes), first, None):
        yield NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)


class _Reader:
    """An actor that draws and reads shares; runs on any node."""

    def __init__(self, task: Task, micro_batches: Sequence[int]) -> None:
        self._task, self._micro_batches = task, micro_batches

    def share(self, step: int) -> Share:
        """Draw and read the worker's share of a step."""
        return self._batches.share(step, self._micro_batches)

    @cached_property
    def _batches(self) -> Batches:
        return self._task.training(RowGroups(open_store(self._task.store)))
