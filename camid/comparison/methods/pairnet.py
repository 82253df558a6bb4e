"""The pair network as a method: an image's evidence, and the likelihood ratio of two sides.

NumPy computes the evidence; on a GPU, Keras does, to rounding the same.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.comparison.methods.method import Array, Estimator, Gathered, Method, Sums, Tile
from camid.comparison.networks.pairnet_numpy import (
    CELL,
    LAGS,
    MIDDLE,
    NUM_SUMS,
    Weights,
    evidence,
    likelihood_ratio,
    read_weights,
)
from camid.io.folder import Folder
from camid.jit import compiled
from camid.prnu.cleaning import without_blocks

SHIPPED = ""
"""Stands for the address of the network that camid comes with."""
SHIPPED_FILE = "pairnet.npz"


def pairnet_method(address: str = SHIPPED, *, num_planes: int = 4) -> Method:
    """Return the method of a pair network, whose file is read when it scores.

    Its scores are log-likelihood ratios, nats, of whatever devices it was trained on.

    Parameters
    ----------
    address
        Path or address of its file; the network that camid comes with if empty.
    num_planes
        Planes of its evidence.

    Raises
    ------
    ValueError
        When it scores, if the file holds no pair network.
    """
    gathered = Gathered(
        of=_Evidence(address), num_planes=num_planes, needs_intensity=True, is_kept=True
    )
    side = Estimator(gathered=gathered, prepared=_unblocked)
    likelihood = _Likelihood(address)
    return Method(first=side, second=side, evidence=products, score=likelihood, takes_gpu=True)


def shipped_network() -> bytes:
    """Return the weights of the network that camid comes with, as a file."""
    return (resources.files("camid.comparison.pretrained") / SHIPPED_FILE).read_bytes()


def products(tile: Tile) -> Sums:
    """Return sums over each pair's windows ``(pair, NUM_SUMS)``, of planes ``(side, plane, …)``.

    Of the products of both sides' planes, added up over planes; of the products' squares; of each
    side's squares; the number of pixels; and of the products at
    :data:`~camid.comparison.networks.pairnet_numpy.LAGS`, which are circular shifts of the windows.
    """
    sums = np.empty((len(tile.pairs), NUM_SUMS))
    for part in tile.parts():
        rows = part.rows()
        sums[part.some, :5] = _sums(part.first, part.second, *rows)
        sums[part.some, 5:] = _lag_products(part.first, part.second, *rows, np.array(LAGS))
    return sums


@dataclass(frozen=True)
class _Evidence:
    """An image's evidence planes, in half precision, as many are kept."""

    address: str

    def __call__(self, strip: Array, intensity: NDArray[np.uint8]) -> NDArray[np.float16]:
        compute = evidence_by_keras if _on_gpu else evidence
        return compute(strip, intensity, _weights(self.address)).astype(np.float16)


_on_gpu = False
"""Whether this process has a GPU for evidence."""


def use_gpu(*, is_used: bool) -> None:
    """Have Keras compute the evidence in this process, or NumPy."""
    global _on_gpu  # noqa: PLW0603 - of a process, as the GPU is
    _on_gpu = is_used


def evidence_by_keras(residual: Array, intensity: NDArray[np.uint8], weights: Weights) -> Array:
    """Return what :func:`camid.comparison.networks.pairnet_numpy.evidence` does, by Keras."""
    light = intensity.repeat(CELL, axis=0).repeat(CELL, axis=1).astype(np.float32) - MIDDLE
    image = np.concatenate([residual.astype(np.float32, copy=False), light[..., None]], axis=-1)
    planes = _network(weights).predict_on_batch(image[None])[0]
    return np.ascontiguousarray(np.moveaxis(planes, -1, 0))


@lru_cache(maxsize=2)
def _network(weights: Weights) -> Any:
    from camid.comparison.networks.pairnet import EVIDENCE, network_of

    return network_of(weights).get_layer(EVIDENCE)


@dataclass(frozen=True)
class _Likelihood:
    """A pair network's scores of sums."""

    address: str

    def __call__(self, sums: Sums) -> Sums:
        return likelihood_ratio(sums, _weights(self.address))


def _unblocked(total: Array, count: int) -> Array:  # noqa: ARG001
    """Return summed planes ``(plane, height, width)`` less the mean of each place in a block."""
    return without_blocks(total)


def _weights(address: str) -> Weights:
    if address == SHIPPED:
        return _shipped_weights()
    folder, name = Folder.at(address)
    if not folder.exists(name):
        raise ValueError(f"{address}: no such network")
    return _read_weights(address, folder.modified(name))


@lru_cache(maxsize=1)
def _shipped_weights() -> Weights:
    return read_weights(shipped_network())


@lru_cache(maxsize=4)
def _read_weights(address: str, modified: int) -> Weights:  # noqa: ARG001 - of another file
    folder, name = Folder.at(address)
    try:
        return read_weights(folder.read(name))
    except ValueError as error:
        raise ValueError(f"{address}: {error}") from None


@compiled
def _sums(
    firsts: Array, seconds: Array, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> Sums:
    """Return the sums of pairs of windows ``(window, plane, height, width)``, ``(pair, 5)``."""
    _, planes, height, width = firsts.shape
    pair_sums = np.zeros((len(rows), 5))
    for pair in range(len(rows)):
        first, second = firsts[rows[pair]], seconds[columns[pair]]
        sums = pair_sums[pair]
        for y in range(height):
            for x in range(width):
                product = np.float32(0)
                for plane in range(planes):
                    a, b = first[plane, y, x], second[plane, y, x]
                    product += a * b
                    sums[2] += a * a
                    sums[3] += b * b
                sums[0] += product
                sums[1] += product * product
        sums[4] = height * width
    return pair_sums


@compiled
def _lag_products(
    firsts: Array,
    seconds: Array,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    lags: NDArray[np.int64],
) -> Sums:
    """Return the sums of products of pairs of windows of which one is shifted, ``(pair, lag)``."""
    _, planes, height, width = firsts.shape
    reach = np.abs(lags).max()
    wrapped = np.empty((planes, height, width + 2 * reach), np.float32)
    lag_sums = np.zeros((len(rows), len(lags)))
    for pair in range(len(rows)):
        first, second = firsts[rows[pair]], seconds[columns[pair]]
        for x in range(width + 2 * reach):
            wrapped[:, :, x] = second[:, :, (x - reach) % width]
        for plane in range(planes):
            for y in range(height):
                line = first[plane, y]
                for lag in range(len(lags)):
                    down, left = lags[lag, 0], lags[lag, 1] + reach
                    shifted_line = wrapped[plane, (y + down) % height, left : left + width]
                    total = np.float32(0)
                    for x in range(width):
                        total += line[x] * shifted_line[x]
                    lag_sums[pair, lag] += total
    return lag_sums
