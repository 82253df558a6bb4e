"""Row groups of a store by address: strips of images at one position, read together."""

import os
import resource
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from camid.dataset.records import chunk_name
from camid.io.filesystems import filesystem_of, patiently
from camid.io.folder import Folder
from camid.io.parquet_pages import Offsets, page_value
from camid.prnu.strips import INTENSITY_STEP
from camid.store.chunk_file import ChunkFile
from camid.store.store import Store

AHEAD = 8
"""Reads in progress while another is decompressed."""
MAX_OPEN = 1024
"""Most files that stay open, and at most half of the system's limit."""
MAX_LAYOUTS = 2048
"""Files whose page offsets are remembered: 26 kB for a file of 24-megapixel images."""
GAP = 8 * 2**20
"""Bytes between two strips that are read too where every request is slow."""

Pending = Callable[[], bytes]
"""Function that waits for the bytes of a read and returns them."""


class Address(NamedTuple):
    """Address of a row group."""

    device: str
    chunk: int
    row_group: int

    @property
    def name(self) -> str:
        """Name of the chunk's file."""
        return chunk_name(self.device, self.chunk)


Wanted = tuple[Address, Sequence[int]]
"""A row group and its rows to read; rows are the chunk's images in the order of their ids."""


Column = Literal["samples", "intensity"]


class Strip(NamedTuple):
    """A strip's samples or intensity."""

    number: int
    """Number of its row group in the request."""
    row: int
    samples: NDArray[Any]
    """``(height, width, channel)``, or ``(height / 4, width / 4)`` grey, 0–255."""


Place = tuple[int, int, int]
"""A row, and the start and end of its page in the bytes read."""


class RowGroups:
    """The row groups of a store, open for reading; a context manager.

    Memory holds the strips of one read, the page offsets of files and, where storage is no file
    system, at most :data:`AHEAD` compressed row groups that are read ahead.
    """

    def __init__(self, store: Store, *, is_checked: bool = True, max_open: int = MAX_OPEN) -> None:
        self.store = store
        self.is_checked = is_checked
        """Whether strips are compared with their checksums, a sixth of the work."""
        self.num_reads = 0
        """Reads of a row group so far."""
        self.num_bytes = 0
        """Bytes read of row groups and of the files' page indexes."""
        samples = store.description["samples"]
        self.shape: tuple[int, int, int] = tuple(samples["shape"])
        """Of a strip: ``(height, width, channel)``."""
        self.dtype = np.dtype(samples["dtype"])
        """Of the samples: int8 residuals in steps, or uint8 pixels."""
        reduced = self.shape[0] // INTENSITY_STEP
        self._forms: dict[Column, tuple[tuple[int, ...], np.dtype[Any]]] = {
            "samples": (self.shape, self.dtype),
            "intensity": ((reduced, reduced), np.dtype(np.uint8)),
        }
        self.step = float(samples["step"])
        """Grey levels per unit of the samples."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._files = _OpenFiles(max(AHEAD + 1, min(limit // 2, max_open)))
        self._layouts: LRUCache[tuple[str, Column], list[Offsets]] = LRUCache(MAX_LAYOUTS)
        self._threads = ThreadPoolExecutor(AHEAD)  # starts no thread until a request

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._files.clear()

    def strips(self, wanted: Iterable[Wanted], *, column: Column = "samples") -> Iterator[Strip]:
        """Yield the strips in the wanted rows of each row group.

        No other strips are decompressed or, on a file system, read, and one is held at a time. Row
        groups come in the order given, each as often as it is given; keep those of a file together.

        Raises
        ------
        ValueError
            If a chunk's file is missing, not whole or damaged.
        """
        requests = enumerate(wanted)
        reads: deque[Iterator[Strip]] = deque()
        while True:
            for number, (address, rows) in islice(requests, AHEAD + 1 - len(reads)):
                reads.append(self._begin_read(number, address, rows, column))
            if not reads:
                return
            self.num_reads += 1
            yield from reads.popleft()

    def _begin_read(
        self, number: int, address: Address, rows: Sequence[int], column: Column
    ) -> Iterator[Strip]:
        """Begin to read strips of a row group; return an iterator that waits for them."""
        name = address.name
        if (name, column) not in self._layouts:
            self._layouts[name, column] = self._layout(name, column)
        offsets = self._layouts[name, column][address.row_group].tolist()
        if name not in self._files:
            self._files[name] = self._file(name)
        file = self._files[name]
        parts = []
        for span in _spans(offsets, rows, gap=file.gap):
            start, end = offsets[span.start], offsets[span.stop]
            pending = file.begin_read(start, end - start)
            self.num_bytes += end - start
            span_rows = [row for row in rows if row in span]
            parts.append(
                (
                    pending,
                    [(row, offsets[row] - start, offsets[row + 1] - start) for row in span_rows],
                )
            )
        return self._strips(number, address, column, parts)

    def _strips(
        self,
        number: int,
        address: Address,
        column: Column,
        parts: Sequence[tuple[Pending, Sequence[Place]]],
    ) -> Iterator[Strip]:
        shape, dtype = self._forms[column]
        width = int(np.prod(shape)) * dtype.itemsize
        for pending, places in parts:
            data = memoryview(pending())
            for row, start, end in places:
                try:
                    value = page_value(data[start:end], width=width, is_checked=self.is_checked)
                except ValueError as error:
                    uri = self.store.folder.address(address.name)
                    raise ValueError(f"{uri}: row group {address.row_group}: {error}") from None
                yield Strip(number, row, np.frombuffer(value, dtype).reshape(shape))

    def _layout(self, name: str, column: Column) -> list[Offsets]:
        with ChunkFile(self.store.folder, name) as file:
            layout, num_bytes = file.pages(column)
        self.num_bytes += num_bytes
        return layout

    def _file(self, name: str) -> "_File":
        folder = self.store.folder
        if folder.is_local:
            return _Local(f"{folder.local_path}/{name}")
        return _Remote(folder, name, self._threads)


class _File(Protocol):
    """An open file whose reads begin before they are waited for."""

    gap: int
    """Most bytes between two strips that are read with them."""

    def begin_read(self, start: int, count: int) -> Pending: ...
    def close(self) -> None: ...


class _Local:
    """A file of a file system, which reads the given bytes ahead."""

    gap = 0

    def __init__(self, path: str) -> None:
        self._number = os.open(path, os.O_RDONLY)

    def begin_read(self, start: int, count: int) -> Pending:
        if hasattr(os, "posix_fadvise"):  # macOS has none
            os.posix_fadvise(self._number, start, count, os.POSIX_FADV_WILLNEED)
        return partial(os.pread, self._number, count, start)

    def close(self) -> None:
        os.close(self._number)


class _Remote:
    """A file of an object store, to which threads send requests."""

    gap = GAP

    def __init__(self, folder: Folder, name: str, threads: ThreadPoolExecutor) -> None:
        self._address = folder.address(name)
        filesystem, path = filesystem_of(folder.uri)
        self._file = patiently(self._address, lambda: filesystem.open_input_file(f"{path}/{name}"))
        self._threads = threads

    def begin_read(self, start: int, count: int) -> Pending:
        return self._threads.submit(self._read, start, count).result

    def _read(self, start: int, count: int) -> bytes:
        return patiently(self._address, lambda: bytes(self._file.read_at(count, start)))

    def close(self) -> None:
        self._file.close()


class _OpenFiles(LRUCache[str, _File]):
    """The files used last, by name; a dropped file is closed."""

    def popitem(self) -> tuple[str, _File]:
        """Drop and close the file that was used longest ago."""
        name, file = super().popitem()
        file.close()
        return name, file


def _spans(offsets: Sequence[int], rows: Sequence[int], *, gap: int) -> list[range]:
    """Return the ranges of rows to read, merged where at most ``gap`` bytes lie between them."""
    spans: list[range] = []
    for row in sorted(set(rows)):
        if spans and offsets[row] - offsets[spans[-1].stop] <= gap:
            spans[-1] = range(spans[-1].start, row + 1)
        else:
            spans.append(range(row, row + 1))
    return spans
