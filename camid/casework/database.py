"""The database of enrolled devices: a parquet file for each device, lens and pixel size.

``device=<device>/<width>x<height>[-<lens>].parquet`` has a row for each row of pixels, 256 of them
a row group: the pattern as int8, and the sums that it is made of, separately for two halves
of the images. The sums are of integers, so that neither the order of images nor the number of
enrolments makes a difference. The footer has the entry's facts, and digests of both.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from camid.casework.database_entry import Entry, empty_entry, entry_of
from camid.casework.entry_facts import CURE, STEP, EntryFacts, entry_facts, facts_json
from camid.casework.fingerprint_sums import Half, Plane, Sums
from camid.dataset.records import device_name
from camid.io.escaping import one_line
from camid.io.folder import TEMPORARY, Folder, absolute
from camid.io.lock import LOCK
from camid.prnu.residual import quantised, restored

BAND = 256
"""Rows of pixels in a row group."""

_FACTS = b"camid.fingerprint"
_ENTRY_OR_CLOSED = re.compile(r"device=(.*\.parquet|[^/]*)", re.DOTALL)
_SUMS = ("products_0", "squares_0", "products_1", "squares_1")


@dataclass(frozen=True)
class Fingerprints:
    """A database at a path or address, which need not exist before the first write."""

    uri: str

    @property
    def folder(self) -> Folder:
        """The folder of the database; what is made in it is for the user alone."""
        return Folder(absolute(self.uri), is_private=True)

    def entries(self) -> list[Entry]:
        """Return all readable entries, by name; only footers are read."""
        return self.contents()[0]

    def damaged(self) -> list[tuple[str, str]]:
        """Return files that are unreadable, incomplete or no entries, with reasons, by name.

        A folder that cannot be listed is among them. Footers alone are read; :meth:`sums` and
        :meth:`pattern` check the content.
        """
        return self.contents()[1]

    def contents(self) -> tuple[list[Entry], list[tuple[str, str]]]:
        """Return :meth:`entries` and :meth:`damaged`, of one reading."""
        entries: list[Entry] = []
        damaged: list[tuple[str, str]] = []
        for name in self._names():
            try:
                entries.append(self._entry(name))
            except ValueError as error:
                damaged.append((name, str(error).removeprefix(f"{self.folder.uri}/{name}: ")))
        return sorted(entries, key=lambda entry: entry.name), damaged

    def devices(self) -> list[str]:
        """Return the names of enrolled devices by the names of their files, a long one's beginning.

        No file is read.
        """
        folders = {name.partition("/")[0] for name in self._names()}
        return sorted(unquote(name.removeprefix(device_name(""))) for name in folders)

    def entry(self, device: str, *, lens: str, width: int, height: int) -> Entry | None:
        """Return a device's entry, or None where it has none.

        Raises
        ------
        ValueError
            If its file is damaged or cannot be read.
        """
        file = empty_entry(device=device, lens=lens, width=width, height=height).file
        return self._entry(file) if self.folder.exists(file) else None

    def pattern(self, entry: Entry) -> Plane:
        """Return an entry's pattern ``(height, width)``, cleaned, whitened and quantised.

        Raises
        ------
        ValueError
            If the file is missing, damaged or cannot be read.
        """
        steps = self._columns(entry.file, ("pattern",), "pattern_digest")["pattern"]
        return restored(steps.view(np.int8).reshape(entry.height, entry.width), step=STEP)

    def sums(self, entry: Entry) -> Sums:
        """Return the sums that an entry is made of, to add images to.

        Raises
        ------
        ValueError
            If the file is missing, damaged or cannot be read.
        """
        shape = entry.height, entry.width
        columns = self._columns(entry.file, _SUMS, "sums_digest")
        planes = [columns[name].view("<i4").reshape(shape) for name in _SUMS]
        halves = Half(*planes[:2]), Half(*planes[2:])
        facts = self._facts(entry.file)
        return Sums(images=facts.enrolled, halves=halves, left_out=facts.left_out)

    def write(self, device: str, sums: Sums, *, lens: str = "") -> Entry:
        """Write the entry of ``sums``, whole or not at all, and return the entry.

        Equal sums give equal bytes.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        entry = entry_of(device, sums, lens=lens)
        columns: dict[str, NDArray[Any]] = {"pattern": quantised(sums.pattern(), step=STEP)}
        planes = [plane for half in sums.halves for plane in half]
        columns |= {name: plane.astype("<i4") for name, plane in zip(_SUMS, planes, strict=True)}
        facts = facts_json(
            entry,
            sums.images,
            left_out=sums.left_out,
            pattern_digest=_digest(columns, ("pattern",)),
            sums_digest=_digest(columns, _SUMS),
        )
        schema = pa.schema(
            [(name, pa.binary(plane.shape[1] * plane.itemsize)) for name, plane in columns.items()],
            metadata={_FACTS: facts},
        )

        def fill(sink: Any) -> None:
            with pq.ParquetWriter(
                sink, schema, compression="zstd", use_dictionary=False, write_statistics=False
            ) as writer:
                for top in range(0, entry.height, BAND):
                    bands = [plane[top : top + BAND] for plane in columns.values()]
                    writer.write_table(pa.table([_binary(band) for band in bands], schema=schema))

        self.folder.write(entry.file, fill)
        return entry

    @contextmanager
    def alone(self, device: str) -> Iterator[None]:
        """Lock a device's entries against other processes, on a local disk.

        A dead process holds no lock. At an address there are no locks: the last write counts.

        Raises
        ------
        ValueError
            If another process holds the lock.
        """
        if not self.folder.is_local:
            yield
            return
        folder = self._place(device)
        if folder.is_symlink():
            raise ValueError(f"{folder}: a link, and a database holds its entries itself")
        (self.folder / device_name(device)).make()
        try:
            lock = FileLock(folder / LOCK, timeout=0, mode=0o600).acquire()
        except (Timeout, FileNotFoundError):  # a process that ends may delete the folder
            raise ValueError(
                f"{self.uri}: {device} is being enrolled by another; wait for it"
            ) from None
        with lock:
            for leftover in folder.glob(f"*{TEMPORARY}"):  # by a process that was killed
                leftover.unlink(missing_ok=True)
            try:
                yield
            finally:
                with suppress(OSError):  # another process's doing, harmless to entries
                    if [path.name for path in folder.iterdir()] == [LOCK]:
                        (folder / LOCK).unlink()
                        folder.rmdir()

    def remove(self, device: str) -> int:
        """Delete all entries of a device, damaged ones too, and return their number.

        The device's folder is deleted with them. Links are deleted, and nothing behind them.

        Raises
        ------
        ValueError
            If the device is being enrolled, or its folder holds what no enrolment writes.
        """
        if not self._own(device):
            return 0
        if self.folder.is_local and self._place(device).is_symlink():
            self.folder.delete(device_name(device))
            return 1
        with self.alone(device):
            count = len(self._own(device))
            if not self.folder.is_local:
                self.folder.delete(device_name(device))
                return count
            place = self._place(device)
            if strangers := [path.name for path in place.iterdir() if not _is_own(path)]:
                raise ValueError(
                    f"{place}: holds what no enrolment writes, and nothing is removed: "
                    f"{', '.join(sorted(strangers))}; move it elsewhere"
                )
            for path in place.glob("*.parquet"):
                path.unlink()
        return count

    def _place(self, device: str) -> Path:
        return Path((self.folder / device_name(device)).local_path)

    def _own(self, device: str) -> list[str]:
        return [name for name in self._names() if name.startswith(f"{device_name(device)}/")]

    def _names(self) -> list[str]:
        """Return the names of entries' files, and of folders that cannot be listed."""
        names = self.folder.files() if self.folder.exists() else []
        return [name for name in names if name == "." or _ENTRY_OR_CLOSED.fullmatch(name)]

    def _entry(self, name: str) -> Entry:
        entry = self._facts(name).entry
        if entry.file != name:
            raise ValueError(f"{self.folder.uri}/{name}: the file of the entry {entry.name!r}")
        return entry

    def _facts(self, name: str) -> EntryFacts:
        address = f"{self.folder.uri}/{name}"
        with self._open(name) as file:
            return _facts_of(_parsed(file, address), address)

    def _columns(self, name: str, names: tuple[str, ...], digest: str) -> dict[str, Any]:
        """Return columns ``(height, width × bytes a sample)`` uint8, checked by their digest."""
        address = f"{self.folder.uri}/{name}"
        with self._open(name) as file:
            parsed = _parsed(file, address)
            facts = _facts_of(parsed, address)
            with _content(address):
                table = parsed.read(columns=list(names), use_threads=False)
                columns = {column: _bytes(table[column]) for column in names}
        if _digest(columns, names) != getattr(facts, digest):
            raise _damaged(address, "not as it was written")
        return columns

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file; a failure to read within the context is a ``ValueError`` with the reason."""
        address = f"{self.folder.uri}/{name}"
        try:
            with self.folder.open(name) as file:
                yield file
        except FileNotFoundError:
            raise ValueError(f"{address}: no such entry; it may have been removed") from None
        except ConnectionError:
            raise  # the file may be sound
        except (OSError, MemoryError, UnicodeEncodeError) as error:
            number = getattr(error, "errno", None)
            words = os.strerror(number).lower() if number else one_line(error)
            reason = words.removeprefix(f"{self.folder.address(name)}: ")
            raise ValueError(f"{address}: cannot be read: {reason}") from None


def _parsed(file: IO[bytes], address: str) -> pq.ParquetFile:
    with _content(address):
        return pq.ParquetFile(file)


@contextmanager
def _content(address: str) -> Iterator[None]:
    """Raise ``ValueError`` where a file is damaged; parquet raises ``OSError`` for that too."""
    try:
        yield
    except MemoryError:
        raise
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:
            raise
        raise _damaged(address, error) from None
    except (pa.ArrowException, ValueError, KeyError, AttributeError) as error:
        raise _damaged(address, error) from None


def _facts_of(file: pq.ParquetFile, address: str) -> EntryFacts:
    try:
        facts = entry_facts((file.schema_arrow.metadata or {}).get(_FACTS, b""))
    except ValueError as error:
        raise ValueError(f"{address}: {error}") from None
    sizes = {"pattern": 1, **dict.fromkeys(_SUMS, 4)}
    expected = pa.schema([(name, pa.binary(facts.width * size)) for name, size in sizes.items()])
    if file.metadata.num_rows != facts.height or not file.schema_arrow.equals(expected):
        raise _damaged(address, f"not of {facts.width}x{facts.height} px")
    return facts


def _digest(columns: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(np.ascontiguousarray(columns[name]).data)
    return digest.hexdigest()


def _damaged(address: str, error: Exception | str) -> ValueError:
    words = error if isinstance(error, str) else one_line(error)
    return ValueError(f"{address}: damaged ({words}){CURE}")


def _is_own(path: Path) -> bool:
    """Return whether a path is a file as enrolments write them, or a link."""
    has_name = path.suffix == ".parquet" or path.name == LOCK
    return has_name and (path.is_symlink() or path.is_file())


def _binary(rows: NDArray[Any]) -> pa.Array:
    """Return each row as a fixed-size binary value, without a copy."""
    flat = np.ascontiguousarray(rows)
    width = pa.binary(flat.shape[1] * flat.itemsize)
    return pa.FixedSizeBinaryArray.from_buffers(width, len(flat), [None, pa.py_buffer(flat)])


def _bytes(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """Return fixed-size binary values as ``(row, byte)``."""
    rows = column.combine_chunks()
    width = rows.type.byte_width
    flat = np.frombuffer(rows.buffers()[1], np.uint8)
    return flat[rows.offset * width :][: len(rows) * width].reshape(len(rows), width)
