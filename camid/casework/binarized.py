"""Shortlist of entries for a full test, by the signs of their binarised fingerprints.

A pattern's digest is one bit a pixel: an eighth of the eighth-bit pattern's bytes, which
keeps 2/π of the energy of a match. Bayram, Sencar, Memon 2012, doi:10.1109/TIFS.2012.2192272. A
query has four levels, which keep 0.88; so a PCE of 60 is a normal number of 5.8 here, and one of
1,000 strangers has 3.2.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from camid.casework.alignment import Plane
from camid.casework.kernels import differing
from camid.casework.transforms import Shape

Words = NDArray[np.uint64]

MOST_SAMPLES = 2**24
"""Samples of a digest at most: the central rows of larger patterns."""
STEP = 0.9957
"""Deviations at which a normal number changes level: Max 1960, doi:10.1109/TIT.1960.1057548."""


class Enrolled(Protocol):
    """An enrolled device's entry, as the shortlist reads it."""

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
        """Digests of its photographs' files."""
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
        """Return an entry for each pattern, with a digest of its bytes as its photograph's."""
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
    """Queries in one shape of entries, in four levels: −3, −1, 1 and 3."""

    words: Words
    """``(query and bit, word)``: a query's bits of 2, then its bits of 1."""
    norms: NDArray[np.float64]
    """Euclidean norms of the levels, ``(query,)``."""
    num_samples: int

    @classmethod
    def of(cls, planes: Sequence[Plane]) -> "Sketches":
        """Return the sketches of one or more planes ``(height, width)`` in the entries' shape."""
        words, norms = [], []
        for centre in map(_centre, planes):
            high, large = centre > 0, np.abs(centre) > STEP * np.std(centre, dtype=np.float64)
            words += [_packed(high), _packed(high == large)]
            norms.append(math.sqrt(centre.size + 8 * np.count_nonzero(large)))
        return cls(np.stack(words), np.array(norms), centre.size)

    def scores(self, row: Words) -> NDArray[np.float64]:
        """Return each query's correlation with a digest, ``(query,)``: normal among strangers.

        Sums of integers, the same in any order.
        """
        high, low = differing(row, self.words).reshape(-1, 2).T
        return np.asarray((3 * self.num_samples - 4 * high - 2 * low) / self.norms)


def digest(pattern: Plane) -> Words:
    """Return the signs of a pattern ``(height, width)``, 64 to a word."""
    return _packed(_centre(pattern) > 0)


def by_shape(entries: Sequence[E]) -> dict[Shape, list[E]]:
    """Return entries by height and width, in order, and by name within a shape."""
    ordered = sorted(entries, key=lambda entry: (shape_of(entry), entry.name))
    return {shape: list(group) for shape, group in groupby(ordered, key=shape_of)}


def shape_of(entry: Enrolled) -> Shape:
    """Return an entry's height and width."""
    return entry.height, entry.width


def _centre(plane: Plane) -> Plane:
    """Return the central rows of a plane, as many as a digest has samples for."""
    height, width = plane.shape
    num_rows = _num_rows(height, width)
    top = (height - num_rows) // 2
    return plane[top : top + num_rows]


def _num_rows(height: int, width: int) -> int:
    return min(height, max(1, MOST_SAMPLES // width))


def num_digest_words(shape: Shape) -> int:
    """Return the number of words of a pattern's digest."""
    return -(-_num_rows(*shape) * shape[1] // 64)


def _packed(bits: NDArray[np.bool_]) -> Words:
    """Return bits packed 64 to a word, with zeros at the end."""
    octets = np.packbits(bits, axis=None, bitorder="little")
    return np.pad(octets, (0, -len(octets) % 8)).view("<u8").astype(np.uint64, copy=False)
