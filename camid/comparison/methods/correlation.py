"""Correlation of two sides at zero lag, and how windows are pooled."""

import numpy as np

from camid.comparison.methods.method import Array, Part, Sums, Tile


def moments(tile: Tile) -> Sums:
    """Return each pair's ``(product, first's squares, second's squares)`` about the means."""
    sums = np.empty((len(tile.pairs), 3))
    for part in tile.parts():
        sums[part.some] = products_and_squares(part, centred(part.first), centred(part.second))
    return sums


def products_and_squares(part: Part, first: Array, second: Array) -> Array:
    """Return the product and both squares of rows made of a part's windows, ``(pair, 3)``."""
    product = part.products(first, second)
    return np.stack([product, part.of_first(squares(first)), part.of_second(squares(second))], 1)


def pooled_ncc(sums: Sums) -> Sums:
    """Return the normalised correlation of all windows together: sums before they are divided."""
    return ratio(sums[..., 0], np.sqrt(sums[..., 1] * sums[..., 2]))


def raw_moments(tile: Tile) -> Sums:
    """Return each pair's sums of products, of both sides, of their squares, and of ones.

    ``(pair, 6)``: Σxy, Σx, Σy, Σx², Σy², n of first sides x and second sides y.
    """
    sums = np.full((len(tile.pairs), 6), tile.size**2, np.float64)
    for part in tile.parts():
        first, second = flat(part.first), flat(part.second)
        sums[part.some, 0] = part.products(first, second)
        sums[part.some, 1] = part.of_first(first.sum(axis=1))
        sums[part.some, 2] = part.of_second(second.sum(axis=1))
        sums[part.some, 3] = part.of_first(squares(first))
        sums[part.some, 4] = part.of_second(squares(second))
    return sums


def raw_ncc(sums: Sums) -> Sums:
    """Return the normalised correlation of everything compared, of :func:`raw_moments`' sums.

    The means that are subtracted are those of all windows together, so that whole images give the
    correlation of whole images.
    """
    product, *totals = np.moveaxis(sums[..., :3], -1, 0)
    squared, count = np.moveaxis(sums[..., 3:5], -1, 0), np.maximum(sums[..., 5], 1)
    energies = [np.maximum(s - t**2 / count, 0) for s, t in zip(squared, totals, strict=True)]
    return ratio(product - totals[0] * totals[1] / count, np.sqrt(energies[0] * energies[1]))


def window_nccs(tile: Tile) -> Sums:
    """Return each pair's ``(normalised correlation, 1)``."""
    nccs = np.ones((len(tile.pairs), 2))
    nccs[:, 0] = np.nan_to_num(pooled_ncc(moments(tile)))
    return nccs


def mean_ncc(sums: Sums) -> Sums:
    """Return the mean of the windows' correlations: the study's extended inference."""
    return ratio(sums[..., 0], sums[..., 1])


def likelihood_moments(tile: Tile) -> Sums:
    """Return sums over each pair's windows of residuals W, and of intensity times pattern, IK.

    First sides are patterns ``(side, height, width)``, second ones residual and intensity
    ``(side, 2, height, width)``: ``(WIK, IK, W, (IK)², W², 1)``.
    """
    sums = np.full((len(tile.pairs), 6), tile.size**2, np.float64)
    for part in tile.parts():
        pattern, residual, weight = map(flat, (part.first, part.second[:, 0], part.second[:, 1]))
        sums[part.some, 0] = part.products(pattern, residual * weight)
        sums[part.some, 1] = part.products(pattern, weight)
        sums[part.some, 2] = part.of_second(residual.sum(axis=1))
        sums[part.some, 3] = part.products(pattern**2, weight**2)
        sums[part.some, 4] = part.of_second(squares(residual))
    return sums


def likelihood_ncc(sums: Sums) -> Sums:
    """Return the normalised correlation of a residual with its intensity times a pattern.

    Chen, Fridrich, Goljan, Lukáš 2008, doi:10.1109/TIFS.2007.916285.
    """
    return raw_ncc(sums)


def centred(windows: Array) -> Array:
    """Return windows ``(window, height, width)`` as rows of mean 0."""
    rows = flat(windows)
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def flat(windows: Array) -> Array:
    """Return windows ``(window, height, width)`` as rows."""
    return windows.reshape(len(windows), -1)


def squares(rows: Array) -> Array:
    """Return the sum of squares of each row."""
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def ratio(value: Sums, scale: Sums) -> Sums:
    """Return ``value / scale``, NaN where nothing was compared or nothing varies."""
    quotient = np.full(scale.shape, np.nan)
    np.divide(value, scale, out=quotient, where=scale > 0)
    return quotient
