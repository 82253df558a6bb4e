"""Files of digests: one per pixel size, read in pieces; each digest has a seal.

A missing or damaged digest is computed from the entry's pattern.
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
"""Version of digests and their seals, which changes with the meaning of their bits."""
PIECE = 2**25
"""Bytes of digests that are read at once."""
FOLDER = "digests"
SEAL = 4
"""Words of a digest's seal, which follows the digest in its file."""
ABANDONED = 24 * 3600
"""Seconds after which an unfinished file is taken for a dead process's."""


def rows(
    gallery: Gallery[E], entries: Sequence[E], folder: Folder | None = None
) -> Iterator[tuple[E, Words]]:
    """Yield the digests of entries of one shape, in their order; a row is valid until the next.

    For missing or damaged digests the pattern is read; an entry whose pattern cannot be read is
    left out. A damaged digest marks the folder for :func:`refresh`.

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
    """Yield entries and their digests, None for an entry whose pattern cannot be read."""
    cache = _Kept.of(folder, shape_of(entries[0])) if folder and entries else None
    is_worn = False
    try:
        for entry in entries:
            key = entry_key(entry)
            row = cache.row(key) if cache else None
            if row is None:
                row = _made(gallery, entry)
                is_worn |= row is not None and cache is not None and key in cache.numbers
            yield entry, row
    finally:
        if cache:
            cache.file.close()
        if folder and is_worn:
            with suppress(OSError):
                folder.write(_worn(shape_of(entries[0])), b"")


def _made(gallery: Gallery[E], entry: E) -> Words | None:
    """Return the digest of an entry's pattern, or None if the pattern cannot be read."""
    try:
        return digest(gallery.pattern(entry))
    except ConnectionError:
        raise  # the entry may be sound
    except (ValueError, OSError):
        return None


def refresh(gallery: Gallery[E], folder: Folder) -> str:
    """Write the missing digests of a gallery's entries below a folder.

    One file per shape, written whole or not at all, with the same bytes for the same entries.
    Patterns are read for missing digests only. An entry whose pattern cannot be read has a digest
    without a seal, for which the pattern is read again. Files of shapes that no entry has are
    deleted, and files that are unfinished after a day.

    Returns
    -------
    A sentence if digests cannot be written, as on a full or read-only disk, else an empty string.
    :func:`rows` then reads the patterns.

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
    with suppress(OSError):  # leftover files only take up space
        _tidy(folder, shapes)
    return ""


def _refresh(gallery: Gallery[E], entries: Sequence[E], folder: Folder) -> None:
    """Write the file of one shape, if the file is missing or outdated, or a digest damaged."""
    shape, keys = shape_of(entries[0]), [entry_key(entry) for entry in entries]
    cache = _Kept.of(folder, shape)
    if cache:
        cache.file.close()
        if list(cache.numbers) == keys and not folder.exists(_worn(shape)):
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
    """Delete files of other shapes, and abandoned unfinished files."""
    current = [name_of(shape) for shape in shapes for name_of in (_file_name, _worn)]
    for name in (f"{FOLDER}/{name}" for name in (folder / FOLDER).files()):
        with suppress(FileNotFoundError):  # another process may tidy too
            if name.endswith(TEMPORARY):
                is_stale = time.time() - folder.modified(name) / 1e9 > ABANDONED
            else:
                is_stale = name.endswith((".bits", ".worn")) and name not in current
            if is_stale:
                folder.delete(name)


def entry_key(entry: Enrolled) -> str:
    """Return a digest of an entry's name, size and photographs."""
    facts = [LAYOUT, entry.name, entry.width, entry.height, sorted(entry.sha256s)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@dataclass
class _Kept:
    """An open file of digests: two arrays in NumPy's format, keys, then words and seals."""

    file: io.BufferedReader
    numbers: dict[str, int]
    num_words: int
    start: int
    first: int
    piece: Words

    @classmethod
    def of(cls, folder: Folder, shape: Shape) -> "_Kept | None":
        """Open the file of a shape; None if the file is missing, truncated or of another format."""
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
        """Return the digest of a key, or None if the digest is missing or damaged."""
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
        """Read a piece, from a row on; the piece is empty if reading fails."""
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
    """Return the name of the file that marks a shape with a damaged digest."""
    return f"{FOLDER}/{shape[1]}x{shape[0]}.worn"


def _start(key: str) -> Words:
    """Return the first state of a key's seal, so that no digest passes for another entry's."""
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
