"""Scoring queries against all patterns at once, against one normalised correlation a pair."""

import time

import numpy as np

from camid.matching import Moments, ncc, score_matrix

NUM_QUERIES, NUM_PATTERNS, NUM_STRIPS, SAMPLES = 16, 100, 9, 256 * 256


def moments(rows: np.ndarray) -> Moments:
    squares = np.einsum("rks,rks->rk", rows, rows, dtype=np.float64)
    return Moments(rows.sum(2, dtype=np.float64), squares, np.ones(rows.shape[:2], bool))


def main() -> None:
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((NUM_QUERIES, NUM_STRIPS, SAMPLES), np.float32)
    patterns = rng.standard_normal((NUM_PATTERNS, NUM_STRIPS, SAMPLES), np.float32)
    started = time.perf_counter()
    dots = np.zeros((NUM_QUERIES, NUM_PATTERNS))
    for strip in range(NUM_STRIPS):
        dots += queries[:, strip] @ patterns[:, strip].T
    found = score_matrix(dots, moments(queries), moments(patterns), samples=SAMPLES)
    ours = time.perf_counter() - started
    started = time.perf_counter()
    plain = np.array([[ncc(query, pattern) for pattern in patterns] for query in queries[:2]])
    loop = (time.perf_counter() - started) / 2 * NUM_QUERIES
    assert np.abs(found[:2] - plain).max() < 1e-5
    pairs = NUM_QUERIES * NUM_PATTERNS
    print(f"a pair at a time {pairs / loop:8.0f} comparisons/s of {NUM_STRIPS} strips")
    print(f"score matrix     {pairs / ours:8.0f} comparisons/s, {loop / ours:.0f} times as many")


if __name__ == "__main__":
    main()
