"""Folders on any file system pyarrow knows: local paths, mounts, ``s3://`` and ``gs://``."""

import errno
import io
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.fs as pafs

TEMPORARY = ".part"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of a disk that takes no more."""


def absolute(uri: str) -> str:
    """Return ``uri`` with a local path made absolute; addresses such as ``s3://…`` are kept."""
    if not uri:
        raise ValueError("expected a path or an address, got an empty string")
    if "://" in uri:
        base, mark, query = uri.partition("?")
        return f"{base.rstrip('/')}{mark}{query}"
    return os.path.abspath(Path(uri).expanduser())  # noqa: PTH100  (links are kept: mounts differ)


@lru_cache(maxsize=256)
def _filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return the file system of an address and the path on it; an S3 client is costly to make."""
    if "://" not in uri:
        return pafs.LocalFileSystem(), absolute(uri)
    filesystem, path = pafs.FileSystem.from_uri(uri)
    return filesystem, path


@dataclass(frozen=True)
class Folder:
    """A folder named by a path or an address; names inside it are relative, with ``/``."""

    uri: str

    @property
    def _place(self) -> tuple[pafs.FileSystem, str]:
        return _filesystem(self.uri)

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a mounted file system, where a rename is atomic."""
        return isinstance(self._place[0], pafs.LocalFileSystem)

    @property
    def local_path(self) -> str:
        """The folder's path on this machine; meaningful only if :attr:`is_local`."""
        return str(self._place[1])

    @property
    def name(self) -> str:
        """The last part of the folder's path."""
        return str(self._place[1]).rstrip("/").rsplit("/", 1)[-1]

    def __truediv__(self, name: str) -> "Folder":
        return Folder(self.address(name))

    def address(self, name: str) -> str:
        """Return the path or address of ``name`` in the folder; :meth:`at` takes it apart again.

        In an address the name is quoted, and stands before the query, if there is one.
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

    def exists(self, name: str = "") -> bool:
        """Return whether the folder, or the file or folder ``name`` in it, exists."""
        filesystem, path = self._path(name)
        return bool(filesystem.get_file_info(path).type != pafs.FileType.NotFound)

    def is_file(self) -> bool:
        """Return whether the address is a file's and not a folder's."""
        filesystem, path = self._place
        return bool(filesystem.get_file_info(path).type == pafs.FileType.File)

    def files(self) -> list[str]:
        """Return the name of every file below the folder, in order; links are followed.

        A name that is not UTF-8 has surrogates in it, as ``os.fsdecode`` makes them.
        """
        filesystem, path = self._place
        if self.is_local:
            return sorted(_local_files(path))
        selector = pafs.FileSelector(path, recursive=True, allow_not_found=True)
        return sorted(
            info.path[len(path) :].lstrip("/")
            for info in filesystem.get_file_info(selector)
            if info.type == pafs.FileType.File
        )

    def size(self, name: str = "") -> int:
        """Return the size of the file ``name`` in bytes.

        Raises
        ------
        ValueError
            If there is no such file.
        """
        filesystem, path = self._path(name)
        info = filesystem.get_file_info(path)
        if info.type != pafs.FileType.File:
            raise ValueError("no such file")
        return int(info.size)

    def read(self, name: str = "") -> bytes:
        """Return the bytes of the file ``name``."""
        filesystem, path = self._path(name)
        with filesystem.open_input_stream(path, compression=None) as stream:
            return bytes(stream.read())

    def open(self, name: str = "") -> io.BufferedReader:
        """Open the file ``name`` for reading at any place in it."""
        filesystem, path = self._path(name)
        return io.BufferedReader(filesystem.open_input_file(path))

    def write(self, name: str, write: bytes | Callable[[IO[bytes]], None]) -> None:
        """Write the file ``name`` so that it is seen whole or not at all.

        ``write`` is the content, or a function that writes it to the open file it is given. On a
        file system the content goes to a temporary name and is renamed when it is complete; on an
        object store it is collected and sent as one upload.

        Raises
        ------
        OSError
            If it cannot be written; a full disk is told in a sentence.
        """
        filesystem, path = self._path(name)
        fill = write if callable(write) else lambda sink: sink.write(write)
        filesystem.create_dir(path.rsplit("/", 1)[0], recursive=True)
        if not self.is_local:
            buffer = pa.BufferOutputStream()
            fill(buffer)
            with filesystem.open_output_stream(path) as stream:
                stream.write(buffer.getvalue())
            return
        temporary = Path(f"{path}.{uuid.uuid4().hex}{TEMPORARY}")
        try:
            with temporary.open("wb") as sink:
                fill(sink)
                sink.flush()
                os.fsync(sink.fileno())
            temporary.replace(path)
        except OSError as error:
            if error.errno not in FULL:
                raise
            reason = str(error.strerror).lower()
            raise OSError(f"{path}: cannot be written: {reason}; make room and run again") from None
        finally:
            temporary.unlink(missing_ok=True)

    def delete(self, name: str = "") -> None:
        """Delete the file or folder ``name``, or the folder itself; a missing one is no error."""
        filesystem, path = self._path(name)
        match filesystem.get_file_info(path).type:
            case pafs.FileType.Directory:
                filesystem.delete_dir(path)
            case pafs.FileType.File:
                filesystem.delete_file(path)


def _local_files(folder: str) -> Iterator[str]:
    """Yield the names of all files below a folder; a folder that links lead to twice comes once."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        below = os.path.relpath(place, folder)
        yield from (name if below == "." else f"{below}/{name}" for name in names)
