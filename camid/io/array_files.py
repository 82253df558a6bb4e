"""Arrays by name in one file: NumPy's ``.npz`` with its SHA-256 behind it, so that damage shows.

``numpy.load`` reads such a file too.
"""

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.io.escaping import one_line
from camid.io.folder import Folder

SEAL = hashlib.sha256().digest_size


def arrays_bytes(arrays: Mapping[str, Any]) -> bytes:
    """Return named arrays, of numbers or text, as one file."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    data = file.getvalue()
    return data + hashlib.sha256(data).digest()


def arrays_of(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the named arrays that a file holds.

    Raises
    ------
    ValueError
        If the file is not as it was written.
    """
    content, seal = memoryview(data)[:-SEAL], data[-SEAL:]
    if hashlib.sha256(content).digest() != seal:
        raise ValueError("not as it was written: its SHA-256 differs from the one it ends with")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:
        raise ValueError(f"holds no arrays: {one_line(error)}") from None


def kept_arrays(folder: Folder, name: str) -> dict[str, NDArray[Any]]:
    """Return the named arrays of the file ``name`` that a stopped run left.

    Raises
    ------
    ValueError
        If the file is not as it was written; it names the file and the remedy.
    """
    try:
        return arrays_of(folder.read(name))
    except ValueError as error:
        address = folder.address(name)
        raise ValueError(f"{address}: {error}; delete it and run again") from None
