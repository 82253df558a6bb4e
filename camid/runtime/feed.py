"""The feed: a worker's shares of training steps, drawn and read by Ray Data on any processor.

Each worker of a training has a feed of its own: a task a step, in order, a few steps ahead. What a
task makes is a function of the configuration, the step and the worker's micro-batches, so a feed
begins at any step, for any number of workers.
"""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from queue import Empty, Full, Queue
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
    ready: Queue[Sums | BaseException | None] = Queue(source.config.training.prefetch)
    closed = Event()
    thread = Thread(target=_fill, args=(source, micro_batches, spans, ready, closed), daemon=True)
    thread.start()
    try:
        yield _taken(ready, thread)
    finally:
        closed.set()
        thread.join()


def _taken(ready: "Queue[Sums | BaseException | None]", thread: Thread) -> Iterator[Sums]:
    while True:
        try:
            item = ready.get(timeout=POLL_SECONDS)
        except Empty:
            if not thread.is_alive():
                raise RuntimeError("the feed ended early") from None
            continue
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
        yield item


def _fill(
    source: Source,
    micro_batches: Sequence[int],
    spans: Sequence[range],
    ready: "Queue[Sums | BaseException | None]",
    closed: Event,
) -> None:
    """Put everything that a feed reads into a queue, until it is closed."""

    def put(item: Sums | BaseException | None) -> None:
        while not closed.is_set():
            try:
                return ready.put(item, timeout=POLL_SECONDS)
            except Full:
                continue
        return None

    try:
        for span in spans:
            for sums in _read(source, micro_batches, span):
                put(sums)
                if closed.is_set():
                    return
        put(None)
    except BaseException as error:
        put(error)


def _read(source: Source, micro_batches: Sequence[int], span: range) -> Iterator[Sums]:
    """Yield a worker's shares of the steps of a span, read by one pass of Ray Data."""
    import ray

    training, side = source.config.training, source.config.pairs.crop_size
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    share = training.batch_size // training.micro_batches * len(micro_batches)
    num_bytes = share * 2 * side * side * 3 * 2
    context.execution_options.resource_limits = context.execution_options.resource_limits.copy(
        object_store_memory=(training.prefetch + training.feed_workers) * num_bytes
    )
    work = partial(_share, source=pickle.dumps(source), micro_batches=tuple(micro_batches))
    with ray.data.DataContext.current(context):
        dataset = ray.data.range(len(span), override_num_blocks=len(span)).map_batches(
            partial(reporting, work=partial(_at, work=work, start=span.start)),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.TaskPoolStrategy(size=training.feed_workers),
            num_cpus=training.feed_cpus,
        )
        batches = dataset.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=training.prefetch
        )
        for step, table in zip(span, batches, strict=True):
            if failure := failure_of(table):
                raise failure
            if table["step"][0].as_py() != step:
                raise RuntimeError(f"the feed gave step {table['step'][0]} for {step}")
            yield _sums(table, side)


def _at(table: pa.Table, *, work: Any, start: int) -> pa.Table:
    return work(start + table["id"][0].as_py())


def _share(step: int, *, source: bytes, micro_batches: Sequence[int]) -> pa.Table:
    """Draw and read a worker's share of a step, as a table of one row; runs on a worker."""
    sums = _opened(source).share(step, micro_batches)
    return pa.table(
        {
            "step": [step],
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
