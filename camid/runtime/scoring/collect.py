"""A comparison list's evidence, gathered on Ray: a task a position, or a block of whole images.

Each part is kept in the output folder, so that a run that is stopped goes on where it was.
"""

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa

from camid.comparison.by_image import block_evidence, list_blocks
from camid.comparison.by_position import position_evidence
from camid.comparison.comparison_list import ComparisonList, read_list
from camid.comparison.located_list import LocatedList, located
from camid.comparison.methods import Method, chosen_methods
from camid.comparison.methods.method import Scope
from camid.comparison.sufficient_statistics import Evidence
from camid.config import Enhancer
from camid.io.folder import Folder
from camid.io.output_layout import EVIDENCE, LIST, PATTERNS
from camid.runtime.cluster.map_tasks import streamed
from camid.runtime.cluster.session import tensorflow_uses
from camid.runtime.scoring.enrol import fingerprints
from camid.store.settings import stored_residual
from camid.store.store import Store, open_store
from camid.store.strip_reader import RowGroups

MEMORY = 5 * 2**29
"""Bytes that a task takes: sides, and what a method makes of them."""
UNITS: dict[Scope, str] = {"strip": "positions", "image": "blocks"}
"""Units of progress, by the methods' scope."""
_TAKEN = "seconds of "


def gather(
    store: Store,
    listed: ComparisonList,
    output: Folder,
    methods: Sequence[str],
    *,
    networks: Sequence[str] = (),
    num_crops: Sequence[int],
    enhancer: Enhancer | None = None,
) -> tuple[Evidence, dict[str, float]]:
    """Return what a store tells of a list by methods and networks, and each one's seconds.

    The list lies in ``output``; parts that are there are not gathered again. A gallery's
    fingerprints that lie there are read instead of the images that they are made of.
    """
    every = store_methods(store, methods, networks, enhancer)
    total, seconds = Evidence(sums={}), dict.fromkeys(every, 0.0)
    whole = located(listed, store)
    for scope, some in _passes(every).items():
        count = len(_places(scope, whole, some))
        missing = [n for n in range(count) if not output.exists(_part(scope, n))]
        work = partial(
            _gathered,
            scope=scope,
            store=store.folder.uri,
            digests=(store.digest, listed.digest),
            output=output.uri,
            names=methods,
            networks=networks,
            num_crops=num_crops,
            enhancer=enhancer,
        )
        tables = [pa.table({"number": [number]}) for number in missing]
        how: dict[str, Any] = {"done": count - len(missing), "memory": MEMORY}
        for _ in streamed(tables, work, description="score", unit=UNITS[scope], **how):
            pass
        for number in range(count):  # in one order, whoever was first
            with np.load(io.BytesIO(output.read(_part(scope, number)))) as file:
                total += Evidence(sums={name: file[name] for name in some if name in file})
                for name in some:
                    seconds[name] += float(file.get(_TAKEN + name, 0.0))
    return total, seconds


def _gathered(
    table: pa.Table,
    *,
    scope: Scope,
    store: str,
    digests: tuple[str, str],
    output: str,
    names: Sequence[str],
    networks: Sequence[str],
    num_crops: Sequence[int],
    enhancer: Enhancer | None,
) -> pa.Table:
    """Gather and keep the part whose number ``table`` names; runs on a worker."""
    if networks:
        tensorflow_uses(1)  # a task has one processor
    number = table["number"][0].as_py()
    folder, whole = Folder(output), _located(output, store, digests)
    methods = _passes(store_methods(whole.store, names, networks, enhancer))[scope]
    place = _places(scope, whole, methods)[number]
    taken: dict[str, float] = {}
    gathered: Any = position_evidence if scope == "strip" else block_evidence
    files = fingerprints(whole.listed, folder / PATTERNS)
    with RowGroups(whole.store) as row_groups, files:
        found = gathered(
            whole,
            place,
            row_groups,
            methods,
            num_crops=num_crops,
            taken=taken,
            fingerprints=files,
        )
    file = io.BytesIO()
    stated = {_TAKEN + name: np.array(value) for name, value in taken.items()}
    np.savez(file, allow_pickle=False, **found.sums, **stated)
    folder.write(_part(scope, number), file.getvalue())
    return table


@lru_cache(maxsize=1)
def _located(output: str, store: str, digests: tuple[str, str]) -> LocatedList:  # noqa: ARG001
    """Return the list in an output folder with its places, once for all tasks of a process.

    The digests are those of the store and of the list: a folder may have another one later.
    """
    return located(read_list(Folder(output), LIST), open_store(store))


def store_methods(
    store: Store, names: Sequence[str], networks: Sequence[str], enhancer: Enhancer | None
) -> dict[str, Method]:
    """Return the methods of names and networks as they are of a store's residuals."""
    return chosen_methods(names, networks, enhancer=enhancer, residual=stored_residual(store))


def _passes(methods: Mapping[str, Method]) -> dict[Scope, dict[str, Method]]:
    """Return the methods by what they are gathered from in one pass over the store.

    Methods of strips go along with those of images where they take the same of them, so that this
    is read once.
    """
    images = [method for method in methods.values() if method.scope == "image"]
    read = {estimator.gathered for method in images for estimator in method.estimators}
    passes: dict[Scope, dict[str, Method]] = {}
    for name, method in methods.items():
        scope: Scope = "image" if {e.gathered for e in method.estimators} <= read else "strip"
        passes.setdefault(scope, {})[name] = method
    return passes


def _places(scope: Scope, whole: LocatedList, methods: Mapping[str, Method]) -> Sequence[Any]:
    """Return the positions, or the blocks of comparisons, that are a part each."""
    return whole.positions if scope == "strip" else list_blocks(whole, methods.values())


def _part(scope: Scope, number: int) -> str:
    return f"{EVIDENCE}/{scope}-{number:05d}.npz"
