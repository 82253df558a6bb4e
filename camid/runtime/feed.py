"""The feed: a worker's shares of training steps, drawn and read by Ray Data on any processor.

Each worker of a training has a feed of its own: a task a step, in order, a few steps ahead. What a
task makes is a function of the configuration, the step and the worker's micro-batches, so a feed
begins at any step, for any number of workers.
"""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from queue import Full, Queue
from threading import Event, Thread
from typing import Any

import numpy as np
import pyarrow as pa

from camid.batches import Batches
from camid.candidates import candidates
from camid.config import Config
from camid.pairs import Sums
from camid.row_groups import RowGroups
from camid.runtime.stream import failure_of, reporting
from camid.splits import Split
from camid.store import open_store

POLL_SECONDS = 0.5
"""How soon a feed that nobody reads from any more notices it."""
SHARE_OF_STORE = 4
"""Ray Data fills a quarter of the bytes that it may hold with what waits to be read."""
CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class Source:
    """What pairs are drawn from."""

    config: Config
    store: str
    split: Split


@contextmanager
def fed(
    source: Source, micro_batches: Sequence[int], spans: Sequence[range]
) -> Iterator[Iterator[Sums]]:
    """Open a feed of a worker's micro-batches in all steps of some spans, in order.

    Read ahead are ``training.prefetch`` steps; each span is one pass of Ray Data, which begins
    while the trainer still works on the last one's end.

    Raises
    ------
    ValueError, OSError
        From the iterator, in the feed's own words, if the store is damaged or unreachable.
    """
    feed = _Feed(source, micro_batches, spans)
    feed.start()
    try:
        yield feed.taken()
    finally:
        feed.close()


class _Feed(Thread):
    """Reads on while a trainer works, as far ahead as its queue holds."""

    def __init__(
        self, source: Source, micro_batches: Sequence[int], spans: Sequence[range]
    ) -> None:
        super().__init__(daemon=True)
        self._source, self._micro_batches, self._spans = source, tuple(micro_batches), spans
        self._ready: Queue[Sums | BaseException | None] = Queue(source.config.training.prefetch)
        self._closed = Event()

    def taken(self) -> Iterator[Sums]:
        """Yield the shares in order, as they come."""
        while (item := self._ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()
        self.join()

    def run(self) -> None:
        """Put everything into the queue, then None; or what went wrong."""
        try:
            for span in self._spans:
                for sums in self._read(span):
                    self._put(sums)
                    if self._closed.is_set():
                        return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, item: Sums | BaseException | None) -> None:
        while not self._closed.is_set():
            with suppress(Full):
                self._ready.put(item, timeout=POLL_SECONDS)
                break

    def _read(self, span: range) -> Iterator[Sums]:
        """Yield the shares of the steps of a span, read by one pass of Ray Data."""
        import ray.data

        training = self._source.config.training
        told = pickle.dumps(self._source)
        work = partial(_share, source=told, micro_batches=self._micro_batches)
        with ray.data.DataContext.current(_context(self._source.config, len(self._micro_batches))):
            # Not ray.data.range: it has tasks of its own, which take a whole processor each.
            steps = ray.data.from_blocks([pa.table({"step": [step]}) for step in span])
            shares = steps.map_batches(
                partial(reporting, work=work),
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.TaskPoolStrategy(size=training.feed_workers),
                num_cpus=training.feed_cpus,
            ).iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=training.prefetch
            )
            for step, table in zip(span, shares, strict=True):
                if failure := failure_of(table):
                    raise failure
                if table["step"][0].as_py() != step:
                    raise RuntimeError(f"the feed gave step {table['step'][0]} for {step}")
                yield _sums(table, self._source.config.pairs.crop_size)


def _context(config: Config, num_micro_batches: int) -> Any:
    """Return how Ray Data reads a feed: in order, and no further ahead than is asked for."""
    import ray.data

    training, side = config.training, config.pairs.crop_size
    num_pairs = training.batch_size // training.micro_batches * num_micro_batches
    num_bytes = num_pairs * 2 * side * side * CHANNELS * np.dtype(np.int16).itemsize
    held = SHARE_OF_STORE * (training.prefetch + training.feed_workers) * num_bytes
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    options = context.execution_options
    options.preserve_order = True
    options.resource_limits = options.resource_limits.copy(object_store_memory=held)
    return context


def _share(table: pa.Table, *, source: bytes, micro_batches: Sequence[int]) -> pa.Table:
    """Draw and read a worker's share of the step that ``table`` names; runs anywhere."""
    sums = _opened(source).share(table["step"][0].as_py(), micro_batches)
    return pa.table(
        {
            "step": table["step"],
            "sums": pa.array([sums.sums.tobytes()], pa.large_binary()),
            "counts": [sums.counts.tobytes()],
            "labels": [sums.labels.tobytes()],
            "scale": [sums.step],
        }
    )


@lru_cache(maxsize=1)
def _opened(source: bytes) -> Batches:
    """Return where a source's pairs come from, opened once a process."""
    told: Source = pickle.loads(source)  # our own, from the trainer to its tasks
    store = open_store(told.store)
    found = candidates(store, told.split.images("train", store.images()))
    return Batches.training(told.config, found, RowGroups(store))


def _sums(table: pa.Table, side: int) -> Sums:
    def array(name: str, dtype: type) -> Any:
        return np.frombuffer(table[name][0].as_buffer(), dtype)

    labels = array("labels", np.int8)
    return Sums(
        sums=array("sums", np.int16).reshape(len(labels), 2, side, side, -1),
        counts=array("counts", np.int16).reshape(len(labels), 2),
        labels=labels,
        step=table["scale"][0].as_py(),
    )
