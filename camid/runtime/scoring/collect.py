"""A comparison list's evidence, gathered on Ray: one task per position or block of whole images.

Each part is kept in the output folder, so that a stopped run can resume.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from camid.comparison.by_image import block_evidence, list_blocks
from camid.comparison.by_position import position_evidence
from camid.comparison.comparison_list import ComparisonList, read_list
from camid.comparison.located_list import LocatedList, located
from camid.comparison.methods import Method, chosen_methods
from camid.comparison.methods.pairnet import use_gpu
from camid.comparison.sufficient_statistics import Evidence
from camid.config import Enhancer
from camid.io.array_files import arrays_bytes, kept_arrays
from camid.io.folder import Folder
from camid.io.output_layout import EVIDENCE, LIST, PATTERNS
from camid.runtime.cluster.map_tasks import streamed
from camid.runtime.cluster.resources import has_gpus
from camid.runtime.cluster.session import tensorflow_of_a_task
from camid.runtime.scoring.enrol import fingerprints
from camid.store.settings import stored_residual
from camid.store.store import Store, open_store
from camid.store.strip_reader import RowGroups

MEMORY = 5 * 2**29
"""Bytes that a task needs: sides, and the arrays that a method makes of them."""
PassName = Literal["strip", "image", "network"]
"""What a pass over the store gathers: by strips, by whole images, or by strips on GPUs."""
UNITS: dict[PassName, str] = {"strip": "positions", "image": "blocks", "network": "positions"}
"""Units of progress of each pass."""
_SECONDS = "seconds of "


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
    """Return a list's evidence by methods and networks, and the seconds of each.

    The list is in ``output``; parts that are there are not gathered again. A gallery's fingerprints
    that are there are read instead of the enrolled images.
    """
    all_methods = store_methods(store, methods, networks, enhancer)
    total, seconds = Evidence(sums={}), dict.fromkeys(all_methods, 0.0)
    located_list = located(listed, store)
    on_gpus = has_gpus()
    for pass_name, pass_methods in _passes(all_methods, on_gpus=on_gpus).items():
        part_of = partial(_part, pass_name, pass_methods)
        num_parts = len(_units(pass_name, located_list, pass_methods))
        missing = [number for number in range(num_parts) if not output.exists(part_of(number))]
        work = partial(
            _gathered,
            pass_name=pass_name,
            on_gpus=on_gpus,
            store=store.folder.uri,
            digests=(store.digest, listed.digest),
            output=output.uri,
            names=methods,
            networks=networks,
            num_crops=num_crops,
            enhancer=enhancer,
        )
        tables = [pa.table({"number": [number]}) for number in missing]
        options: dict[str, Any] = {"done": num_parts - len(missing), "memory": MEMORY}
        options["takes_gpu"] = pass_name == "network"
        for _ in streamed(tables, work, description="score", unit=UNITS[pass_name], **options):
            pass
        for number in range(num_parts):  # in a fixed order, whichever task was first
            arrays = kept_arrays(output, part_of(number))
            total += Evidence(sums={name: arrays[name] for name in pass_methods if name in arrays})
            for name in pass_methods:
                seconds[name] += float(arrays.get(_SECONDS + name, 0.0))
    return total, seconds


def _gathered(
    table: pa.Table,
    *,
    pass_name: PassName,
    on_gpus: bool,
    store: str,
    digests: tuple[str, str],
    output: str,
    names: Sequence[str],
    networks: Sequence[str],
    num_crops: Sequence[int],
    enhancer: Enhancer | None,
) -> pa.Table:
    """Gather and keep the part whose number ``table`` names; runs on a worker."""
    if networks or pass_name == "network":
        use_gpu(is_used=tensorflow_of_a_task())
    number = table["number"][0].as_py()
    folder, located_list = Folder(output), _located(output, store, digests)
    all_methods = store_methods(located_list.store, names, networks, enhancer)
    methods = _passes(all_methods, on_gpus=on_gpus)[pass_name]
    unit = _units(pass_name, located_list, methods)[number]
    seconds: dict[str, float] = {}
    gather_unit: Any = block_evidence if pass_name == "image" else position_evidence
    fingerprint_files = fingerprints(located_list.listed, folder / PATTERNS)
    with RowGroups(located_list.store) as row_groups, fingerprint_files:
        evidence = gather_unit(
            located_list,
            unit,
            row_groups,
            methods,
            num_crops=num_crops,
            taken=seconds,
            fingerprints=fingerprint_files,
        )
    named_seconds = {_SECONDS + name: np.array(value) for name, value in seconds.items()}
    folder.write(
        _part(pass_name, methods, number), arrays_bytes({**evidence.sums, **named_seconds})
    )
    return table


@lru_cache(maxsize=1)
def _located(output: str, store: str, digests: tuple[str, str]) -> LocatedList:  # noqa: ARG001
    """Return the located list of an output folder, read once for all tasks of a process.

    The digests, of the store and of the list, tell a folder's later list from its earlier one.
    """
    return located(read_list(Folder(output), LIST), open_store(store))


def store_methods(
    store: Store, names: Sequence[str], networks: Sequence[str], enhancer: Enhancer | None
) -> dict[str, Method]:
    """Return named methods and networks, set up for a store's residuals."""
    return chosen_methods(names, networks, enhancer=enhancer, residual=stored_residual(store))


def _passes(methods: Mapping[str, Method], *, on_gpus: bool) -> dict[PassName, dict[str, Method]]:
    """Return the methods by the pass over the store that gathers them.

    Methods of strips join those of images if they use the same data, which are then read once.
    Networks have a pass of their own where there are GPUs, which the other methods need not.
    """
    images = [method for method in methods.values() if method.scope == "image"]
    image_data = {estimator.gathered for method in images for estimator in method.estimators}
    passes: dict[PassName, dict[str, Method]] = {}
    for name, method in methods.items():
        is_of_images = {estimator.gathered for estimator in method.estimators} <= image_data
        by_strip: PassName = "network" if on_gpus and method.takes_gpu else "strip"
        passes.setdefault("image" if is_of_images else by_strip, {})[name] = method
    return passes


def _units(
    pass_name: PassName, located_list: LocatedList, methods: Mapping[str, Method]
) -> Sequence[Any]:
    """Return the positions, or blocks of comparisons, that are gathered as one part each."""
    if pass_name == "image":
        return list_blocks(located_list, methods.values())
    return located_list.positions


def _part(pass_name: PassName, methods: Mapping[str, Method], number: int) -> str:
    """Return the name of a part's file; a pass whose networks went elsewhere has other files."""
    is_mixed = pass_name != "network" and any(method.takes_gpu for method in methods.values())
    words = "-with-networks" if is_mixed else ""
    return f"{EVIDENCE}/{pass_name}{words}-{number:05d}.npz"
