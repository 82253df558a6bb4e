"""Compiled loops over planes of 10⁷ samples: products by cell, differing bits.

Sums are taken in one order whatever the number of threads, in double precision or as integers.
"""

import numpy as np
from numpy.typing import NDArray

from camid.jit import compiled

BLOCK = 4096
"""Words that stay in a core's cache while all queries are compared with them: 32 KiB."""


@compiled
def cell_products(a: NDArray[np.float32], b: NDArray[np.float32], cell: int) -> NDArray[np.float64]:
    """Return Σab, Σa² and Σb² of each cell of two planes ``(height, width)``.

    ``(row, column, sum)`` over cells of ``cell`` × ``cell`` samples from the top left; the last
    ones are smaller where the planes end.
    """
    height, width = a.shape
    sums = np.zeros((-(-height // cell), -(-width // cell), 3))
    for y in range(height):
        for column in range(sums.shape[1]):
            ab, aa, bb = 0.0, 0.0, 0.0
            for x in range(column * cell, min(width, (column + 1) * cell)):
                p, q = np.float64(a[y, x]), np.float64(b[y, x])
                ab += p * q
                aa += p * p
                bb += q * q
            sums[y // cell, column, 0] += ab
            sums[y // cell, column, 1] += aa
            sums[y // cell, column, 2] += bb
    return sums


@compiled
def differing(row: NDArray[np.uint64], queries: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count the bits that differ between a row ``(word,)`` and each of ``(query, word)``."""
    num_queries, num_words = queries.shape
    counts = np.zeros(num_queries, np.int64)
    for start in range(0, num_words, BLOCK):
        stop = min(num_words, start + BLOCK)
        for query in range(num_queries):
            other, count = queries[query], np.uint64(0)
            for i in range(start, stop):
                count += _ones(row[i] ^ other[i])
            counts[query] += np.int64(count)
    return counts


@compiled
def _ones(word: np.uint64) -> np.uint64:
    """Return the number of set bits, in a form that compilers turn into one instruction."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)
