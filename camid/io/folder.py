"""Folders on any file system pyarrow knows: local paths, mounts, ``s3://`` and ``gs://``."""

import errno
import io
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote, unquote

import pyarrow.fs as pafs

from camid.io.filesystems import (
    BUCKETS,
    RemoteFile,
    absolute,
    answered,
    filesystem_of,
    patiently,
    upload,
)

__all__ = ["FULL", "MARK", "TEMPORARY", "Folder", "absolute", "endless_reason", "in_threads"]

T = TypeVar("T")
R = TypeVar("R")

TEMPORARY = ".part"
MARK = ".camid-seen-by-all-"
"""Prefix of the file by which machines check that they see the same folder."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of a full disk."""

STEADY = 2**25
"""Bytes after which written data are synced to the disk."""
NUM_THREADS = 8
BATCH = 1024


def endless_reason(path: str | Path) -> str:
    """Return why what is at a path, its links followed, may have no end; empty for files.

    Raises
    ------
    OSError
        If nothing is there.
    """
    mode = Path(path).stat().st_mode
    is_file = stat.S_ISREG(mode) or stat.S_ISDIR(mode)  # a folder is left to who opens it
    return "" if is_file else "not a regular file, but a pipe, a socket or a device"


def in_threads(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield ``work(item)`` for every item, in order; threads wait for storage together."""
    remaining = iter(items)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        while batch := list(islice(remaining, BATCH)):
            yield from pool.map(work, batch)


@dataclass(frozen=True)
class Folder:
    """A folder named by a path or an address; names inside it are relative, with ``/``."""

    uri: str
    is_private: bool = False
    """Whether what is made in it on a file system is for the user alone, whatever the umask."""

    @property
    def _place(self) -> tuple[pafs.FileSystem, str]:
        return filesystem_of(self.uri)

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a mounted file system, where a rename is atomic."""
        return isinstance(self._place[0], pafs.LocalFileSystem)

    @property
    def _has_buckets(self) -> bool:
        return self.uri.partition("://")[0] in BUCKETS

    @property
    def local_path(self) -> str:
        """The folder's path on this machine; meaningful only if :attr:`is_local`."""
        return str(self._place[1])

    @property
    def name(self) -> str:
        """The last part of the folder's path."""
        return str(self._place[1]).rstrip("/").rsplit("/", 1)[-1]

    def __truediv__(self, name: str) -> "Folder":
        return Folder(self.address(name), is_private=self.is_private)

    def address(self, name: str) -> str:
        """Return the path or address of ``name`` in the folder; :meth:`at` takes it apart again.

        In an address the name is quoted, and stands before any query.
        """
        if "://" not in self.uri:
            return f"{self.uri.rstrip('/')}/{name}"
        base, mark, query = self.uri.partition("?")
        return f"{base.rstrip('/')}/{quote(name)}{mark}{query}"

    @classmethod
    def at(cls, address: str) -> tuple["Folder", str]:
        """Return the folder and the name of the file at a path or address."""
        base, mark, query = address.partition("?") if "://" in address else (address, "", "")
        folder, _, name = base.rpartition("/")
        if "://" not in address:
            return cls(folder or "/"), name
        return cls(f"{folder}{mark}{query}"), unquote(name)

    def _path(self, name: str) -> tuple[pafs.FileSystem, str]:
        filesystem, path = self._place
        return filesystem, f"{path}/{name}" if name else path

    def _info(self, name: str) -> pafs.FileInfo:
        filesystem, path = self._path(name)
        return patiently(self.uri, lambda: filesystem.get_file_info(path))

    def make(self) -> None:
        """Make the folder, if it is missing and its file system has folders.

        Raises
        ------
        OSError
            If it cannot be made; its bucket must be there.
        """
        if self.is_local:
            self._make(Path(self.local_path))
            return
        filesystem, path = self._place
        bucket = path.partition("/")[0]
        with answered(self.uri):
            if not self._has_buckets:
                filesystem.create_dir(path, recursive=True)
            elif filesystem.get_file_info(bucket).type == pafs.FileType.NotFound:
                raise FileNotFoundError(f"Bucket {bucket!r} not found")

    def exists(self, name: str = "") -> bool:
        """Return whether the folder, or the file or folder ``name`` in it, exists."""
        return bool(self._info(name).type != pafs.FileType.NotFound)

    def is_file(self) -> bool:
        """Return whether the address is a file's and not a folder's."""
        return bool(self._info("").type == pafs.FileType.File)

    def files(self) -> list[str]:
        """Return the name of every file below the folder, in order; links are followed.

        A name that is not UTF-8 has surrogates in it, as ``os.fsdecode`` makes them. A folder that
        cannot be listed stands for its files.
        """
        filesystem, path = self._place
        if self.is_local:
            return sorted(_local_files(path))
        selector = pafs.FileSelector(path, recursive=True, allow_not_found=True)
        infos = patiently(self.uri, lambda: filesystem.get_file_info(selector))
        return sorted(
            info.path[len(path) :].lstrip("/") for info in infos if info.type == pafs.FileType.File
        )

    def size(self, name: str = "") -> int:
        """Return the size of the file ``name`` in bytes.

        Raises
        ------
        ValueError
            If there is no such file.
        """
        info = self._info(name)
        if info.type == pafs.FileType.Directory:
            raise ValueError("a folder where a file is expected; see its permissions")
        if info.type != pafs.FileType.File:
            raise ValueError("no such file")
        return int(info.size)

    def modified(self, name: str = "") -> int:
        """Return when the file ``name`` was last written, in nanoseconds since 1970.

        Raises
        ------
        OSError
            If there is no such file.
        """
        when = self._info(name).mtime_ns
        if when is None:
            raise FileNotFoundError(f"{self.address(name)}: no such file")
        return int(when)

    def changed(self, name: str = "") -> int:
        """Return when the file ``name`` was last written, renamed or touched, as :meth:`modified`.

        On a mounted file system no program can set that time back.
        """
        if not self.is_local:
            return self.modified(name)
        status = Path(self._path(name)[1]).stat()
        return max(status.st_mtime_ns, status.st_ctime_ns)

    def read(self, name: str = "") -> bytes:
        """Return the bytes of the file ``name``.

        Raises
        ------
        OSError
            If it is missing, or no regular file: a pipe or a device may give no end of bytes.
        """
        filesystem, path = self._path(name)
        if self.is_local and (reason := endless_reason(path)):
            raise OSError(f"{path}: {reason}")

        def read() -> bytes:
            with filesystem.open_input_stream(path, compression=None) as stream:
                return bytes(stream.read())

        return patiently(self.address(name), read)

    def open(self, name: str = "") -> io.BufferedReader:
        """Open the file ``name`` for reading at any place in it.

        Closing the file raises a server's earlier failure again.

        Raises
        ------
        OSError
            If it is missing or no regular file.
        """
        filesystem, path = self._path(name)
        if self.is_local and (reason := endless_reason(path)):
            raise OSError(f"{path}: {reason}")
        address = self.address(name)
        file = patiently(address, lambda: filesystem.open_input_file(path))
        return io.BufferedReader(file if self.is_local else RemoteFile(file, address))

    def write(self, name: str, write: bytes | Callable[[IO[bytes]], None]) -> None:
        """Write the file ``name`` so that it is seen whole or not at all.

        ``write`` is the content, or a function that writes it to the open file it is given, which
        can be read back too. On a file system the content goes to a temporary name in the same
        folder and is renamed when it is complete; on an object store it is collected and sent as
        one upload, which the store shows when it is complete.

        Raises
        ------
        OSError
            If the file cannot be written; in a sentence if the disk is full.
        """
        filesystem, path = self._path(name)
        fill = write if callable(write) else lambda sink: sink.write(write)
        if self.is_local:
            self._make(Path(path).parent)
        elif not self._has_buckets:
            filesystem.create_dir(path.rsplit("/", 1)[0], recursive=True)
        if not self.is_local:
            content = io.BytesIO()
            fill(content)
            upload(filesystem, path, content, address=self.address(name))
            return
        temporary = Path(f"{path}.{uuid.uuid4().hex}{TEMPORARY}")
        try:
            with _Steady(temporary, is_private=self.is_private) as sink:
                fill(sink)
            temporary.replace(path)
        except OSError as error:
            if error.errno not in FULL:
                raise
            reason = str(error.strerror).lower()
            raise OSError(f"{path}: cannot be written: {reason}; make room and run again") from None
        finally:
            temporary.unlink(missing_ok=True)

    def _make(self, place: Path) -> None:
        """Make a folder and those above it that are missing."""
        if not self.is_private:
            place.mkdir(parents=True, exist_ok=True)
        elif not place.is_dir():
            self._make(place.parent)
            place.mkdir(mode=0o700, exist_ok=True)

    def delete(self, name: str = "") -> None:
        """Delete the file or folder ``name``, or the folder itself; ignore if it is missing.

        A link is deleted, and nothing that lies behind one.

        Raises
        ------
        OSError
            If the file cannot be deleted, or lies behind a link within the folder.
        """
        if self.is_local:
            _delete(Path(self.local_path), name)
            return
        filesystem, path = self._path(name)
        kind = self._info(name).type
        with suppress(FileNotFoundError), answered(self.address(name)):
            match kind:
                case pafs.FileType.Directory:
                    filesystem.delete_dir(path)
                case pafs.FileType.File:
                    filesystem.delete_file(path)


def _delete(folder: Path, name: str) -> None:
    place = folder
    for part in Path(name).parts[:-1]:
        place /= part
        if place.is_symlink():
            raise OSError(f"{place}: a link, and nothing that lies behind it is deleted")
    path = folder / name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class _Steady(io.BufferedRandom):
    """A new file that is synced to the disk while it is written, and wholly when it is closed."""

    def __init__(self, path: Path, *, is_private: bool) -> None:
        mode = 0o600 if is_private else 0o666
        super().__init__(
            io.FileIO(path, "w+", opener=lambda name, flags: os.open(name, flags, mode))
        )
        self._disk = ThreadPoolExecutor(1)
        self._syncs: list[Future[None]] = []
        self._num_unsynced = 0

    def write(self, data: Any) -> int:
        count = super().write(data)
        self._num_unsynced += count
        if self._num_unsynced >= STEADY:
            self._num_unsynced = 0
            self._syncs.append(self._disk.submit(os.fdatasync, self.fileno()))
        return count

    def close(self) -> None:
        if not self.closed:
            try:
                for sync in self._syncs:
                    sync.result()
                self.flush()
                os.fsync(self.fileno())
            finally:
                self._disk.shutdown()
                super().close()


def _local_files(folder: str) -> Iterator[str]:
    """Yield the names of all files below a folder; a folder that is linked twice comes once."""
    seen: set[str] = set()
    unlisted: list[str] = []

    def note(error: OSError) -> None:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            unlisted.append(os.path.relpath(error.filename, folder))

    for place, folders, names in os.walk(folder, followlinks=True, onerror=note):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        below = os.path.relpath(place, folder)
        yield from (name if below == "." else f"{below}/{name}" for name in names)
    yield from unlisted
