"""A chunk's file: parquet with one row group per position, seen whole or not at all.

``device=<id>/chunk-00007.parquet`` holds the strips of up to 16 images of one device, and in its
footer the samples' format, each image's status, a digest of the content, and a seal: the digest of
the file's own bytes, with the seal's digits as zeros.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from camid.dataset.records import OK
from camid.io.digested import first_fault
from camid.io.escaping import one_line
from camid.io.filesystems import answered
from camid.io.folder import Folder
from camid.io.parquet_pages import Offsets, page_offsets
from camid.prnu.residual import restored
from camid.prnu.strips import INTENSITY_STEP, Position
from camid.store.description import Count, Samples

SCHEMA_VERSION = 5
CHANNELS = 3

_FORMAT = b"camid.format"
_CHUNK = b"camid.chunk"
_UNSEALED = b"0" * 64
_SEAL = b'"seal": "'
_TAIL = 8
"""Bytes after a parquet file's metadata: the metadata's length, and a magic word."""
_BLOCK = 2**24


@dataclass(frozen=True, kw_only=True)
class SampleFormat:
    """Format of a store's samples, stated in every file's schema metadata."""

    size: int
    dtype: str
    step: float
    filter: Mapping[str, Any]
    channels: int = CHANNELS

    @property
    def facts(self) -> dict[str, Any]:
        """The format as JSON, as every file states it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "shape": [self.size, self.size, self.channels],
            "dtype": self.dtype,
            "step": self.step,
            "filter": dict(self.filter),
        }

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of a chunk's file."""
        strip = self.size**2 * self.channels * np.dtype(self.dtype).itemsize
        reduced = (self.size // INTENSITY_STEP) ** 2
        return pa.schema(
            [
                pa.field("image_id", pa.string(), nullable=False),
                pa.field("top", pa.int32(), nullable=False),
                pa.field("left", pa.int32(), nullable=False),
                pa.field("intensity", pa.binary(reduced), nullable=False),
                pa.field("samples", pa.binary(strip), nullable=False),
            ],
            metadata={_FORMAT: json.dumps(self.facts)},
        )


@dataclass(frozen=True, kw_only=True)
class StripBatch:
    """The strips of a chunk's images at one position: one row group."""

    image_ids: tuple[str, ...]
    position: Position
    samples: NDArray[Any]
    """``(image, height, width, channel)`` int8 residuals in steps, or uint8 pixels."""
    intensity: NDArray[np.uint8]
    """``(image, height / 4, width / 4)`` grey, 0–255."""
    step: float
    """Grey levels per unit of ``samples``."""

    def residuals(self) -> NDArray[np.float32]:
        """Return the residuals in grey levels ``(image, height, width, channel)``.

        Raises
        ------
        ValueError
            If the store holds pixels.
        """
        if self.samples.dtype != np.int8:
            raise ValueError("the store holds pixels (residual.filter=none), not residuals")
        return restored(self.samples, step=self.step)


@dataclass(frozen=True, kw_only=True)
class ImageStatus:
    """Status of one image of a chunk: read, or rejected for a reason."""

    image_id: str
    sha256: str
    """Of the file; empty where it could not be read."""
    status: str
    """``ok``, or ``rejected: <reason>``."""
    scene_hash: str = ""
    """Of what it shows (:mod:`camid.io.scene_hash`); empty if it shows nothing or is rejected."""


class _ChunkFacts(TypedDict):
    """Facts of a chunk in its file's footer."""

    digest: str
    content: str
    positions: list[tuple[Count, Count]]
    images: list[ImageStatus]
    seal: str


_FACTS, _SAMPLES = TypeAdapter(_ChunkFacts), TypeAdapter(Samples)


def write_chunk(
    store: Folder,
    name: str,
    *,
    batches: Iterator[StripBatch],
    form: SampleFormat,
    digest: str,
    statuses: Sequence[ImageStatus],
) -> str:
    """Write one chunk's file, seen whole or not at all; return the digest of its content.

    Equal content gives equal bytes.

    Parameters
    ----------
    digest
        The chunk's digest in the plan.
    statuses
        Statuses of its images; kept in the file for a later run that finds the file complete.
    """
    schema = form.schema
    content_hash = hashlib.sha256()
    positions: list[Position] = []

    def fill(sink: Any) -> None:
        with pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=["image_id"],
            write_statistics=["image_id", "top", "left"],
            write_page_checksum=True,
            data_page_size=1,  # one page per strip, so that a strip can be read alone
            write_batch_size=1,
            write_page_index=True,
        ) as writer:
            for batch in batches:
                table = _table(batch, schema)
                _feed(content_hash, table)
                positions.append(batch.position)
                writer.write_table(table, row_group_size=table.num_rows)
            facts = {
                "digest": digest,
                "content": content_hash.hexdigest(),
                "positions": positions,
                "images": [vars(image) for image in statuses],
                "seal": _UNSEALED.decode(),
            }
            writer.add_key_value_metadata({_CHUNK: json.dumps(facts)})
        offset, stated, seal = _sealed(sink)
        assert stated == _UNSEALED
        sink.seek(offset)
        sink.write(seal)

    store.write(name, fill)
    return content_hash.hexdigest()


class ChunkFile:
    """One chunk's file, open for reading; a context manager."""

    def __init__(self, store: Folder, name: str) -> None:
        self.name = name
        self._address = f"{store.uri}/{name}"
        try:
            self._stream = store.open(name)
        except FileNotFoundError:
            raise ValueError(f"{self._address}: missing") from None
        try:
            self._file = pq.ParquetFile(self._stream, page_checksum_verification=True)
            metadata = self._file.metadata.metadata or {}
            schema = self._file.schema_arrow
            self._facts = _FACTS.validate_json(metadata[_CHUNK])
            self._format = json.loads(schema.metadata[_FORMAT])
            samples = _SAMPLES.validate_json(schema.metadata[_FORMAT])
            _check(self._facts, samples, schema, num_row_groups=self._file.num_row_groups)
        except ValidationError as error:
            self._stream.close()
            words = first_fault(error)
            raise ValueError(f"{self._address}: not a whole chunk: {words}") from None
        except ConnectionError:
            raise  # not the file's fault
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            self._stream.close()
            message = one_line(error)
            raise ValueError(f"{self._address}: not a whole chunk: {message}") from None

    def __enter__(self) -> "ChunkFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    @property
    def digest(self) -> str:
        """The chunk's digest in the plan it was written for."""
        return str(self._facts["digest"])

    @property
    def content(self) -> str:
        """The digest of ids, positions, intensities and samples, as written."""
        return str(self._facts["content"])

    @property
    def format(self) -> dict[str, Any]:
        """Format of the samples, as stated in the file."""
        return dict(self._format)

    @property
    def statuses(self) -> list[ImageStatus]:
        """Status of each image of the chunk."""
        return list(self._facts["images"])

    @property
    def positions(self) -> list[Position]:
        """The position of each row group."""
        return list(self._facts["positions"])

    @property
    def num_row_groups(self) -> int:
        """Positions in the chunk."""
        return int(self._file.num_row_groups)

    def read(self, row_group: int) -> StripBatch:
        """Return the strips of all images at one position.

        Raises
        ------
        ValueError
            If they are not as they were written.
        """
        size, _, channels = self._format["shape"]
        reduced = size // INTENSITY_STEP
        try:
            table = self._file.read_row_group(row_group, use_threads=False)
            return StripBatch(
                image_ids=tuple(table["image_id"].to_pylist()),
                position=(table["top"][0].as_py(), table["left"][0].as_py()),
                samples=_array(table["samples"], self._format["dtype"], (size, size, channels)),
                intensity=_array(table["intensity"], "uint8", (reduced, reduced)),
                step=float(self._format["step"]),
            )
        except ConnectionError:
            raise  # not the file's fault
        except (pa.ArrowException, OSError, IndexError, ValueError) as error:
            words = one_line(error)
            raise ValueError(f"{self._address}: not a whole chunk: {words}") from None

    def pages(self, column: str = "samples") -> tuple[list[Offsets], int]:
        """Return the offsets of each image's samples or intensity, and the bytes read for them.

        ``(image + 1,)`` int64 for each row group: the start of each strip, and the last one's end.

        Raises
        ------
        ValueError
            If the file has no index of its strips.
        """
        metadata = self._file.metadata
        groups = [metadata.row_group(group) for group in range(self.num_row_groups)]
        column_index = self._file.schema_arrow.get_field_index(column)
        starts, ends = _extents([group.column(column_index) for group in groups])
        _, group_ends = _extents([group.column(group.num_columns - 1) for group in groups])
        size = self._stream.seek(0, os.SEEK_END)
        end = group_ends[-1] if group_ends else size
        if not 0 <= end <= size:
            raise ValueError(f"{self._address}: not a whole chunk: strips beyond its end")
        self._stream.seek(end)
        with answered(self._address):
            indexes = self._stream.read()
        try:
            extents = list(zip(starts, ends, strict=True))
            return page_offsets(indexes, extents, num_rows=self.num_images), len(indexes)
        except ValueError as error:
            raise ValueError(f"{self._address}: {error}") from None

    @property
    def num_images(self) -> int:
        """Images whose strips the chunk holds."""
        return sum(image.status == OK for image in self.statuses)

    def is_intact(self) -> bool:
        """Return whether every byte of the file is as it was written, reading the whole file.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        _, stated, actual = _sealed(self._stream)
        return stated == actual


def _check(facts: _ChunkFacts, samples: Samples, schema: pa.Schema, *, num_row_groups: int) -> None:
    """Raise if a file's columns are not those of the samples that it states."""
    height, width, channels = samples["shape"]
    if height != width:
        raise ValueError(f"strips of {height}x{width} px")
    form = SampleFormat(
        size=height,
        dtype=samples["dtype"],
        step=samples["step"],
        filter=samples["filter"],
        channels=channels,
    )
    if not schema.equals(form.schema, check_metadata=False):
        raise ValueError(f"it has the columns {', '.join(schema.names)} of other types")
    if len(facts["positions"]) != num_row_groups:
        raise ValueError(f"{num_row_groups} row groups of {len(facts['positions'])} positions")


def _extents(columns: Sequence[Any]) -> tuple[list[int], list[int]]:
    """Return the starts and ends of a column's bytes in the row groups."""
    starts = [column.data_page_offset for column in columns]
    return starts, [
        start + column.total_compressed_size for start, column in zip(starts, columns, strict=True)
    ]


def _sealed(file: IO[bytes]) -> tuple[int, bytes, bytes]:
    """Return the offset of a chunk file's seal, the seal as stated, and the seal as computed."""
    end = file.seek(-_TAIL, os.SEEK_END)
    start = max(0, end - int.from_bytes(file.read(4), "little"))
    file.seek(start)
    footer = file.read()
    seal_start = footer.rfind(_SEAL) + len(_SEAL)
    stated = footer[seal_start : seal_start + len(_UNSEALED)]
    digest = hashlib.sha256()
    file.seek(0)
    for offset in range(0, start, _BLOCK):
        digest.update(file.read(min(_BLOCK, start - offset)))
    for block in (footer[:seal_start], _UNSEALED, footer[seal_start + len(_UNSEALED) :]):
        digest.update(block)
    return start + seal_start, stated, digest.hexdigest().encode()


def _table(batch: StripBatch, schema: pa.Schema) -> pa.Table:
    count = len(batch.image_ids)
    columns = [
        pa.array(batch.image_ids, pa.string()),
        pa.array(np.full(count, batch.position[0], np.int32)),
        pa.array(np.full(count, batch.position[1], np.int32)),
        _binary(batch.intensity),
        _binary(batch.samples),
    ]
    return pa.table(columns, schema=schema)


def _binary(samples: NDArray[Any]) -> pa.Array:
    """Return ``(row, …)`` samples as one fixed-size binary value per row, without a copy."""
    flat = np.ascontiguousarray(samples).reshape(len(samples), -1)
    width = flat.shape[1] * flat.itemsize
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(flat), [None, pa.py_buffer(flat)]
    )


def _array(column: pa.ChunkedArray, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return fixed-size binary values as ``(row, *shape)``; read-only views of Arrow's memory."""
    rows = column.combine_chunks()
    start = rows.offset * rows.type.byte_width
    flat = np.frombuffer(rows.buffers()[1], np.uint8)[start : start + rows.nbytes]
    return flat.view(dtype).reshape(len(rows), *shape)


def _feed(content_hash: Any, table: pa.Table) -> None:
    for name in ("image_id", "top", "left"):
        content_hash.update(json.dumps(table[name].to_pylist()).encode())
    for name in ("intensity", "samples"):
        width = table.schema.field(name).type.byte_width
        content_hash.update(_array(table[name], "uint8", (width,)).data)
