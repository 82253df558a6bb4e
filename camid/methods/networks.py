"""Trained networks as methods: each window's logit, averaged over windows.

The mean over windows is the study's extended inference; of logits, so that a window that is surely
of one device or of two counts more than one that tells nothing.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.folder import Folder
from camid.methods.correlation import mean_ncc
from camid.methods.method import Array, Gathered, Method, Sums, Tile
from camid.methods.sides import mean

SUFFIX = ".keras"
WINDOWS = 32
"""Windows of each side that a network sees at once."""


def network_name(address: str) -> str:
    """Return the name of the method that a network's file makes: its own, without the ending.

    Raises
    ------
    ValueError
        If it does not end in ``.keras``.
    """
    _, name = Folder.at(address)
    if not name.endswith(SUFFIX) or name == SUFFIX:
        raise ValueError(f"{address}: expected a network, a file that ends in {SUFFIX}")
    return name.removesuffix(SUFFIX)


def network_method(address: str) -> Method:
    """Return the method that the network at a path or address makes; it is loaded when it scores.

    Raises
    ------
    ValueError
        When it scores, if there is no such file, or it holds no network of pairs.
    """
    network_name(address)
    planes = mean(Gathered(of=_planes, num_planes=3))
    return Method(first=planes, second=planes, evidence=_Logits(address), score=mean_ncc)


def _planes(strip: Array) -> Array:
    return np.moveaxis(strip, -1, 0)


class _Logits:
    """What a network tells of each pair: ``(logit, 1)``."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __call__(self, tile: Tile) -> Sums:
        folder, name = Folder.at(self._address)
        if not folder.exists(name):
            raise ValueError(f"{self._address}: no such network")
        towers = _towers(self._address, folder.modified(name))
        found = np.ones((len(tile.pairs), 2))
        for start in range(0, len(tile.pairs), WINDOWS):
            some = slice(start, start + WINDOWS)
            found[some, 0] = towers.logits(tile, some)
        return found


class _Towers:
    """A network in two halves: features of a side, and the logit of two sides' features."""

    def __init__(self, network: Any) -> None:
        import keras

        sides, distance = network.get_layer("sides"), network.get_layer("distance")
        self._features = keras.Model(sides.output, distance.input)
        self._logit = keras.Model(distance.input, network.output)
        self._size = network.input_shape[2]

    def logits(self, tile: Tile, some: slice) -> NDArray[np.float32]:
        """Return the logits of some of a tile's pairs; a window that several have is seen once."""
        if tile.size != self._size:
            raise ValueError(
                f"the network is for crops of {self._size} px, and the comparison list has "
                f"{tile.size}; set comparisons.crop_size={self._size}"
            )
        pairs, corners = tile.pairs[some], tile.corners[some]
        features, rows = [], []
        for which, planes in enumerate((tile.first, tile.second)):
            places, row = np.unique(
                np.column_stack([pairs[:, which], corners]), axis=0, return_inverse=True
            )
            windows = [
                planes[side, :, y : y + self._size, x : x + self._size] for side, y, x in places
            ]
            seen = np.moveaxis(np.stack(windows), 1, -1)
            features.append(np.asarray(self._features.predict_on_batch(seen), np.float32))
            rows.append(row)
        both = np.stack([side[row] for side, row in zip(features, rows, strict=True)], axis=1)
        return np.asarray(self._logit.predict_on_batch(both.reshape(-1, *both.shape[2:])))[:, 0]


@lru_cache(maxsize=4)
def _towers(address: str, modified: int) -> _Towers:  # noqa: ARG001 - of another file
    from camid.models.files import read_network

    return _Towers(read_network(*Folder.at(address)))
