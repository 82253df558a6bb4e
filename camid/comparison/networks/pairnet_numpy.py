"""The pair network without Keras: one image's evidence, and the ratio from two sides' products.

This is the network that :mod:`camid.comparison.networks.pairnet` defines, computed from its weights
by NumPy and compiled loops, so that no process that scores loads TensorFlow.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.special import log_softmax, logsumexp

from camid.comparison.networks.archive import opened_archive
from camid.io.escaping import one_line
from camid.jit import compiled
from camid.prnu.luminance import LUMA

Array = NDArray[np.float32]

CHANNELS = 4
"""Of an image: three of the residual, and the intensity less :data:`MIDDLE`."""
CELL = 4
"""Pixels a side of a cell, which has one reliability."""
MIDDLE = np.float32(128)
"""Grey level that intensities are counted from, and in units of."""
NETWORK = "pairnet"
"""The network's name in files."""
STRENGTHS = np.concatenate([[0.0], np.geomspace(0.002, 0.5, 15)])
"""Correlations that two sides of one device may have."""
LAGS = tuple((y, x) for r in (4, 6) for y in (-r, 0, r) for x in (-r, 0, r) if y or x)
"""Pixels down and across, at which nothing of a pattern is left and demosaicking's lattice is."""
NUM_SUMS = 5 + len(LAGS)
"""Number of sums of two sides' products: five at zero lag, and one at each of the others."""
NUM_FACTS = 13
"""Facts of a cell besides those of the filters."""
BANK_SIZE = 7
"""Pixels a side of the bank's kernels."""
SLACK = 1e-6
MEMBER = "pairnet.npz"
"""Name of the weights in a network's file, beside what Keras keeps there."""
_KERNEL, _BIAS = "kernel/", "bias/"
"""Beginnings of the names of layers' arrays."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """Weights of a pair network's layers."""

    kernels: dict[str, Array]
    """Kernels of convolutions, by their names: ``(height, width, in, out)``."""
    biases: dict[str, Array]
    prior: NDArray[np.float64]
    """``(3, strength)``."""
    deviation: float
    """Least standard deviation of strangers' products, over the root of their squares' sum."""

    @property
    def num_filters(self) -> int:
        """Filters of the bank."""
        return int(self.kernels["bank"].shape[-1])

    @property
    def num_planes(self) -> int:
        """Planes of an image's evidence."""
        return int(self.kernels["reliability"].shape[-1]) // self.num_filters

    @property
    def num_blocks(self) -> int:
        """Residual blocks."""
        return sum(name.endswith("a") for name in self.kernels if name.startswith("conv"))


def read_weights(data: bytes) -> Weights:
    """Return the weights that :func:`weights_bytes` wrote, or those in a network's own file.

    Raises
    ------
    ValueError
        If the file holds none.
    """
    try:
        with opened_archive(data) as archive:
            if MEMBER in archive.namelist():
                data = archive.read(MEMBER)
        with opened_archive(data), np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            weights = Weights(
                kernels=_of_layers(arrays, _KERNEL),
                biases=_of_layers(arrays, _BIAS),
                prior=arrays["prior"],
                deviation=float(arrays["deviation"]),
            )
        _check(weights)
    except Exception as error:
        raise ValueError(f"holds no pair network: {one_line(error)}") from None
    return weights


def _check(weights: Weights) -> None:
    """Raise if layers do not fit one another: compiled loops would read beyond their arrays."""
    filters, width = weights.num_filters, int(weights.kernels["stem"].shape[-1])
    blocks = [f"conv{block}{half}" for block in range(weights.num_blocks) for half in "ab"]
    planes = filters * weights.num_planes
    channels = {
        "bank": (3, filters),
        "stem": (NUM_FACTS + filters, width),
        **dict.fromkeys(["context", *blocks], (width, width)),
        "reliability": (width, planes),
    }
    biases = {name: (sizes[1],) for name, sizes in channels.items() if name != "bank"}
    taps = {name: kernel.shape[0] for name, kernel in weights.kernels.items()}
    kernels = {name: (taps.get(name), taps.get(name), *sizes) for name, sizes in channels.items()}
    found = {name: kernel.shape for name, kernel in weights.kernels.items()}
    if found != kernels or {name: bias.shape for name, bias in weights.biases.items()} != biases:
        raise ValueError("its layers do not fit one another")
    if taps["bank"] != BANK_SIZE or not all(
        size % 2 and size <= BANK_SIZE for size in taps.values()
    ):
        raise ValueError("its kernels are of other sizes")
    if weights.prior.shape != (3, len(STRENGTHS)):
        raise ValueError(f"its prior is of shape {weights.prior.shape}")
    arrays = [*weights.kernels.values(), *weights.biases.values()]
    if any(array.dtype != np.float32 for array in arrays):
        raise ValueError("its weights are no float32")
    ends = [weights.prior, np.array(weights.deviation)]
    if not all(bool(np.isfinite(array).all()) for array in [*arrays, *ends]):
        raise ValueError("its weights are not finite")


def weights_bytes(weights: Weights) -> bytes:
    """Return weights as NumPy's ``.npz``, an array a layer."""
    arrays = {f"{_KERNEL}{name}": kernel for name, kernel in weights.kernels.items()}
    arrays |= {f"{_BIAS}{name}": bias for name, bias in weights.biases.items()}
    file = io.BytesIO()
    np.savez(file, prior=weights.prior, deviation=weights.deviation, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _of_layers(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}


def evidence(residual: Array, intensity: NDArray[np.uint8], weights: Weights) -> Array:
    """Return an image's evidence ``(plane, height, width)``, which is summed over a side's images.

    Parameters
    ----------
    residual
        ``(height, width, 3)``, grey levels; sides are multiples of 4 px.
    intensity
        ``(height / 4, width / 4)``, grey, 0–255.
    """
    planes = np.ascontiguousarray(np.moveaxis(residual, -1, 0), np.float32)
    bank: Array = _filtered(planes, weights.kernels["bank"])
    facts, around = _facts(residual.astype(np.float32, copy=False), intensity, bank)
    maps = _convolved(facts, weights, "stem")
    mean = np.maximum(maps, 0).mean(axis=(0, 1), keepdims=True)
    maps += _convolved(mean, weights, "context")
    for block in range(weights.num_blocks):
        inner = _convolved(np.maximum(maps, 0), weights, f"conv{block}a")
        maps += _convolved(np.maximum(inner, 0), weights, f"conv{block}b")
    learned = _convolved(np.maximum(maps, 0), weights, "reliability")
    learned[..., 0] += 1 / (around + 1)
    weighed: Array = _weighed(bank, np.ascontiguousarray(np.moveaxis(learned, -1, 0)))
    return weighed


def likelihood_ratio(sums: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """Return log-likelihood ratios, nats, of sums ``(…, NUM_SUMS)``; NaN where nothing varies.

    Sums are those of the products of two sides' planes, of the products' squares, of each side's
    squares, the number of pixels, and the products' sums at each of :data:`LAGS`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        power, gains = likelihood_terms(sums, deviation=weights.deviation)
        llrs = logsumexp(log_softmax(power @ weights.prior, axis=-1) + gains, axis=-1)
    return np.where(sums[..., 1] > 0, llrs, np.nan)


def likelihood_terms(
    sums: NDArray[np.float64], *, deviation: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the inputs of the strengths' prior, and each strength's log-likelihood ratio.

    ``(…, 3)``, the weight of both sides' evidence to the powers 0, 1 and 2; and ``(…, strength)``,
    nats. Sums are those of :func:`likelihood_ratio`.
    """
    _, squares, first, second, size = np.moveaxis(sums[..., :5], -1, 0)
    lags = sums[..., 5:]
    energy = (first + SLACK) * (second + SLACK)
    weight = (np.log(energy) - 2 * np.log(size)) / 4
    power = np.stack([np.ones_like(weight), weight, weight * weight], axis=-1)
    least = deviation * deviation * (squares + SLACK)
    noise = np.sqrt(np.maximum(least, np.square(lags).mean(axis=-1)))
    mean = STRENGTHS * (np.sqrt(energy) / noise)[..., None]
    return power, mean * (_excess(sums) / noise)[..., None] - mean * mean / 2


def _excess(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the product's excess over the mean at other lags, of sums ``(…, NUM_SUMS)``."""
    return np.asarray(sums[..., 0] - sums[..., 5:].mean(axis=-1))


def _facts(residual: Array, intensity: NDArray[np.uint8], bank: Array) -> tuple[Array, Array]:
    """Return facts ``(row, column, fact)`` of cells, and the energy around them."""
    means, energy = _cell_means(residual, bank, LUMA)
    inside = uniform_filter(np.ones(energy.shape, np.float32), 3, mode="constant")
    around = uniform_filter(energy, 3, mode="constant") / inside
    light = ((intensity.astype(np.float32) - MIDDLE) / MIDDLE)[..., None]
    squares, largest, steps, filtered = np.split(means, (3, 6, 9), axis=-1)
    facts = [
        np.log(squares + np.float32(0.05)) / 2,
        largest / 4,
        np.log(energy[..., None] + np.float32(0.05)) / 2,
        np.log(around[..., None] + np.float32(0.1)) / 2,
        light,
        light * light,
        np.log(steps + np.float32(0.05)) / 2,
        np.log(filtered + np.float32(0.02)) / 2,
    ]
    return np.concatenate(facts, axis=-1), around


def _convolved(maps: Array, weights: Weights, name: str) -> Array:
    """Return maps ``(row, column, channel)`` after a layer, zeros around them."""
    kernel = weights.kernels[name]
    reach, (height, width) = kernel.shape[0] // 2, maps.shape[:2]
    if reach:
        padded = np.pad(maps, ((reach, reach), (reach, reach), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(0, 1))
        rows = np.moveaxis(windows, 2, -1).reshape(height * width, -1)
    else:
        rows = maps.reshape(height * width, -1)
    convolved = rows @ kernel.reshape(-1, kernel.shape[-1]) + weights.biases[name]
    return np.asarray(convolved.reshape(height, width, -1))


@compiled
def _cell_means(residual: Array, bank: Array, luma: Array) -> tuple[Array, Array]:
    """Return cells' means ``(row, column, 9 + filter)``, and those of the grey plane's square.

    They are of the planes' squares, then not means but the planes' largest absolute values, then of
    the squares of differences to the row above, then of the bank's squares.
    """
    height, width, _ = residual.shape
    rows, columns, filters = height // 4, width // 4, len(bank)
    means = np.zeros((rows, columns, 9 + filters), np.float32)
    energy = np.zeros((rows, columns), np.float32)
    share = np.float32(1 / 16)
    for y in range(4 * rows):
        for x in range(4 * columns):
            cell, grey = means[y >> 2, x >> 2], np.float32(0)
            for plane in range(3):
                sample = residual[y, x, plane]
                step = sample - residual[y - 1, x, plane]
                cell[plane] += sample * sample * share
                cell[3 + plane] = max(cell[3 + plane], abs(sample))
                cell[6 + plane] += step * step * share
                grey += luma[plane] * sample
            energy[y >> 2, x >> 2] += grey * grey * share
    for number in range(filters):
        for y in range(4 * rows):
            for x in range(4 * columns):
                value = bank[number, y, x]
                means[y >> 2, x >> 2, 9 + number] += value * value * share
    return means, energy


@compiled
def _filtered(planes: Array, kernel: Array) -> Array:
    """Return a residual's planes ``(3, height, width)`` through a bank of filters 7×7.

    The result is ``(filter, height, width)``; all seven taps of a row are taken at once, so that
    it stays in registers.
    """
    count, height, width = planes.shape
    filters = kernel.shape[3]
    padded = np.zeros((count, height + 6, width + 6), np.float32)
    padded[:, 3 : 3 + height, 3 : 3 + width] = planes
    outputs = np.zeros((filters, height, width), np.float32)
    for y in range(height):
        for number in range(filters):
            row = outputs[number, y]
            for plane in range(count):
                for down in range(7):
                    line, taps = padded[plane, y + down], kernel[down, :, plane, number]
                    a, b, c, d, e, f, g = (
                        taps[0],
                        taps[1],
                        taps[2],
                        taps[3],
                        taps[4],
                        taps[5],
                        taps[6],
                    )
                    for x in range(width):
                        left = a * line[x] + b * line[x + 1] + c * line[x + 2]
                        right = e * line[x + 4] + f * line[x + 5] + g * line[x + 6]
                        row[x] += left + d * line[x + 3] + right
    return outputs


@compiled
def _weighed(bank: Array, learned: Array) -> Array:
    """Return planes ``(plane, height, width)``: the bank's outputs times the cells' weights."""
    filters, height, width = bank.shape
    planes = learned.shape[0] // filters
    weighed = np.zeros((planes, height, width), np.float32)
    for plane in range(planes):
        for y in range(height):
            row = weighed[plane, y]
            for number in range(filters):
                weight, line = learned[plane * filters + number, y // 4], bank[number, y]
                for x in range(width):
                    row[x] += weight[x >> 2] * line[x]
    return weighed
