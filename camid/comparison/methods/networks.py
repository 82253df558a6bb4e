"""Trained networks as methods: each window's logit or cosine, averaged over windows.

The mean over windows is the study's extended inference; of logits, so that a window that is surely
of one device or of two counts more than an undecided one. A classifier of other devices compares
two sides by the cosine of their embeddings: of each image's patches on their own, then their mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.comparison.methods.correlation import mean_ncc
from camid.comparison.methods.estimators import mean
from camid.comparison.methods.method import Array, Gathered, Method, Sums, Tile
from camid.comparison.methods.pairnet import pairnet_method
from camid.comparison.networks.archive import json_member, opened_archive
from camid.io.folder import Folder

SUFFIX = ".keras"
EVIDENCE = "evidence"
"""The layer that only pair networks have."""
WINDOWS = 32
"""Windows of each side that a network sees at once."""


def network_name(address: str) -> str:
    """Return the name of the method of a network's file: the file's name without its suffix.

    Raises
    ------
    ValueError
        If the name does not end in ``.keras``.
    """
    _, name = Folder.at(address)
    if not name.endswith(SUFFIX) or name == SUFFIX:
        raise ValueError(f"{address}: expected a network, a file that ends in {SUFFIX}")
    return name.removesuffix(SUFFIX)


def network_method(address: str) -> Method:
    """Return the method of the network at a path or address.

    The file tells whether the network takes pairs or patches; it is loaded when it scores.
    :mod:`camid.comparison.methods.pairnet` has the pair network's.

    Raises
    ------
    ValueError
        When it scores, if there is no such file, or it holds neither a network of pairs nor a
        classifier.
    """
    network_name(address)
    if _is_classifier(address):
        cells = mean(Gathered(of=_Cells(address)))
        cosines = _Cosines(address)
        return Method(first=cells, second=cells, evidence=cosines, score=mean_ncc, takes_gpu=True)
    if _is_pairnet(address):
        inner = {part["config"]["name"]: part for part in _layers(address)[EVIDENCE]["layers"]}
        learned, bank = (inner[name]["config"]["filters"] for name in ("reliability", "bank"))
        return pairnet_method(address, num_planes=learned // bank)
    planes = mean(Gathered(of=_planes, num_planes=3))
    logits = _Logits(address)
    return Method(first=planes, second=planes, evidence=logits, score=mean_ncc, takes_gpu=True)


def _planes(strip: Array) -> Array:
    return np.moveaxis(strip, -1, 0)


class _Logits:
    """A network's logit of each pair, and a one: ``(logit, 1)``."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __call__(self, tile: Tile) -> Sums:
        towers = _towers(self._address, _modified(self._address))
        sums = np.ones((len(tile.pairs), 2))
        step = towers.pairs_at_once(tile.size)
        for start in range(0, len(tile.pairs), step):
            batch = slice(start, start + step)
            sums[batch, 0] = towers.logits(tile, batch)
        return sums


class _Towers:
    """A network in two halves: features of a side, and the logit of two sides' features."""

    def __init__(self, network: Any) -> None:
        import keras

        sides, distance = network.get_layer("sides"), network.get_layer("distance")
        self._features = keras.Model(sides.output, distance.input)
        self._logit = keras.Model(distance.input, network.output)
        self._size: int = network.input_shape[2]

    def pairs_at_once(self, size: int) -> int:
        """Return the number of pairs of crops of a size with :data:`WINDOWS` windows a side."""
        return max(1, WINDOWS // max(1, size // self._size) ** 2)

    def logits(self, tile: Tile, batch: slice) -> NDArray[np.float32]:
        """Return the logits of a batch of pairs, each the mean over the windows that fill a crop.

        Windows that several pairs share go through the network once.
        """
        if tile.size % self._size:
            raise ValueError(
                f"the network is for crops of {self._size} px, and the comparison list has "
                f"{tile.size}, which they do not fill; set comparisons.crop_size={self._size}"
            )
        starts = range(0, tile.size, self._size)
        offsets = np.array([(y, x) for y in starts for x in starts])
        pairs = np.repeat(tile.pairs[batch], len(offsets), axis=0)
        corners = (tile.corners[batch][:, None] + offsets).reshape(-1, 2)
        features, feature_rows = [], []
        for role, planes in enumerate((tile.first, tile.second)):
            unique, rows = np.unique(
                np.column_stack([pairs[:, role], corners]), axis=0, return_inverse=True
            )
            windows = [
                planes[side, :, y : y + self._size, x : x + self._size] for side, y, x in unique
            ]
            images = np.moveaxis(np.stack(windows), 1, -1)
            features.append(np.asarray(self._features.predict_on_batch(images), np.float32))
            feature_rows.append(rows)
        sides = [side[rows] for side, rows in zip(features, feature_rows, strict=True)]
        both = np.stack(sides, axis=1)
        logits = np.asarray(self._logit.predict_on_batch(both.reshape(-1, *both.shape[2:])))
        return np.asarray(logits.reshape(-1, len(offsets)).mean(axis=1))


@dataclass(frozen=True)
class _Cells:
    """A classifier's features of a strip's patches, ``(feature, row, column)``."""

    address: str

    def __call__(self, strip: Array) -> Array:
        embedding = _embedding(self.address, _modified(self.address))
        size = embedding.input_shape[1]
        across = len(strip) // size
        if not across:
            raise ValueError(
                f"{self.address}: takes patches of {size} px, and the store has strips of "
                f"{len(strip)} px"
            )
        whole = strip[: across * size, : across * size].astype(np.float32)
        grid = whole.reshape(across, size, across, size, -1).swapaxes(1, 2)
        features = embedding.predict_on_batch(grid.reshape(-1, *grid.shape[2:]))
        cells = np.reshape(features, (across, across, -1))
        return np.asarray(np.moveaxis(cells, -1, 0), np.float32)


@dataclass(frozen=True)
class _Cosines:
    """The cosine of two windows' mean features by a classifier, and a one."""

    address: str

    def __call__(self, tile: Tile) -> Sums:
        size = _embedding(self.address, _modified(self.address)).input_shape[1]
        sums = np.ones((len(tile.pairs), 2))
        for number, (pair, corner) in enumerate(zip(tile.pairs, tile.corners, strict=True)):
            window = tuple(
                slice(-(-start // size), (start + tile.size) // size) for start in corner
            )
            if any(span.start >= span.stop for span in window):
                raise ValueError(
                    f"{self.address}: takes patches of {size} px, and crops of {tile.size} px hold "
                    "none; raise comparisons.crop_size"
                )
            first, second = (
                planes[side][:, *window].mean(axis=(1, 2), dtype=np.float64)
                for planes, side in zip((tile.first, tile.second), pair, strict=True)
            )
            norm = np.linalg.norm(first) * np.linalg.norm(second)
            sums[number, 0] = first @ second / norm if norm else 0.0
        return sums


def _modified(address: str) -> int:
    """Return the time at which a network's file was written.

    Raises
    ------
    ValueError
        If there is no file.
    """
    folder, name = Folder.at(address)
    if not folder.exists(name):
        raise ValueError(f"{address}: no such network")
    return folder.modified(name)


def network_samples(address: str) -> str | None:
    """Return the type of a network's samples, ``int8`` residuals or ``uint8`` pixels.

    A pair network's are residuals. None for a Siamese network, which takes both, and for a file
    that is missing or damaged.
    """
    if _is_pairnet(address):
        return "int8"
    layers = _layers(address)
    if not _is_classifier(address) or "scaled" not in layers:
        return None
    return "uint8" if layers["scaled"].get("offset") else "int8"


def _is_classifier(address: str) -> bool:
    """Return whether a file holds a network of patches; a missing or damaged one does not."""
    first = next(iter(_layers(address).values()), {})
    shape = first.get("batch_shape")
    return isinstance(shape, list) and len(shape) == 4


def _is_pairnet(address: str) -> bool:
    return EVIDENCE in _layers(address)


def _layers(address: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the configuration of a file's layers by their names; empty if it holds no network."""
    folder, name = Folder.at(address)
    return _read_layers(address, folder.modified(name)) if folder.exists(name) else {}


@lru_cache(maxsize=16)
def _read_layers(address: str, modified: int) -> Mapping[str, Mapping[str, Any]]:  # noqa: ARG001
    folder, name = Folder.at(address)
    try:
        with opened_archive(folder.read(name)) as archive:
            layers = json_member(archive, "config.json")["config"]["layers"]
        return {layer["config"]["name"]: dict(layer["config"]) for layer in layers}
    except (KeyError, TypeError, ValueError):
        return {}


@lru_cache(maxsize=4)
def _embedding(address: str, modified: int) -> Any:  # noqa: ARG001 - of another file
    import keras

    from camid.comparison.networks.files import read_network

    network = read_network(*Folder.at(address))
    return keras.Model(network.input, network.get_layer("embedding").output)


@lru_cache(maxsize=4)
def _towers(address: str, modified: int) -> _Towers:  # noqa: ARG001 - of another file
    from camid.comparison.networks.files import read_network

    return _Towers(read_network(*Folder.at(address)))
