"""Lock of a folder: one run writes there at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from camid.io.folder import Folder

LOCK = ".lock"


@contextmanager
def locked(folder: Folder, *, what: str) -> Iterator[None]:
    """Make a folder and hold its lock, where the file system has locks; object stores have none.

    A dead run's lock is free.

    Parameters
    ----------
    what
        What the run writes there, for the message to another.

    Raises
    ------
    ValueError
        If another run holds the lock.
    OSError
        If the folder cannot be made.
    """
    folder.make()
    if not folder.is_local:
        yield
        return
    try:
        with FileLock(Path(folder.local_path) / LOCK, timeout=0):
            yield
    except Timeout:
        raise ValueError(f"{folder.uri}: another run is writing {what}; wait for it") from None
