"""Scores of all queries against all patterns at once, against one pair after the other.

The plain loop is what published code does for a pair: both planes' FFT, their product, its inverse,
and the energies of the lags, in double precision. Both are on one core.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from camid.comparison.methods import METHODS
from camid.comparison.methods.method import Array, Tile
from camid.prnu.correlation import PEAK_RADIUS, ncc

Pairs = NDArray[np.int64]

NUM_QUERIES, NUM_PATTERNS, NUM_STRIPS, SIZE = 60, 60, 4, 256
NUM_PLAIN = 40
"""Pairs that the plain loop is timed with."""


def correlation(a: Array, b: Array) -> NDArray[np.float64]:
    """Return the correlation of two planes at all circular lags, ``(height, width)``."""
    x, y = a - np.mean(a, dtype=np.float64), b - np.mean(b, dtype=np.float64)
    return np.fft.ifft2(np.fft.fft2(x) * np.conj(np.fft.fft2(y))).real


def plain_classical(a: Array, b: Array) -> float:
    lags = correlation(a, b)
    return float(lags[0, 0] / np.sqrt(np.mean(lags.ravel()[1:] ** 2)))


def plain_pce(a: Array, b: Array) -> float:
    side = 2 * PEAK_RADIUS + 1
    lags = np.roll(correlation(a, b), (PEAK_RADIUS, PEAK_RADIUS), axis=(0, 1))
    near = lags[:side, :side]
    far = (np.sum(lags**2) - np.sum(near**2)) / (lags.size - near.size)
    return float(np.sign(near.max()) * near.max() ** 2 / far)


PLAIN: dict[str, Callable[[Array, Array], float]] = {
    "lukas": ncc,
    "classical": plain_classical,
    "pce": plain_pce,
}
"""How a pair's strip is scored on its own."""


def together(name: str, patterns: Array, queries: Array, pairs: Pairs) -> tuple[Array, float]:
    """Return a method's scores of all pairs strip by strip ``(strip, pair)``, and the seconds."""
    method, corners, started = METHODS[name], np.zeros_like(pairs), time.perf_counter()
    scores = [
        method.score(method.evidence(Tile(first, second, pairs, corners, SIZE)))
        for first, second in zip(patterns, queries, strict=True)
    ]
    return np.array(scores), time.perf_counter() - started


def one_by_one(name: str, patterns: Array, queries: Array, pairs: Pairs) -> tuple[Array, float]:
    """Return the scores of the first pairs, and the seconds that all would take."""
    plain, started = PLAIN[name], time.perf_counter()
    scores = [
        [plain(first[pattern], second[query]) for pattern, query in pairs[:NUM_PLAIN].tolist()]
        for first, second in zip(patterns, queries, strict=True)
    ]
    return np.array(scores), (time.perf_counter() - started) / NUM_PLAIN * len(pairs)


def main() -> None:
    rng = np.random.default_rng(1)
    patterns = rng.standard_normal((NUM_STRIPS, NUM_PATTERNS, SIZE, SIZE), np.float32)
    queries = rng.standard_normal((NUM_STRIPS, NUM_QUERIES, SIZE, SIZE), np.float32)
    queries += np.float32(0.05) * patterns[:, :1]  # the first pattern is in all: there is a peak
    pairs = np.stack(np.mgrid[:NUM_PATTERNS, :NUM_QUERIES], axis=-1).reshape(-1, 2)
    print(f"{len(pairs)} comparisons of {NUM_STRIPS} strips of {SIZE} px, a second of one core")
    for name in PLAIN:
        with threadpool_limits(1):
            found, ours = together(name, patterns, queries, pairs)
            expected, plain = one_by_one(name, patterns, queries, pairs)
        np.testing.assert_allclose(found[:, :NUM_PLAIN], expected, rtol=1e-3)
        rates = f"one by one {len(pairs) / plain:6.0f}, together {len(pairs) / ours:8.0f}"
        print(f"{name:10} {rates}: {plain / ours:5.0f} times as many")


if __name__ == "__main__":
    main()
