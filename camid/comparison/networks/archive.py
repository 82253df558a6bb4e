"""Members of a network's file, a zip archive that may be others' and made to deceive."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOST_BYTES = 2**31
"""Bytes of an archive's members together, unpacked, at most."""
MOST_JSON = 2**24
"""Bytes of a member of JSON at most."""


@contextmanager
def opened_archive(data: bytes) -> Iterator[zipfile.ZipFile]:
    """Open an archive in memory.

    Raises
    ------
    ValueError
        Here and where it is read, if the bytes are no archive, or its members too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > MOST_BYTES:
                raise ValueError(f"its members are of {size} bytes, unpacked")
            yield archive
    except (zipfile.BadZipFile, KeyError, OSError, EOFError, RuntimeError) as error:
        raise ValueError(str(error)) from None  # a RuntimeError for a member that is encrypted


def json_member(archive: zipfile.ZipFile, name: str) -> Any:
    """Return the value of a member of JSON.

    Raises
    ------
    ValueError
        If it holds none, or a large or deep one.
    KeyError
        If there is no such member.
    """
    if archive.getinfo(name).file_size > MOST_JSON:
        raise ValueError(f"{name} is of {archive.getinfo(name).file_size} bytes, unpacked")
    try:
        return json.loads(archive.read(name))
    except RecursionError:
        raise ValueError(f"{name} has lists within lists too deep") from None
