"""Photographs that are gone, or have changed since a store was made of them."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import repeat

from camid.dataset.records import ImageRecord
from camid.io.folder import Folder, in_threads

GONE = "gone"
CHANGED = "changed since the store read it"

SLACK_SECONDS = 600
"""Seconds by which an unchanged photograph is older than its chunk's file.

It may have been written while the chunk was made, and clocks of two machines differ.
"""


def changes(records: Iterable[ImageRecord], *, made: Iterable[int] | None = None) -> Iterator[str]:
    """Yield each record's change since its photograph was read, or ``""`` if there is none.

    A photograph is hashed and compared with the record's ``sha256``; a photograph last touched well
    before its chunk was ``made``, nanoseconds since 1970, counts as unchanged.
    """
    return in_threads(_change, zip(records, repeat(0) if made is None else made, strict=False))


def _change(entry: tuple[ImageRecord, int]) -> str:
    record, made = entry
    folder, name = Folder.at(record.path)
    latest = made - SLACK_SECONDS * 10**9
    try:
        if latest > 0 and folder.changed(name) < latest:
            return ""
        with folder.open(name) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except ConnectionError:
        raise  # not the photograph's fault
    except FileNotFoundError:
        return GONE
    except OSError as error:
        return f"cannot be read: {error}"
    return "" if digest == record.sha256 else CHANGED
