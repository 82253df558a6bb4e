"""One image against many entries: ``python -m benchmarks.identify [entries] [width] [height]``.

The plain loop is what published code does: an entry's pattern is read and transformed, the product
with the query's transform in each turn is transformed back, and the highest PCE is taken; all in
single precision, on all cores. It is timed with a few entries and extrapolated. One of the
patterns, all of random numbers, is in the query, so weakly that its PCE is little above the
threshold, and both must find it alike. Digests are made once, when entries are enrolled.
"""

import argparse
import resource
import tempfile
import time

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import fft
from scipy.special import ndtri

from camid.casework.alignment import Plane
from camid.casework.binarized import Named
from camid.casework.digest_cache import refresh
from camid.casework.query import THRESHOLD
from camid.casework.search import identify
from camid.io.folder import Folder
from camid.prnu.correlation import PEAK_RADIUS

NUM_PLAIN = 10
"""Entries that the plain loop is timed with."""
PCE = 90.0
"""Of the planted pattern, about."""


class Drawn:
    """Patterns of eight-bit normal numbers, drawn when they are read, not decoded."""

    def __init__(self, num_entries: int, *, width: int, height: int) -> None:
        self._shape = (height, width)
        self._entries = [
            Named(f"{number:05}", width, height, (str(number),)) for number in range(num_entries)
        ]
        self._levels = ndtri((np.arange(256) + 0.5) / 256).astype(np.float32)

    def entries(self) -> list[Named]:
        return self._entries

    def pattern(self, entry: Named, /) -> Plane:
        rng = np.random.default_rng([int(entry.name), 1])
        octets = np.frombuffer(rng.bytes(self._shape[0] * self._shape[1]), np.uint8)
        return self._levels[octets].reshape(self._shape)


def plain_pce(queries: list[np.ndarray], pattern: Plane) -> float:
    """Return the highest PCE of queries' transforms with a pattern, of all lags."""
    found, side = [], 2 * PEAK_RADIUS + 1
    spectrum = fft.rfft2(pattern - pattern.mean(), workers=-1)
    for query in queries:
        lags = fft.irfft2(spectrum * np.conj(query), pattern.shape, workers=-1)
        row, column = np.unravel_index(int(np.argmax(lags)), lags.shape)
        peak = float(lags[row, column])
        places = np.arange(-PEAK_RADIUS, PEAK_RADIUS + 1)
        near = lags.take(row + places, 0, mode="wrap").take(column + places, 1, mode="wrap")
        far = np.square(lags).sum(dtype=np.float64) - np.square(near).sum(dtype=np.float64)
        found.append(np.sign(peak) * peak**2 / (far / (lags.size - side * side)))
    return max(found)


def peak_memory() -> float:
    """Return the most memory that the process has held so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entries", type=int, nargs="?", default=30)
    parser.add_argument("width", type=int, nargs="?", default=4000)
    parser.add_argument("height", type=int, nargs="?", default=3000)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        gallery, kept = Drawn(given.entries, width=given.width, height=given.height), Folder(folder)
        planted = gallery.entries()[given.entries // 2]
        pattern = gallery.pattern(planted)
        query = np.rot90(rng.standard_normal(pattern.shape, np.float32), 2)
        query += np.float32(np.sqrt(PCE / query.size)) * np.rot90(pattern, 2)
        started = time.perf_counter()
        refresh(gallery, kept)
        enrolling = time.perf_counter() - started
        small = query[:256, :256]
        identify(small, gallery, folder=kept, budget=1)  # loops are compiled
        times = []
        for _ in range(3):
            started = time.perf_counter()
            ranking = identify(query, gallery, folder=kept)
            times.append(time.perf_counter() - started)
        memory = peak_memory()

        few = [planted, *(entry for entry in gallery.entries() if entry != planted)][:NUM_PLAIN]
        started = time.perf_counter()
        turned = [np.rot90(query, turn) for turn in (0, 2)]
        spectra = [fft.rfft2(plane - plane.mean(), workers=-1) for plane in turned]
        energies = [plain_pce(spectra, gallery.pattern(entry)) for entry in few]
        plain = (time.perf_counter() - started) / len(few) * given.entries
    best, rank = ranking.candidates[0], int(np.argmax(energies))
    assert best.entry == planted.name == few[rank].name, (best, energies)
    assert best.pce >= THRESHOLD, best
    np.testing.assert_allclose(best.pce, energies[rank], rtol=1e-3)
    size = f"{given.width}x{given.height} px, {given.entries} entries, PCE {best.pce:.0f}"
    table = Table("one image", "seconds", title=f"Identification: {size}")
    table.add_row(f"plain loop, from {len(few)} entries", f"{plain:.1f}")
    table.add_row("identify()", f"{min(times):.2f}")
    table.add_row("ratio", f"{plain / min(times):.0f} ×")
    table.add_row("digests, once, an entry", f"{enrolling / given.entries:.2f}")
    Console().print(table)
    print(f"identify() held {memory:.2f} GB at most")


if __name__ == "__main__":
    main()
