"""Correlation of two sides at zero lag, and how windows are pooled."""

import numpy as np

from camid.methods.method import Array, Sums, Tile


def moments(tile: Tile) -> Sums:
    """Return each pair's ``(product, first's squares, second's squares)`` about the means."""
    found = np.empty((len(tile.pairs), 3))
    if tile.is_dense:  # all firsts against all seconds in one product
        first, second = centred(tile.first), centred(tile.second)
        rows, columns = tile.pairs.T
        found[:, 0] = (first @ second.T)[rows, columns]
        found[:, 1] = np.einsum("ij,ij->i", first, first)[rows]
        found[:, 2] = np.einsum("ij,ij->i", second, second)[columns]
        return found
    for some, *windows in tile.batches():
        first, second = map(centred, windows)
        found[some, 0] = np.einsum("ij,ij->i", first, second)
        found[some, 1] = np.einsum("ij,ij->i", first, first)
        found[some, 2] = np.einsum("ij,ij->i", second, second)
    return found


def pooled_ncc(sums: Sums) -> Sums:
    """Return the normalised correlation of all windows together: sums before they are divided."""
    return ratio(sums[..., 0], np.sqrt(sums[..., 1] * sums[..., 2]))


def window_nccs(tile: Tile) -> Sums:
    """Return each pair's ``(normalised correlation, 1)``."""
    found = np.ones((len(tile.pairs), 2))
    found[:, 0] = np.nan_to_num(pooled_ncc(moments(tile)))
    return found


def mean_ncc(sums: Sums) -> Sums:
    """Return the mean of the windows' correlations: the study's extended inference."""
    return ratio(sums[..., 0], sums[..., 1])


def likelihood_moments(tile: Tile) -> Sums:
    """Return sums over each pair's windows of residuals W, and of intensity times pattern, IK.

    First sides are patterns ``(side, height, width)``, second ones residual and intensity
    ``(side, 2, height, width)``: ``(WIK, IK, W, (IK)², W², 1)``.
    """
    found = np.full((len(tile.pairs), 6), tile.size**2, np.float64)
    if tile.is_dense:
        rows, columns = tile.pairs.T
        pattern = _flat(tile.first)
        residual, weight = (_flat(tile.second[:, plane]) for plane in (0, 1))
        found[:, 0] = (pattern @ (residual * weight).T)[rows, columns]
        found[:, 1] = (pattern @ weight.T)[rows, columns]
        found[:, 2] = residual.sum(axis=1, dtype=np.float64)[columns]
        found[:, 3] = (pattern**2 @ (weight**2).T)[rows, columns]
        found[:, 4] = np.einsum("ij,ij->i", residual, residual)[columns]
        return found
    for some, first, second in tile.batches():
        residual, expected = _flat(second[:, 0]), _flat(second[:, 1] * first)
        found[some, 0] = np.einsum("ij,ij->i", residual, expected)
        found[some, 1] = expected.sum(axis=1, dtype=np.float64)
        found[some, 2] = residual.sum(axis=1, dtype=np.float64)
        found[some, 3] = np.einsum("ij,ij->i", expected, expected)
        found[some, 4] = np.einsum("ij,ij->i", residual, residual)
    return found


def likelihood_ncc(sums: Sums) -> Sums:
    """Return the normalised correlation of a residual with its intensity times a pattern.

    Chen, Fridrich, Goljan, Lukáš 2008, doi:10.1109/TIFS.2007.916285.
    """
    product, *totals = np.moveaxis(sums[..., :3], -1, 0)
    squares, count = np.moveaxis(sums[..., 3:5], -1, 0), np.maximum(sums[..., 5], 1)
    energies = [np.maximum(s - t**2 / count, 0) for s, t in zip(squares, totals, strict=True)]
    return ratio(product - totals[0] * totals[1] / count, np.sqrt(energies[0] * energies[1]))


def centred(windows: Array) -> Array:
    """Return windows ``(window, height, width)`` as rows of mean 0."""
    flat = _flat(windows)
    return np.asarray(flat - flat.mean(axis=1, keepdims=True))


def ratio(value: Sums, scale: Sums) -> Sums:
    """Return ``value / scale``, NaN where nothing was compared or nothing varies."""
    found = np.full(scale.shape, np.nan)
    np.divide(value, scale, out=found, where=scale > 0)
    return found


def _flat(windows: Array) -> Array:
    return windows.reshape(len(windows), -1)
