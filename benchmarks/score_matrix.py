"""Scores of all queries against all patterns at once, against one pair after the other.

The plain loop is what published code does for a pair: both planes' FFT, their product, its inverse,
and the peak's energy over that of the other lags, in double precision.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from camid.matching import ncc
from camid.methods import METHODS
from camid.methods.method import Array, Tile

NUM_QUERIES, NUM_PATTERNS, NUM_STRIPS, SIZE = 60, 60, 4, 256
NUM_PLAIN = 40
"""Pairs that the plain loop is timed with."""


def correlation_energy(a: Array, b: Array) -> float:
    """Return the peak-to-correlation energy at zero lag of two planes, by the whole correlation."""
    x, y = a - np.mean(a, dtype=np.float64), b - np.mean(b, dtype=np.float64)
    lags = np.fft.ifft2(np.fft.fft2(x) * np.conj(np.fft.fft2(y))).real
    return float(lags[0, 0] ** 2 / np.mean(lags**2))


PLAIN: dict[str, Callable[[Array, Array], float]] = {
    "lukas": ncc,
    "classical": correlation_energy,
    "pce": correlation_energy,
}
"""How a pair's strip is scored on its own."""


def matrix_seconds(name: str, queries: Array, patterns: Array, pairs: NDArray[np.int64]) -> float:
    """Return the seconds of a method's scores of all pairs, strip by strip."""
    method, started = METHODS[name], time.perf_counter()
    corners = np.zeros_like(pairs)
    sums = sum(
        method.evidence(Tile(patterns[:, strip], queries[:, strip], pairs, corners, SIZE))
        for strip in range(NUM_STRIPS)
    )
    assert np.isfinite(method.score(np.asarray(sums))).all()
    return time.perf_counter() - started


def loop_seconds(name: str, queries: Array, patterns: Array, pairs: NDArray[np.int64]) -> float:
    """Return the seconds of as many pairs, one after the other."""
    started = time.perf_counter()
    for pattern, query in pairs[:NUM_PLAIN].tolist():
        for strip in range(NUM_STRIPS):
            PLAIN[name](patterns[pattern, strip], queries[query, strip])
    return (time.perf_counter() - started) / NUM_PLAIN * len(pairs)


def main() -> None:
    rng = np.random.default_rng(1)
    shape = (NUM_STRIPS, SIZE, SIZE)
    queries = rng.standard_normal((NUM_QUERIES, *shape), np.float32)
    patterns = rng.standard_normal((NUM_PATTERNS, *shape), np.float32)
    pairs = np.stack(np.mgrid[:NUM_PATTERNS, :NUM_QUERIES], axis=-1).reshape(-1, 2)
    print(f"{len(pairs)} comparisons of {NUM_STRIPS} strips of {SIZE} px, a second")
    for name in PLAIN:
        ours = matrix_seconds(name, queries, patterns, pairs)
        plain = loop_seconds(name, queries, patterns, pairs)
        rates = f"one by one {len(pairs) / plain:6.0f}, together {len(pairs) / ours:8.0f}"
        print(f"{name:10} {rates}: {plain / ours:5.0f} times as many")


if __name__ == "__main__":
    main()
