"""The index of a store: the positions of each chunk, one row per chunk.

Images of one pixel size have the same positions, so positions are kept once, as grids, and a chunk
names its grid: row group k of its file is at the grid's position k. Ten million photographs have an
index of less than a million rows, however large they are.
"""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from camid.io.digested import first_fault
from camid.prnu.strips import Position

Grid = dict[Position, int]
"""The row group of each position."""

INDEX_SCHEMA = pa.schema(
    [
        ("device", pa.string()),
        ("chunk", pa.int32()),
        ("num_images", pa.int32()),
        ("grid", pa.int32()),
    ]
)
_GRIDS = b"camid.grids"
_ALL_GRIDS = TypeAdapter(list[list[Position]])


class Indexed(NamedTuple):
    """A chunk's entry in the index."""

    device: str
    chunk: int
    num_images: int
    positions: Sequence[Position]


def index_table(chunks: Iterable[Indexed]) -> pa.Table:
    """Return the index of chunks: a row for each chunk with a row group, and their grids."""
    numbers: dict[tuple[Position, ...], int] = {}
    rows = [
        (chunk.device, chunk.chunk, chunk.num_images, numbers.setdefault(grid, len(numbers)))
        for chunk in chunks
        if (grid := tuple(chunk.positions))
    ]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * len(INDEX_SCHEMA)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, INDEX_SCHEMA, strict=True)]
    return pa.table(arrays, schema=INDEX_SCHEMA.with_metadata({_GRIDS: json.dumps([*numbers])}))


def read_index(data: bytes) -> pa.Table:
    """Return the index of an index file's bytes.

    Raises
    ------
    ValueError
        If they are no index.
    """
    # Not read_table: its threads may still start while a program exits early, which aborts it.
    index = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    if not index.schema.equals(INDEX_SCHEMA, check_metadata=False):
        raise ValueError(f"no index: it has the columns {', '.join(index.schema.names)}")
    numbers = index["grid"].unique().to_pylist()
    if not set(numbers) <= set(range(len(index_grids(index)))):
        raise ValueError("no index: a chunk's grid is none of its grids")
    return index


def index_grids(index: pa.Table) -> list[Grid]:
    """Return the grids of an index by number.

    Raises
    ------
    ValueError
        If the index has none.
    """
    try:
        grids = _ALL_GRIDS.validate_json((index.schema.metadata or {}).get(_GRIDS, b""))
    except ValidationError as error:
        raise ValueError(f"no index: its grids: {first_fault(error)}") from None
    return [{(top, left): row for row, (top, left) in enumerate(grid)} for grid in grids]


def chunk_grids(index: pa.Table) -> dict[tuple[str, int], Grid]:
    """Return each chunk's grid from an index; equal grids are shared."""
    grids = index_grids(index)
    devices = index["device"].combine_chunks().dictionary_encode()
    names = devices.dictionary.to_pylist()
    keys = zip(devices.indices.to_pylist(), index["chunk"].to_pylist(), strict=True)
    numbers = index["grid"].to_pylist()
    return {(names[d], c): grids[g] for (d, c), g in zip(keys, numbers, strict=True)}


def num_strips(index: pa.Table) -> int:
    """Return how many strips a store has in all."""
    sizes = [len(grid) for grid in index_grids(index)]
    counts = zip(index["grid"].to_pylist(), index["num_images"].to_pylist(), strict=True)
    return sum(sizes[grid] * count for grid, count in counts)


def num_row_groups(index: pa.Table) -> int:
    """Return how many row groups a store has in all."""
    sizes = [len(grid) for grid in index_grids(index)]
    return sum(sizes[grid] for grid in index["grid"].to_pylist())
