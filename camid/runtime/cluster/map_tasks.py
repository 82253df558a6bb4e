"""One pass of Ray Data over tables: one task per table, results as they finish, with progress."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar

import pyarrow as pa

from camid.runtime.cluster.resources import (
    apart_from_gpus,
    has_gpus,
    largest_memory,
    most_tasks,
    num_cpus,
)
from camid.runtime.console import progress

T = TypeVar("T")
R = TypeVar("R")

CPUS_PER_TASK = 1
GPUS_PER_TASK = 0.25
"""Share of a GPU of a task that takes one: its memory grows as is needed."""
TASKS_AT_ONCE = 20_000
"""Tasks that Ray Data is given at once at most: each takes a few kilobytes of the driver …"""
BYTES_AT_ONCE = 2**28
"""… and so are the bytes of their tables, which Ray holds in its object store."""
FAILURE = "camid: failure"
"""Column by which a task reports that it failed."""


def streamed(
    tables: Iterable[pa.Table],
    work: Callable[[pa.Table], pa.Table],
    *,
    description: str,
    unit: str,
    total: int | None = None,
    done: int = 0,
    memory: int = 0,
    takes_gpu: bool = False,
) -> Iterator[pa.Table]:
    """Yield the result of ``work`` for each table, one Ray task per table, as they finish.

    ``work`` gets a table and returns one with a row for every unit that it finished; the progress
    counts rows up to a ``total``, and starts at ``done`` units that an earlier run finished.
    ``memory`` is the need of a task, bytes. Where a node has GPUs, tasks that take one run there,
    each with :data:`GPUS_PER_TASK`; the others keep away from them. A task that dies with its
    worker is run again; a ``ValueError`` or ``OSError`` of ``work``, which a user can fix, is
    raised here with its own message.
    """
    if total is None:
        tables = list(tables)
        total = done + sum(table.num_rows for table in tables)
    one_pass = partial(
        _pass,
        work=partial(_reporting, work=work),
        memory=memory,
        num_gpus=GPUS_PER_TASK if takes_gpu and has_gpus() else 0.0,
    )
    with progress() as display:
        task = display.add_task(description, total=total, completed=done, unit=unit)
        for result in _results(iter(tables), one_pass):
            if failure := _failure_of(result):
                raise failure
            display.advance(task, result.num_rows)
            yield result


def _results(
    tables: Iterator[pa.Table], one_pass: Callable[[Sequence[pa.Table]], Iterator[pa.Table]]
) -> Iterator[pa.Table]:
    """Yield the result for each table, in passes of Ray Data over as many as it is given at once.

    A pass begins when the one before has no task left that has not begun, so that no processor
    waits for a pass's last task.
    """
    batch = _at_once(tables)
    results = one_pass(batch)
    while batch:
        unfinished, following, begun = len(batch), [], None
        for result in results:
            unfinished -= 1
            if begun is None and unfinished <= num_cpus():
                following = _at_once(tables)
                begun = _begun(one_pass(following))
            yield result
        batch, results = following, begun or iter(())


def _pass(
    tables: Sequence[pa.Table],
    *,
    work: Callable[[pa.Table], pa.Table],
    memory: int,
    num_gpus: float,
) -> Iterator[pa.Table]:
    """Yield the results of one pass of Ray Data, which begins with the first that is asked for."""
    import ray

    if not tables:
        return
    options = ray.data.DataContext.get_current().execution_options
    # The pass's own, not its tasks': what is asked of an autoscaler has them too.
    options.label_selector = None if num_gpus else apart_from_gpus() or None
    dataset = ray.data.from_arrow(tables).map_batches(
        work,
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        num_cpus=CPUS_PER_TASK,
        # As num_gpus, Ray Data would have tables put together into batches of one size.
        ray_remote_args_fn=partial(dict, num_gpus=num_gpus) if num_gpus else None,
        memory=min(memory, largest_memory()),
        compute=ray.data.TaskPoolStrategy(size=None if num_gpus else most_tasks()),
    )
    yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


def _begun(results: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Return the same results after the first of them is there."""
    return chain(list(islice(results, 1)), results)


def _at_once(tables: Iterator[pa.Table]) -> list[pa.Table]:
    """Return the next tables that Ray Data is given at once; none at the end."""
    batch, size = [], 0
    for table in islice(tables, TASKS_AT_ONCE):
        batch.append(table)
        size += table.nbytes
        if size >= BYTES_AT_ONCE:
            break
    return batch


def in_batches(
    batches: Iterable[Sequence[T]],
    work: Callable[[Sequence[T]], R],
    *,
    description: str,
    unit: str,
    total: int,
) -> Iterator[R]:
    """Yield the result of ``work`` for each batch of a ``total`` of items, in order, a task each.

    Batches, results and ``work`` travel pickled; progress and errors are those of :func:`streamed`.
    """
    tables = (
        pa.table({"number": [number], "items": [pickle.dumps(batch)]})
        for number, batch in enumerate(batches)
    )
    worked = partial(_worked, work=work)
    waiting: dict[int, bytes] = {}
    following = 0
    for result in streamed(tables, worked, description=description, unit=unit, total=total):
        waiting[result["number"][0].as_py()] = result["result"][0].as_py()
        while following in waiting:
            yield pickle.loads(waiting.pop(following))
            following += 1


def _worked(table: pa.Table, *, work: Callable[[Any], Any]) -> pa.Table:
    """Return a row for each item of a batch, the first with the result; runs on a worker."""
    items = pickle.loads(table["items"][0].as_py())
    result = pickle.dumps(work(items))
    rest = len(items) - 1
    numbers = [table["number"][0].as_py()] * len(items)
    return pa.table({"number": numbers, "result": pa.array([result, *[None] * rest], pa.binary())})


def _failure_of(result: pa.Table) -> ValueError | OSError | None:
    """Return the failure that :func:`_reporting` put in place of a result, if it did."""
    if FAILURE not in result.column_names:
        return None
    is_value_error = result["is_value_error"][0].as_py()
    return (ValueError if is_value_error else OSError)(result[FAILURE][0].as_py())


def _reporting(table: pa.Table, *, work: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """Return the result of ``work`` for a table, or its failure as a table; runs on a worker.

    Ray would print a traceback for every exception, and pass that on instead of the message.
    """
    try:
        return work(table)
    except (ValueError, OSError) as error:
        is_value_error = isinstance(error, ValueError)
        return pa.table({FAILURE: [str(error)], "is_value_error": [is_value_error]})
