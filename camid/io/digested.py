"""Files that are read back only as they were written: each has its digest in a file beside it.

The digest of ``out/results.json`` is in ``out/.sha256/results.json``, in the format of
``sha256sum``, whose ``-c`` checks it too.
"""

import hashlib
import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from camid.io.escaping import one_line
from camid.io.folder import Folder

T = TypeVar("T")

ATTEMPTS = 5
"""Times that a file and its digest are read before they are told to differ."""

DIGESTS = ".sha256"
"""Folder of the digests."""


def write_digested(folder: Folder, name: str, data: bytes) -> None:
    """Write the file ``name`` and its digest.

    A run that is killed between the two leaves the file as it was or as it shall be; either is
    read, as the digests of both are kept meanwhile.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    place, line = _place(name), f"{hashlib.sha256(data).hexdigest()}  {name}\n"
    old = folder.read(place).decode("ascii", "replace") if folder.exists(place) else ""
    earlier = old.splitlines(keepends=True)[-1:] if folder.exists(name) else []
    folder.write(place, "".join([*earlier, line]).encode())
    folder.write(name, data)
    if earlier:
        folder.write(place, line.encode())


def read_digested(folder: Folder, name: str) -> bytes:
    """Return the bytes of the file ``name``.

    Raises
    ------
    ValueError
        If it is not as it was written.
    FileNotFoundError
        If there is no such file.
    """
    for _ in range(ATTEMPTS):  # others may write it meanwhile: then a digest is before or behind
        before = _lines(folder, name)
        data = folder.read(name)
        if f"{hashlib.sha256(data).hexdigest()}  {name}" in {*before, *_lines(folder, name)}:
            return data
    reason = "its SHA-256 differs from the one" if before else "no SHA-256 of it is"
    raise damaged(folder, name, f"{reason} in {DIGESTS}")


def _lines(folder: Folder, name: str) -> list[str]:
    place = _place(name)
    return (
        folder.read(place).decode("ascii", "replace").splitlines() if folder.exists(place) else []
    )


def write_json(folder: Folder, name: str, value: Any) -> None:
    """Write a value as the JSON file ``name``, with its digest.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    write_digested(folder, name, (json.dumps(value, indent=2) + "\n").encode())


def read_json(folder: Folder, name: str, kind: type[T]) -> T:
    """Return the value of the JSON file ``name``.

    Parameters
    ----------
    kind
        The type of the value: of built-in types, or a data class.

    Raises
    ------
    ValueError
        If the file is not as it was written, or holds a value of another type.
    FileNotFoundError
        If there is no such file.
    """
    data = read_digested(folder, name)
    try:
        return TypeAdapter(kind).validate_json(data)
    except ValidationError as error:
        raise damaged(folder, name, first_fault(error)) from None


def first_fault(error: ValidationError) -> str:
    """Return where a value first differs from its type, and how."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return one_line(ValueError(": ".join(filter(None, (where, first["msg"])))))


def damaged(folder: Folder, name: str, reason: str) -> ValueError:
    """Return the error of a file that is not as it was written."""
    return ValueError(
        f"{folder.address(name)}: not as it was written: {reason}; delete it and results.json, and "
        "run again, or begin anew with --fresh"
    )


def _place(name: str) -> str:
    return f"{DIGESTS}/{name}"
