"""Tables of images: records held as columns, which take a few hundred bytes each.

An :class:`ImageTable` is a sequence of :class:`~camid.dataset.records.ImageRecord`, and gives its
columns to code that handles all images at once.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Union, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from camid.dataset.records import MANIFEST_SCHEMA, OK, ImageRecord

Rows = NDArray[np.int64]

REPEATED = ("device", "kind", "make", "model", "lens", "scene", "provenance", "status")
"""Columns of texts that many images share."""
BATCH = 4096
"""Records made from columns at once."""
ROWS_PER_GROUP = 2**20
"""Rows of a row group."""


def _held(field: pa.Field) -> pa.DataType:
    if field.name in REPEATED:
        return pa.dictionary(pa.int32(), pa.string())
    return pa.large_string() if field.type == pa.string() else field.type


HELD = pa.schema([(field.name, _held(field)) for field in MANIFEST_SCHEMA])
"""The manifest's columns as held in memory."""


class Groups(NamedTuple):
    """Images grouped by combinations of values."""

    keys: list[tuple[Any, ...]]
    """The combinations, in order."""
    order: Rows
    """Rows of the images, combination by combination."""
    ends: Rows
    """The start of each combination in ``order``, and the end of the last."""

    def rows(self, number: int) -> Rows:
        """Return the rows of a combination's images."""
        return self.order[self.ends[number] : self.ends[number + 1]]

    def places(self) -> tuple[Rows, Rows]:
        """Return each image's combination number, and its place within the combination."""
        sizes = np.diff(self.ends)
        numbers, within = np.empty_like(self.order), np.empty_like(self.order)
        numbers[self.order] = np.repeat(np.arange(len(sizes)), sizes)
        within[self.order] = np.arange(len(self.order)) - np.repeat(self.ends[:-1], sizes)
        return numbers, within


class _Columns:
    """Columns of :data:`HELD`, each one contiguous array."""

    def __init__(self, parts: Iterable[pa.Table]) -> None:
        chunks: dict[str, list[pa.Array]] = {name: [] for name in HELD.names}
        for part in (HELD.empty_table(), *parts):
            for name, column in zip(HELD.names, part.columns, strict=True):
                chunks[name] += column.chunks
        arrays = {}
        for name in HELD.names:  # one at a time, so that little memory is used twice
            column = pa.chunked_array(chunks.pop(name), HELD.field(name).type)
            whole = column.unify_dictionaries().combine_chunks()
            arrays[name] = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
        self.table = pa.table(list(arrays.values()), schema=HELD)
        self._texts: dict[str, list[str]] = {}

    def __getitem__(self, name: str) -> pa.Array:
        return self.table[name].chunk(0)

    def texts(self, name: str) -> list[str]:
        """Return the distinct texts of a column of :data:`REPEATED`."""
        if name not in self._texts:
            self._texts[name] = self[name].dictionary.to_pylist()
        return self._texts[name]


class ImageTable(Sequence[ImageRecord]):
    """Records of images as columns; a table's subsets share its columns."""

    def __init__(self, columns: _Columns, rows: Rows | None = None) -> None:
        """Hold columns, or the given rows of them."""
        self._columns = columns
        self._is_whole = rows is None
        self._rows = np.arange(len(columns.table)) if rows is None else rows

    @classmethod
    def of(cls, records: Iterable[ImageRecord]) -> "ImageTable":
        """Return the table of records, in their order."""
        if isinstance(records, ImageTable):
            return records
        return cls(_Columns(_tables(records)))

    @classmethod
    def joined(cls, parts: Iterable["ImageTable"]) -> "ImageTable":
        """Return one table of the records of several, in their order."""
        return cls(_Columns(part._columns.table.take(part._rows) for part in parts))

    @classmethod
    def read(cls, data: bytes) -> "ImageTable":
        """Return the table of a manifest file's bytes."""
        # Not read_table: its threads may still start while a program exits early, which aborts it.
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=list(REPEATED))
        parts = (file.read_row_group(i, use_threads=False) for i in range(file.num_row_groups))
        return cls(_Columns(part.cast(HELD) for part in parts))

    def plain(self) -> Iterator[pa.Table]:
        """Yield the rows as tables of the manifest's schema, one per row group."""
        for start in range(0, max(1, len(self)), ROWS_PER_GROUP):
            rows = self._rows[start : start + ROWS_PER_GROUP]
            yield self._columns.table.take(rows).cast(MANIFEST_SCHEMA)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> ImageRecord: ...
    @overload
    def __getitem__(self, at: slice) -> "ImageTable": ...
    def __getitem__(self, at: int | slice) -> Union[ImageRecord, "ImageTable"]:
        if isinstance(at, slice):
            return self.taken(np.arange(len(self))[at])
        row = int(self._rows[at])
        return ImageRecord(**{name: self._columns[name][row].as_py() for name in HELD.names})

    def __iter__(self) -> Iterator[ImageRecord]:
        for start in range(0, len(self), BATCH):
            batch = self[start : start + BATCH]
            columns = [batch.values(name) for name in HELD.names]
            for row in zip(*columns, strict=True):
                yield ImageRecord(**dict(zip(HELD.names, row, strict=True)))

    def values(self, name: str) -> list[Any]:
        """Return a column's values as records have them; equal repeated texts are one object."""
        if name in REPEATED:
            codes, names = self.texts(name)
            return [names[code] for code in codes.tolist()]
        if pa.types.is_integer(HELD.field(name).type):
            numbers: list[Any] = self.numbers(name).tolist()
            return numbers
        values: list[Any] = self.column(name).to_pylist()
        return values

    def equals(self, other: "ImageTable") -> bool:
        """Return whether another table has the same records in the same order."""
        pairs = zip(self.plain(), other.plain(), strict=False)
        return len(self) == len(other) and all(
            rows.equals(other_rows) for rows, other_rows in pairs
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def taken(self, rows: NDArray[Any]) -> "ImageTable":
        """Return the images in the given rows of the table."""
        return ImageTable(self._columns, self._rows[rows])

    def where(self, mask: NDArray[np.bool_]) -> "ImageTable":
        """Return the images where ``mask``, ``(image,)``, is true."""
        return self.taken(np.flatnonzero(mask))

    @property
    def ok(self) -> "ImageTable":
        """The images whose status is ``ok``."""
        return self.where(self.has("status", lambda status: status == OK))

    def column(self, name: str) -> pa.Array:
        """Return a column as an Arrow array."""
        column = self._columns[name]
        return column if self._is_whole else column.take(pa.array(self._rows))

    def texts(self, name: str) -> tuple[NDArray[np.int32], list[str]]:
        """Return the code of each image's text in a repeated column, and the texts by code."""
        return self._columns[name].indices.to_numpy()[self._rows], self._columns.texts(name)

    def numbers(self, name: str) -> NDArray[Any]:
        """Return a column of numbers ``(image,)``."""
        numbers: NDArray[Any] = self._columns[name].to_numpy()[self._rows]
        return numbers

    def has(self, name: str, wanted: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Return for each image whether ``wanted`` is true of its repeated text."""
        codes, names = self.texts(name)
        return np.array([wanted(text) for text in names], np.bool_)[codes]

    def keys(self, *names: str) -> tuple[NDArray[np.int64], list[tuple[Any, ...]]]:
        """Return the number of each image's combination of values, and the sorted combinations."""
        ranks = [self._ranked(name) for name in names]
        key, width = np.zeros(len(self), np.int64), 1
        for codes, values in reversed(ranks):
            key, width = key + codes * width, width * max(1, len(values))
            assert width < 2**63, "more combinations than a number holds"
        present, numbers = np.unique(key, return_inverse=True)
        columns: list[list[Any]] = []
        for _, values in reversed(ranks):
            present, codes = np.divmod(present, max(1, len(values)))
            columns.insert(0, [values[i] for i in codes.tolist()])
        return numbers, list(zip(*columns, strict=True))

    def _ranked(self, name: str) -> tuple[NDArray[np.int64], list[Any]]:
        """Return the rank of each image's value among a column's values, and the sorted values."""
        if name not in REPEATED:
            values, ranks = np.unique(self.numbers(name), return_inverse=True)
            return ranks, values.tolist()
        codes, names = self.texts(name)
        order = sorted(range(len(names)), key=names.__getitem__)
        rank = np.empty(len(names), np.int64)
        rank[order] = np.arange(len(names))
        return rank[codes], [names[i] for i in order]

    def groups(self, *names: str) -> "Groups":
        """Return the images grouped by combinations of values, each group in the table's order."""
        numbers, keys = self.keys(*names)
        ends = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=len(keys)))])
        return Groups(keys, np.argsort(numbers, kind="stable"), ends.astype(np.int64))

    def counted(self, *names: str) -> Counter[tuple[Any, ...]]:
        """Return how many images have each combination of values."""
        numbers, keys = self.keys(*names)
        counts = np.bincount(numbers, minlength=len(keys)).tolist()
        return Counter(dict(zip(keys, counts, strict=True)))

    def by_id(self) -> "ImageTable":
        """Return the images in the order of their ids."""
        return self.taken(pc.array_sort_indices(self.column("image_id")).to_numpy())

    def ranks(self) -> Rows:
        """Return each image's place in the order of the ids, ``(image,)``."""
        ranks = np.empty(len(self), np.int64)
        ranks[pc.array_sort_indices(self.column("image_id")).to_numpy()] = np.arange(len(self))
        return ranks

    def without_copies(self) -> "ImageTable":
        """Return the images in the order of their ids, only the first of each sha256."""
        ordered = self.by_id()
        codes = ordered.column("sha256").dictionary_encode().indices.to_numpy()
        return ordered.taken(np.sort(np.unique(codes, return_index=True)[1]))

    def of_sha256(self, digests: Collection[str]) -> dict[str, ImageRecord]:
        """Return the first image of each of the digests that the table has."""
        records: dict[str, ImageRecord] = {}
        for record in self.where(self.has_sha256(digests)):
            records.setdefault(record.sha256, record)
        return records

    def has_sha256(self, digests: Collection[str]) -> NDArray[np.bool_]:
        """Return for each image whether its sha256 is among the digests."""
        value_set = pa.array(sorted(set(digests)), pa.large_string())
        return np.asarray(pc.is_in(self.column("sha256"), value_set=value_set))

    def among(self, others: "ImageTable") -> NDArray[np.bool_]:
        """Return for each image whether ``others`` has its id."""
        is_among = pc.is_in(self.column("image_id"), value_set=others.column("image_id"))
        return np.asarray(is_among)

    def replaced(self, **columns: Any) -> "ImageTable":
        """Return the images with columns replaced by values ``(image,)``."""
        table = self._columns.table
        if not self._is_whole:
            table = table.take(self._rows)
        for name, values in columns.items():
            array = pa.array(values, MANIFEST_SCHEMA.field(name).type).cast(HELD.field(name).type)
            table = table.set_column(HELD.get_field_index(name), HELD.field(name), array)
        return ImageTable(_Columns([table]))


def _tables(records: Iterable[ImageRecord]) -> Iterator[pa.Table]:
    """Yield the records as tables, a block at a time."""
    remaining = iter(records)
    while block := list(islice(remaining, ROWS_PER_GROUP // 16)):
        columns = [
            pa.array([getattr(record, field.name) for record in block], field.type)
            for field in MANIFEST_SCHEMA
        ]
        yield pa.table(columns, schema=MANIFEST_SCHEMA).cast(HELD)
