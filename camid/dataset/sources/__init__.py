"""Readers of data sets, and the catalogue: every file becomes a row of the manifest.

A reader derives a file's :class:`Placement` from its name below the data folder, and raises
``ValueError`` with the reason for a file that it cannot place. Only headers are opened.
"""

import posixpath
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Protocol, Union, overload

from camid.dataset.records import ImageRecord, rejected
from camid.dataset.sources import daxing, dresden, fodb, folders, socrates, table, vision
from camid.dataset.sources.placement import Placement
from camid.io.folder import Folder, absolute
from camid.io.images import SUFFIXES, header, quiet, unreadable_reason

__all__ = ["READERS", "FoundFile", "Placement", "Reader", "find_files", "read_headers"]

NUM_THREADS = 8
BATCH = 1024
RECORDED = ("width", "height", "orientation", "make", "model", "lens")
"""What of a header a record keeps."""


class Reader(Protocol):
    """Interface of a data set's module."""

    def is_named(self, name: str) -> bool:
        """Return whether a file below the data folder has a name that only this set has."""

    def place(self, name: str) -> Placement:
        """Return a file's placement, or raise ``ValueError`` with the reason."""


READERS: dict[str, Reader] = {
    "socrates": socrates,
    "vision": vision,
    "fodb": fodb,
    "dresden": dresden,
    "daxing": daxing,
}
"""Data sets by the name of their reader; ``images.reader`` in the configuration lists them too."""


OUTSIDE = "outside the table's folder; images.elsewhere=true allows it"
"""Why a file that a table names is not opened."""


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """A file of the data folder or table, and the function that places it."""

    image_id: str
    folder: Folder
    name: str
    place: Callable[[], Placement]
    refused: str = ""
    """Why it is not opened."""


class FoundFiles(Sequence[FoundFile]):
    """The files of a folder, each made on access."""

    def __init__(
        self, folder: Folder, names: Sequence[str], place: Callable[[str], Placement]
    ) -> None:
        """Hold names; ``place`` returns a name's placement."""
        self._folder, self._names, self._place = folder, names, place

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, at: int) -> FoundFile: ...
    @overload
    def __getitem__(self, at: slice) -> "FoundFiles": ...
    def __getitem__(self, at: int | slice) -> Union[FoundFile, "FoundFiles"]:
        if isinstance(at, slice):
            return FoundFiles(self._folder, self._names[at], self._place)
        name = self._names[at]
        place = partial(self._place, name)
        return FoundFile(image_id=name, folder=self._folder, name=name, place=place)


def find_files(data: str, *, reader: str = "auto", elsewhere: bool = False) -> Sequence[FoundFile]:
    """Return every file of ``data``, ordered by name, with the reader that places it.

    Parameters
    ----------
    data
        Path or address of a folder of photographs, or of a table of them.
    reader
        One of :data:`READERS`, ``folders``, ``table``, or ``auto``: a file is a table, a folder
        in which at least half of the photographs have a data set's names is that set, any other
        is sorted by device.
    elsewhere
        Whether a table may name files outside its folder. Its author decides what is opened, and on
        which server.

    Raises
    ------
    ValueError
        If ``data`` does not exist, is empty or is not a table.
    """
    root = Folder(absolute(data))
    try:
        missing = not root.exists()
    except (OSError, ValueError) as error:
        raise ValueError(f"{data}: cannot be reached: {error}") from None
    if missing:
        raise ValueError(f"{data}: no such folder or table; name your photographs with --data")
    if reader == "table" or (reader == "auto" and root.is_file()):
        return _listed(root, elsewhere=elsewhere)
    if root.is_file():
        raise ValueError(f"{data}: the reader {reader!r} expects a folder, got a file")
    names = root.files()
    if not names:
        raise ValueError(f"{data}: the folder is empty")
    if reader == "auto":
        reader = _recognised(names)
    place = READERS[reader].place if reader in READERS else partial(folders.place, root=root.name)
    return FoundFiles(root, names, place)


def read_headers(
    files: Sequence[FoundFile], *, min_side: int, max_megapixels: float
) -> Iterator[ImageRecord]:
    """Yield the manifest's record of every file, in order, opening headers only.

    A file that is no photograph, cannot be placed, is larger than ``max_megapixels`` or has a
    side shorter than ``min_side`` pixels is yielded as rejected with the reason.

    Raises
    ------
    ConnectionError
        If the server that holds the files is gone.
    """
    read = partial(_record, min_side=min_side, max_megapixels=max_megapixels)
    with quiet(), ThreadPoolExecutor(NUM_THREADS) as pool:
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            # Threads wait for remote headers together; for local ones they only cost.
            yield from map(read, batch) if batch[0].folder.is_local else pool.map(read, batch)


def _listed(file: Folder, *, elsewhere: bool) -> list[FoundFile]:
    """Return the files that a table names; relative paths start at the table's folder."""
    parent, _ = Folder.at(file.uri)
    files = []
    for path, columns in table.rows(file):
        is_absolute = path.startswith("/") or "://" in path
        is_outside = not elsewhere and _is_outside(path, parent)
        folder, name = Folder.at(path) if is_absolute and not is_outside else (parent, path)
        place, refused = partial(table.place, columns), OUTSIDE if is_outside else ""
        files.append(
            FoundFile(image_id=path, folder=folder, name=name, place=place, refused=refused)
        )
    if not files:
        raise ValueError(f"{file.uri}: the table is empty")
    return files


def _is_outside(path: str, folder: Folder) -> bool:
    """Return whether a path or an address that a table names is not below the table's folder."""
    if "://" in path:
        return not path.startswith(f"{folder.uri.rstrip('/')}/") or ".." in path.split("/")
    if not folder.is_local:
        return path.startswith("/") or ".." in path.split("/")
    base = posixpath.normpath(folder.local_path)
    return posixpath.commonpath([posixpath.normpath(posixpath.join(base, path)), base]) != base


def _recognised(names: Sequence[str]) -> str:
    """Return the data set whose names at least half of the photographs have, else ``folders``."""
    photographs = [name for name in names if f".{name.rsplit('.', 1)[-1].lower()}" in SUFFIXES]
    for reader, source in READERS.items():
        num_named = sum(map(source.is_named, photographs))
        if num_named > 0 and 2 * num_named >= len(photographs):
            return reader
    return "folders"


def _record(file: FoundFile, *, min_side: int, max_megapixels: float) -> ImageRecord:
    image_id = _utf8(file.image_id)
    record = ImageRecord(image_id=image_id, path=file.folder.address(_utf8(file.name)))
    try:
        if image_id != file.image_id:
            raise ValueError("its name is not UTF-8; rename it")
        if file.refused:
            raise ValueError(file.refused)
        size = file.folder.size(file.name)
        record = replace(record, bytes=size)
        if reason := unreadable_reason(file.name, size):
            raise ValueError(reason)
        placement = asdict(file.place())
        record = replace(record, **placement)
        with file.folder.open(file.name) as stream:
            head = header(stream, max_megapixels=max_megapixels)
        stated = {name: value for name, value in placement.items() if value}
        own = {name: getattr(head, name) for name in RECORDED}
        record = replace(record, **{**own, **stated})
        if min(head.width, head.height) < min_side:
            raise ValueError(
                f"{head.width}x{head.height} px is smaller than one strip of "
                f"{min_side}x{min_side} px"
            )
    except ConnectionError:
        raise  # not the file's fault
    except (ValueError, OSError) as error:
        return replace(record, status=rejected(str(error)))
    return record


def _utf8(name: str) -> str:
    """Return a name with bytes that are not UTF-8 escaped."""
    return name.encode("utf-8", "backslashreplace").decode()
