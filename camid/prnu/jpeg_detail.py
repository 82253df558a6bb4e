"""Detail that JPEG kept: what its rounding took from a photograph is no longer in its noise."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.stats import norm

from camid.prnu.cleaning import JPEG_BLOCK

KEPT = 1.0
"""Grey levels from which a coefficient of a block was not rounded away."""
MOST_BLOCKS = 2**14
"""Blocks of a photograph that are looked at, spread over all of it."""
LEAST = 1e-9
"""Share of a coefficient's values of which the limits are finite."""
CLIPPED = 8
"""Grey levels from black, and from white, within which a block's mean tells nothing of detail."""


def kept_detail(levels: NDArray[np.uint8], *, top: int = 0, left: int = 0) -> float:
    """Return by how much a weak pattern is fainter in an image for JPEG's rounding, 0 to 1.

    Of the discrete cosine transforms of 8×8 blocks, neither black nor white, a share p of a
    coefficient's values is not rounded to 0, flat blocks counting most. Of normal values those
    beyond ±t, where p = 2 Q(t), keep 2 (Q(t) + t φ(t)) of what a weak addition changes: Bussgang
    1952.

    Parameters
    ----------
    levels
        Grey levels ``(height, width)``.
    top, left
        Row and column at which the first block begins.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(128, 4, (64, 64)).astype(np.uint8)
    >>> kept_detail(noise) > 0.9, kept_detail(np.full((64, 64), 128, np.uint8)) < 1e-6
    (True, True)
    """
    rows, columns = (levels.shape[0] - top) // JPEG_BLOCK, (levels.shape[1] - left) // JPEG_BLOCK
    inside = levels[top : top + rows * JPEG_BLOCK, left : left + columns * JPEG_BLOCK]
    blocks = inside.reshape(rows, JPEG_BLOCK, columns, JPEG_BLOCK).swapaxes(1, 2)
    step = max(1, math.ceil(math.sqrt(rows * columns / MOST_BLOCKS)))
    sample = blocks[::step, ::step].reshape(-1, JPEG_BLOCK, JPEG_BLOCK).astype(np.float32)
    means = sample.mean(axis=(1, 2))
    sample = sample[(means > CLIPPED) & (means < 255 - CLIPPED)]
    if not len(sample):
        return 0.0
    coefficients = fft.dctn(sample, axes=(1, 2), norm="ortho").reshape(len(sample), -1)[:, 1:]
    flatness = 1 / (1 + np.square(coefficients).mean(axis=1))
    shares = flatness @ (np.abs(coefficients) > KEPT) / flatness.sum()
    limits = norm.isf(np.clip(shares, LEAST, 1) / 2)
    return float(np.mean(shares + 2 * limits * norm.pdf(limits)))
