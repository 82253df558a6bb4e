"""The strip store: a folder of chunks' files, with a manifest, an index and a description.

``manifest.parquet`` has a row for every file of the data, ``index.parquet`` a row for every chunk,
and ``store.json`` the settings, digests and counts of the store.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from camid.dataset.manifest import ImageTable
from camid.dataset.records import chunk_name
from camid.io.escaping import one_line
from camid.io.folder import MARK, TEMPORARY, Folder, absolute
from camid.store.chunk_file import SCHEMA_VERSION, ChunkFile
from camid.store.description import description_fault
from camid.store.index import read_index

T = TypeVar("T")

DESCRIPTION = "store.json"
MANIFEST = "manifest.parquet"
INDEX = "index.parquet"
FILES = (DESCRIPTION, MANIFEST, INDEX)
"""Files of a store besides its chunks."""

MEND = "`camid store verify --repair` makes it anew"

_LEFTOVER = re.compile(
    r"device=[^/]+/chunk-\d{5,}\.parquet"
    rf"|(device=[^/]+/chunk-\d{{5,}}\.parquet|{DESCRIPTION}|{MANIFEST}|{INDEX})"
    rf"\.[0-9a-f]{{32}}{re.escape(TEMPORARY)}"
    rf"|{re.escape(MARK)}[0-9a-f]{{32}}"
)


@dataclass(frozen=True)
class Store:
    """A finished strip store, open for reading."""

    folder: Folder

    @cached_property
    def description(self) -> dict[str, Any]:
        """Configuration, digests and counts, as in ``store.json``."""
        return read_description(self.folder)

    @cached_property
    def manifest(self) -> ImageTable:
        """Records of all files of the data.

        Raises
        ------
        ValueError
            If its file is missing or not as it was written.
        """
        return self._read(MANIFEST, ImageTable.read)

    @cached_property
    def index(self) -> pa.Table:
        """A row for every chunk, and the grids that they name (:mod:`camid.store.index`).

        Raises
        ------
        ValueError
            If its file is missing or not as it was written.
        """
        return self._read(INDEX, read_index)

    def _read(self, name: str, read: Callable[[bytes], T]) -> T:
        try:
            data = self.folder.read(name)
        except FileNotFoundError:
            raise ValueError(f"{self.folder.uri}/{name}: missing; {MEND}") from None
        if hashlib.sha256(data).hexdigest() != self.description["files"].get(name):
            raise ValueError(f"{self.folder.uri}/{name}: not as it was written; {MEND}")
        try:
            return read(data)
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            words = one_line(error)
            raise ValueError(f"{self.folder.uri}/{name}: {words}; {MEND}") from None

    @property
    def digest(self) -> str:
        """Digest of the content of all chunks."""
        return str(self.description["content_digest"])

    def images(self) -> ImageTable:
        """Return the records of all images whose strips are in the store, by id."""
        return self.manifest.ok

    def chunk(self, device: str, number: int) -> ChunkFile:
        """Open a chunk's file.

        Raises
        ------
        ValueError
            If the file is missing or not whole.
        """
        return ChunkFile(self.folder, chunk_name(device, number))


def open_store(uri: str) -> Store:
    """Return the finished store at a path or address.

    Raises
    ------
    ValueError
        If there is no store, or it is unfinished or of an unknown schema version.
    """
    store = Store(Folder(absolute(uri)))
    if not store.description.get("content_digest"):
        raise ValueError(f"{uri}: the store is unfinished; run preprocess again to complete it")
    return store


def is_finished(folder: Folder) -> bool:
    """Return whether there is a store, and it is complete."""
    return folder.exists(DESCRIPTION) and bool(read_description(folder).get("content_digest"))


def read_description(folder: Folder) -> dict[str, Any]:
    """Return the content of ``store.json``, of a finished or unfinished store.

    Raises
    ------
    ValueError
        If there is no store, its schema version is unknown, or the file is damaged.
    """
    if not folder.exists(DESCRIPTION):
        raise ValueError(f"{folder.uri}: no strip store there (no {DESCRIPTION}); run preprocess")
    try:
        description: dict[str, Any] = json.loads(folder.read(DESCRIPTION))
        version = description["schema_version"]
        if not isinstance(version, int):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _no_description(folder) from None
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{folder.uri}: a store of schema version {version!r}, and this camid reads "
            f"{SCHEMA_VERSION}; preprocess again with --fresh or use the camid that wrote it"
        )
    if description.pop("seal", None) != _seal(description):
        raise _no_description(folder)
    if fault := description_fault(description):
        raise _no_description(folder, fault)
    return description


def write_description(folder: Folder, description: Mapping[str, Any]) -> None:
    """Write ``store.json``."""
    facts = {"schema_version": SCHEMA_VERSION, **description}
    facts["seal"] = _seal(facts)
    folder.write(DESCRIPTION, (json.dumps(facts, indent=2) + "\n").encode())


def write_tables(folder: Folder, name: str, tables: Iterable[pa.Table]) -> str:
    """Write tables as parquet, one row group each; return the digest of the bytes.

    Equal tables give equal bytes.
    """
    sink = pa.BufferOutputStream()
    remaining = iter(tables)
    first = next(remaining)
    with pq.ParquetWriter(sink, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for table in remaining:
            writer.write_table(table)
    data = sink.getvalue().to_pybytes()
    folder.write(name, data)
    return hashlib.sha256(data).hexdigest()


def write_table(folder: Folder, name: str, table: pa.Table) -> str:
    """Write one table, as :func:`write_tables`."""
    return write_tables(folder, name, [table])


def content_digest(contents: Mapping[str, str]) -> str:
    """Return the store's digest from its chunks' names and content digests."""
    lines = (f"{name} {contents[name]}\n" for name in sorted(contents))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def stray_files(folder: Folder, *, chunks: Sequence[str]) -> list[str]:
    """Return the files that killed runs and older plans left in a store: partial files, chunks."""
    chunk_names = set(chunks)
    return [
        name for name in folder.files() if name not in chunk_names and _LEFTOVER.fullmatch(name)
    ]


def _seal(description: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def _no_description(folder: Folder, fault: str = "") -> ValueError:
    words = f" ({fault})" if fault else ""
    return ValueError(
        f"{folder.uri}/{DESCRIPTION}: not a store's description, or damaged{words}; delete it and "
        "run preprocess with the store's settings again: chunks that are whole are kept"
    )
