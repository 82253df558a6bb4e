"""The feed: a worker's shares of training steps, drawn and read on any processor of the cluster.

Each worker of a training has its own readers, actors that read steps in turn, a few ahead of the
worker; there are more of them if it waits. A share is a function of the configuration, the step and
the worker's micro-batches, so a feed can begin at any step, for any number of workers.

Ray Data is not used: its loop is busy while blocks wait to be read, which costs each worker a third
of a processor.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import cycle, islice
from typing import Any

from camid.store.store import open_store
from camid.store.strip_reader import RowGroups
from camid.training.batches import Batches, Share
from camid.training.tasks import Task

ENOUGH = 0.05
"""Share of the time that a network may wait before another reader is started, if one may be."""
HELPED = 0.9
"""A reader helped if the share of the time that is waited is less than this part of it before."""
WINDOW_SECONDS = 5.0
"""Time over which the waiting is measured."""


class Feed(Iterator[Share]):
    """A worker's shares of steps, in order, from readers that are added while it waits for them.

    Parameters
    ----------
    begun
        Starts another reader.
    prefetch
        Steps that each reader reads ahead.
    num_readers, most_readers
        Readers at first, and at most.
    """

    def __init__(
        self,
        begun: Callable[[], Any],
        steps: range,
        *,
        prefetch: int,
        num_readers: int,
        most_readers: int,
    ) -> None:
        self.waited = 0.0
        """Seconds that shares were waited for."""
        self._begun, self._steps = begun, iter(steps)
        self._prefetch, self._most_readers = prefetch, most_readers
        self._readers = [begun() for _ in range(num_readers)]
        self._starting: tuple[Any, Any] | None = None  # a reader, and its word that it is ready
        self._turn, self._pending = 0, deque[Any]()
        self._window: tuple[float, float] | None = None  # when it began, and the waiting by then
        self._share_before = float("inf")
        self._request(prefetch * num_readers)

    @property
    def num_readers(self) -> int:
        """Readers at work."""
        return len(self._readers)

    def __next__(self) -> Share:
        """Return the next share, and request another step after it.

        Raises
        ------
        ValueError, OSError
            In a reader's own words, if the store is damaged or unreachable.
        """
        import ray

        if not self._pending:
            raise StopIteration
        asked = time.perf_counter()
        try:
            share: Share = ray.get(self._pending.popleft())
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        now = time.perf_counter()
        self.waited += now - asked
        self._grow(now)
        self._request(1)
        return share

    def close(self) -> None:
        """End all readers."""
        import ray

        for reader in [*self._readers, *(self._starting or ())[:1]]:
            ray.kill(reader)

    def _request(self, count: int) -> None:
        """Request the next steps, from one reader after another."""
        for step in islice(self._steps, count):
            reader = self._readers[self._turn % len(self._readers)]
            self._pending.append(reader.share.remote(step))
            self._turn += 1

    def _grow(self, now: float) -> None:
        """Start a reader if too much was waited and the one before helped; use it when it is up."""
        import ray

        if self._starting:
            reader, is_ready = self._starting
            if ray.wait([is_ready], timeout=0)[0]:
                self._readers.append(reader)
                self._request(self._prefetch)
                self._starting, self._window = None, (now, self.waited)
        elif not self._window:
            self._window = now, self.waited  # the first share waits for the first reader's start
        elif now - self._window[0] > WINDOW_SECONDS and self.num_readers < self._most_readers:
            share = (self.waited - self._window[1]) / (now - self._window[0])
            if share > ENOUGH and share < HELPED * self._share_before:
                reader = self._begun()
                self._starting, self._share_before = (reader, reader.ready.remote()), share
            self._window = now, self.waited


@contextmanager
def fed(
    task: Task, micro_batches: Sequence[int], steps: range, *, most_readers: int = 1
) -> Iterator[Feed]:
    """Yield a worker's feed; reading begins at once.

    ``training.feed_workers`` processes read, or as many as are needed, up to ``most_readers``.
    """
    import ray

    training = task.config.training
    reader_options = partial(
        ray.remote(_Reader).options,
        num_cpus=0,  # counted with its worker's, so that a reader never waits
        max_restarts=training.max_failures,
        max_task_retries=training.max_failures,
    )
    strategies = _strategies(micro_batches[0])

    def begun() -> Any:
        options = reader_options(scheduling_strategy=next(strategies))
        return options.remote(task, tuple(micro_batches))

    least = training.least_readers
    feed = Feed(
        begun,
        steps,
        prefetch=training.prefetch,
        num_readers=least,
        most_readers=least if training.feed_workers else max(least, most_readers),
    )
    try:
        yield feed
    finally:
        feed.close()


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

    def ready(self) -> None:
        """Return when the reader has started."""

    @cached_property
    def _batches(self) -> Batches:
        return self._task.training(RowGroups(open_store(self._task.store)))
