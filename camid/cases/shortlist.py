"""Which of many entries are worth a full test, by the signs of their patterns.

A pattern's digest is one bit a pixel: an eighth of the eighth-bit pattern's bytes, in which 2/π of
the energy of a match is left. Bayram, Sencar, Memon 2012, doi:10.1109/TIFS.2012.2192272. A query is
taken in four levels, which leave 0.88; so a PCE of 60 is a normal number of 5.8 here, and one of
1,000 strangers has 3.2. Digests are kept in a file a pixel size, which is read in pieces.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import IO, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from camid.cases.geometry import Plane
from camid.cases.hypotheses import Shape
from camid.cases.products import differing
from camid.folder import Folder

Words = NDArray[np.uint64]

LAYOUT = 1
"""Of what a digest is: another number where its bits would mean something else."""
MOST_SAMPLES = 2**24
"""Of a digest: of larger patterns the central rows are taken."""
PIECE = 2**25
"""Bytes of digests that are read at once."""
FOLDER = "digests"
STEP = 0.9957
"""Deviations at which a normal number's levels part: Max 1960, doi:10.1109/TIT.1960.1057548."""


class Enrolled(Protocol):
    """What is known of an entry."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def sha256s(self) -> Sequence[str]:
        """Of its photographs."""
        ...


E = TypeVar("E", bound=Enrolled)


class Gallery(Protocol[E]):
    """Entries and their patterns, cleaned and whitened, ``(height, width)`` float32."""

    def entries(self) -> Sequence[E]: ...  # noqa: D102
    def pattern(self, entry: E, /) -> Plane: ...  # noqa: D102


@dataclass(frozen=True)
class Named:
    """An entry of :class:`Patterns`: its device is its name."""

    name: str
    width: int
    height: int
    sha256s: tuple[str, ...]

    @property
    def device(self) -> str:
        """The name."""
        return self.name


class Patterns:
    """A gallery of patterns in memory, by name."""

    def __init__(self, patterns: Mapping[str, Plane]) -> None:
        self._patterns = dict(patterns)

    def entries(self) -> list[Named]:
        """Return an entry for each pattern; the digest of its bytes stands for photographs."""
        return [
            Named(
                name, plane.shape[1], plane.shape[0], (hashlib.sha256(plane.tobytes()).hexdigest(),)
            )
            for name, plane in self._patterns.items()
        ]

    def pattern(self, entry: Named, /) -> Plane:
        """Return the pattern of an entry."""
        return self._patterns[entry.name]


@dataclass(frozen=True)
class Sketches:
    """Queries in the shape of some entries, in four levels: −3, −1, 1 and 3."""

    words: Words
    """``(query and bit, word)``: a query's bits of 2, then its bits of 1."""
    norms: NDArray[np.float64]
    """Roots of the levels' squares, added up, ``(query,)``."""
    num_samples: int

    @classmethod
    def of(cls, planes: Sequence[Plane]) -> "Sketches":
        """Return those of planes in the shape of entries, ``(height, width)``; one at least."""
        words, norms = [], []
        for part in map(_centre, planes):
            high, large = part > 0, np.abs(part) > STEP * np.std(part, dtype=np.float64)
            words += [_packed(high), _packed(high == large)]
            norms.append(math.sqrt(part.size + 8 * np.count_nonzero(large)))
        return cls(np.stack(words), np.array(norms), part.size)

    def scores(self, row: Words) -> NDArray[np.float64]:
        """Return each query's correlation with a digest, ``(query,)``: if strangers, normal.

        Sums of integers: they are the same in any order.
        """
        high, low = differing(row, self.words).reshape(-1, 2).T
        return np.asarray((3 * self.num_samples - 4 * high - 2 * low) / self.norms)


def digest(pattern: Plane) -> Words:
    """Return the signs of a pattern ``(height, width)``, 64 in a word."""
    return _packed(_centre(pattern) > 0)


def by_shape(entries: Sequence[E]) -> dict[Shape, list[E]]:
    """Return entries by their height and width, both in order; those of a shape by name."""
    ordered = sorted(entries, key=lambda entry: (_shape(entry), entry.name))
    return {shape: list(some) for shape, some in groupby(ordered, key=_shape)}


def rows(
    gallery: Gallery[E], entries: Sequence[E], folder: Folder | None = None
) -> Iterator[tuple[E, Words]]:
    """Yield the digests of entries of one shape, in their order; a row is valid until the next.

    Of those that the folder has not, or not as they are, the pattern is read.
    """
    kept = _Kept.of(folder, _shape(entries[0])) if folder and entries else None
    try:
        for entry in entries:
            found = kept.row(entry_key(entry)) if kept else None
            yield entry, digest(gallery.pattern(entry)) if found is None else found
    finally:
        if kept:
            kept.file.close()


def refresh(gallery: Gallery[E], folder: Folder) -> None:
    """Write the digests of a gallery's entries below a folder, where they are not there yet.

    A file a shape, the same bytes for the same entries. Each is seen whole or not at all; the
    pattern of an entry whose digest is there is not read.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    shapes = by_shape(gallery.entries())
    for shape, entries in shapes.items():
        keys = [entry_key(entry) for entry in entries]
        kept = _Kept.of(folder, shape)
        if kept:
            kept.file.close()
            if list(kept.numbers) == keys:
                continue

        def fill(sink: IO[bytes], some: Sequence[E] = entries, known: Sequence[str] = keys) -> None:
            for number, (_, row) in enumerate(rows(gallery, some, folder)):
                if not number:
                    _write_header(sink, known, len(row))
                sink.write(row.astype("<u8").tobytes())

        folder.write(_file_name(shape), fill)
    for name in (folder / FOLDER).files():
        if f"{FOLDER}/{name}" not in map(_file_name, shapes):
            folder.delete(f"{FOLDER}/{name}")


def entry_key(entry: Enrolled) -> str:
    """Return a digest of what an entry's pattern is made of."""
    facts = [LAYOUT, entry.name, entry.width, entry.height, sorted(entry.sha256s)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@dataclass
class _Kept:
    """An open file of digests: their keys, then their words, two arrays as NumPy writes them."""

    file: IO[bytes]
    numbers: dict[str, int]
    num_words: int
    start: int
    first: int = 0
    piece: Words | None = None

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
                if (num_rows, size) == (len(keys), file.tell() + 8 * num_rows * num_words):
                    numbers = {key.decode(): number for number, key in enumerate(keys)}
                    return cls(file, numbers, num_words, file.tell())
            except (OSError, ValueError, TypeError, AttributeError):
                pass
            file.close()
        return None

    def row(self, key: str) -> Words | None:
        """Return the digest of a key, of a piece that is read from it on."""
        number = self.numbers.get(key)
        if number is None:
            return None
        if self.piece is None or not 0 <= number - self.first < len(self.piece):
            num_rows = min(max(1, PIECE // (8 * self.num_words)), len(self.numbers) - number)
            self.file.seek(self.start + 8 * self.num_words * number)
            self.first = number
            data = bytearray(self.file.read(8 * self.num_words * num_rows))
            self.piece = np.frombuffer(data, "<u8")
            self.piece = self.piece.reshape(num_rows, self.num_words)
        row: Words = self.piece[number - self.first]
        return row


def _write_header(sink: IO[bytes], keys: Sequence[str], num_words: int) -> None:
    np.lib.format.write_array(sink, np.array(keys, "S64"))
    shape: dict[str, Any] = {
        "descr": "<u8",
        "fortran_order": False,
        "shape": (len(keys), num_words),
    }
    np.lib.format.write_array_header_1_0(sink, shape)


def _file_name(shape: Shape) -> str:
    return f"{FOLDER}/{shape[1]}x{shape[0]}.bits"


def _shape(entry: Enrolled) -> Shape:
    return entry.height, entry.width


def _centre(plane: Plane) -> Plane:
    """Return the central rows of a plane, as many as a digest has samples for."""
    height, width = plane.shape
    num_rows = min(height, max(1, MOST_SAMPLES // width))
    top = (height - num_rows) // 2
    return plane[top : top + num_rows]


def _packed(bits: NDArray[np.bool_]) -> Words:
    """Return bits, 64 in a word, zeros at the end."""
    octets = np.packbits(bits, axis=None, bitorder="little")
    return np.pad(octets, (0, -len(octets) % 8)).view("<u8").astype(np.uint64, copy=False)
