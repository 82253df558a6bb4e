"""Files of digests: one a pixel size, which is read in pieces, each digest with a seal.

A digest that is not there, or not as it was written, is made of the entry's pattern.
"""

import hashlib
import io
import json
import os
import time
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from camid.casework.binarized import (
    E,
    Enrolled,
    Gallery,
    Words,
    by_shape,
    digest,
    num_digest_words,
    shape_of,
)
from camid.casework.transforms import Shape
from camid.io.folder import TEMPORARY, Folder
from camid.jit import compiled

LAYOUT = 2
"""Of what a digest and its seal are: another number where their bits would mean something else."""
PIECE = 2**25
"""Bytes of digests that are read at once."""
FOLDER = "digests"
SEAL = 4
"""Words of a digest's seal, which follow it in its file."""
ABANDONED = 24 * 3600
"""Seconds after which a file that nobody finished is taken for a dead one's."""


def rows(
    gallery: Gallery[E], entries: Sequence[E], folder: Folder | None = None
) -> Iterator[tuple[E, Words]]:
    """Yield the digests of entries of one shape, in their order; a row is valid until the next.

    Of those that the folder has not, or not as they were written, the pattern is read; an entry
    whose pattern cannot be read is left out. Where a digest is not as it was written, the folder
    is marked for :func:`refresh`.

    Raises
    ------
    ConnectionError
        If a server cannot be reached.
    """
    for entry, row in _rows(gallery, entries, folder):
        if row is not None:
            yield entry, row


def _rows(
    gallery: Gallery[E], entries: Sequence[E], folder: Folder | None
) -> Iterator[tuple[E, Words | None]]:
    """Yield what :func:`rows` does, and None for an entry whose pattern cannot be read."""
    kept = _Kept.of(folder, shape_of(entries[0])) if folder and entries else None
    is_worn = False
    try:
        for entry in entries:
            key = entry_key(entry)
            row = kept.row(key) if kept else None
            if row is None:
                row = _made(gallery, entry)
                is_worn |= row is not None and kept is not None and key in kept.numbers
            yield entry, row
    finally:
        if kept:
            kept.file.close()
        if folder and is_worn:
            with suppress(OSError):
                folder.write(_worn(shape_of(entries[0])), b"")


def _made(gallery: Gallery[E], entry: E) -> Words | None:
    """Return the digest of an entry's pattern, or None where that cannot be read."""
    try:
        return digest(gallery.pattern(entry))
    except ConnectionError:
        raise  # says nothing of the entry
    except (ValueError, OSError):
        return None


def refresh(gallery: Gallery[E], folder: Folder) -> str:
    """Write the digests of a gallery's entries below a folder, where they are not there yet.

    A file a shape, the same bytes for the same entries. Each is seen whole or not at all; the
    pattern of an entry whose digest is there is not read. An entry whose pattern cannot be read
    has a digest without a seal, for which the pattern is looked up again. Files of shapes that no
    entry has are deleted, and those that nobody finished within a day.

    Returns
    -------
    A sentence where digests cannot be kept, as on a disk that is full or may not be written, and
    nothing else. :func:`rows` does without them, from the patterns.

    Raises
    ------
    ConnectionError
        If a server cannot be reached.
    """
    shapes = by_shape(gallery.entries())
    try:
        for entries in shapes.values():
            _refresh(gallery, entries, folder)
    except ConnectionError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        return f"{folder.uri}: digests cannot be kept, so that questions take longer: {reason}"
    with suppress(OSError):  # what is left takes room alone
        _tidy(folder, shapes)
    return ""


def _refresh(gallery: Gallery[E], entries: Sequence[E], folder: Folder) -> None:
    """Write the file of one shape, if it is not there or a digest in it is not as it was."""
    shape, keys = shape_of(entries[0]), [entry_key(entry) for entry in entries]
    kept = _Kept.of(folder, shape)
    if kept:
        kept.file.close()
        if list(kept.numbers) == keys and not folder.exists(_worn(shape)):
            return

    def fill(sink: IO[bytes]) -> None:
        _write_header(sink, keys, num_digest_words(shape))
        for key, (_, row) in zip(keys, _rows(gallery, entries, folder), strict=True):
            words = np.zeros(num_digest_words(shape), np.uint64) if row is None else row
            seal = np.zeros(SEAL, np.uint64) if row is None else _seal(words, _start(key))
            for part in (words, seal):
                sink.write(part.astype("<u8").tobytes())

    folder.write(_file_name(shape), fill)
    folder.delete(_worn(shape))


def _tidy(folder: Folder, shapes: Mapping[Shape, Sequence[E]]) -> None:
    """Delete files of other shapes, and those that were not finished long ago."""
    own = [name(shape) for shape in shapes for name in (_file_name, _worn)]
    for name in (f"{FOLDER}/{name}" for name in (folder / FOLDER).files()):
        with suppress(FileNotFoundError):  # another may tidy too
            if name.endswith(TEMPORARY):
                is_left = time.time() - folder.modified(name) / 1e9 > ABANDONED
            else:
                is_left = name.endswith((".bits", ".worn")) and name not in own
            if is_left:
                folder.delete(name)


def entry_key(entry: Enrolled) -> str:
    """Return a digest of what an entry's pattern is made of."""
    facts = [LAYOUT, entry.name, entry.width, entry.height, sorted(entry.sha256s)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@dataclass
class _Kept:
    """An open file of digests: their keys, and words and seals, two arrays as NumPy writes them."""

    file: io.BufferedReader
    numbers: dict[str, int]
    num_words: int
    start: int
    first: int
    piece: Words

    @classmethod
    def of(cls, folder: Folder, shape: Shape) -> "_Kept | None":
        """Open the file of a shape; one that is missing, cut off or of another kind is None."""
        name = _file_name(shape)
        with suppress(OSError, ValueError):
            size, file = folder.size(name), folder.open(name)
            try:
                keys = np.lib.format.read_array(file).tolist()
                np.lib.format.read_magic(file)
                (num_rows, num_words), _, _ = np.lib.format.read_array_header_1_0(file)
                start = file.tell()
                if (num_rows, num_words, size) == (
                    len(keys),
                    num_digest_words(shape) + SEAL,
                    start + 8 * num_rows * num_words,
                ):
                    numbers = {key.decode(): number for number, key in enumerate(keys)}
                    empty = np.empty((0, num_words), np.uint64)
                    return cls(file, numbers, num_words, start, 0, empty)
            except (OSError, ValueError, TypeError, AttributeError, tokenize.TokenError):
                pass
            file.close()
        return None

    def row(self, key: str) -> Words | None:
        """Return the digest of a key, or None where it is not there as it was written."""
        number = self.numbers.get(key)
        if number is None:
            return None
        if not 0 <= number - self.first < len(self.piece):
            self._read(number)
        if number - self.first >= len(self.piece):
            return None
        row: Words = self.piece[number - self.first]
        words = row[:-SEAL]
        return words if (_seal(words, _start(key)) == row[-SEAL:]).all() else None

    def _read(self, number: int) -> None:
        """Read a piece, from a row on; it is empty where that fails."""
        num_rows = min(max(1, PIECE // (8 * self.num_words)), len(self.numbers) - number)
        piece = np.empty((num_rows, self.num_words), "<u8")
        num_read = 0
        try:
            self.file.seek(self.start + 8 * self.num_words * number)
            num_read = self.file.readinto(piece.view(np.uint8).data)
        except ConnectionError:
            raise
        except (OSError, ValueError):
            pass
        self.first, self.piece = number, piece[: num_read // (8 * self.num_words)]


def _write_header(sink: IO[bytes], keys: Sequence[str], num_words: int) -> None:
    np.lib.format.write_array(sink, np.array(keys, "S64"))
    shape: dict[str, Any] = {
        "descr": "<u8",
        "fortran_order": False,
        "shape": (len(keys), num_words + SEAL),
    }
    np.lib.format.write_array_header_1_0(sink, shape)


def _file_name(shape: Shape) -> str:
    return f"{FOLDER}/{shape[1]}x{shape[0]}.bits"


def _worn(shape: Shape) -> str:
    """Return the name of a file that is there where a digest was found to have changed."""
    return f"{FOLDER}/{shape[1]}x{shape[0]}.worn"


def _start(key: str) -> Words:
    """Return what a seal starts from: no digest passes for another entry's."""
    return np.frombuffer(bytearray.fromhex(key), "<u8").astype(np.uint64, copy=False)


@compiled
def _seal(words: Words, start: Words) -> Words:
    """Return four words that any change of a word changes, at the speed of memory.

    Each takes every fourth word, by the rounds of xxHash64 (github.com/Cyan4973/xxHash).
    """
    a, b, c, d = start[0], start[1], start[2], start[3]
    num_words = len(words)
    for i in range(0, num_words - 3, 4):
        a, b = _round(a, words[i]), _round(b, words[i + 1])
        c, d = _round(c, words[i + 2]), _round(d, words[i + 3])
    seal = np.array([a, b, c, d], np.uint64)
    for i in range(num_words // 4 * 4, num_words):
        seal[i % 4] = _round(seal[i % 4], words[i])
    return seal


@compiled
def _round(state: np.uint64, word: np.uint64) -> np.uint64:
    state += word * np.uint64(0xC2B2AE3D27D4EB4F)
    state = (state << np.uint64(31)) | (state >> np.uint64(33))
    return state * np.uint64(0x9E3779B185EBCA87)
