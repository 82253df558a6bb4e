"""Copies of one photograph among images, found by what they show: they are of one scene.

Saved again, resized or received by another phone, a copy brings its original's noise along, so that
both must never stand on two sides of a comparison or in two parts of a split.
"""

from itertools import count

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from camid.dataset.manifest import ImageTable
from camid.io.scene_hash import SAME

Rows = NDArray[np.int64]

BAND_BITS, WIDE_BAND_BITS, MANY = 16, 32, 2**20
"""Bits of a band of hashes: images of different devices are compared if they agree in one band, so
that not all need be compared with all. Of hashes that differ in 20 random bits 99 % agree in a band
of 16, of those that differ in 40 72 %. Bands are wider from so many images on."""


def with_scenes_of_copies(images: ImageTable, hashes: NDArray[np.bytes_]) -> ImageTable:
    """Return images of which copies of one photograph have one scene, as have all of their scenes.

    The scene is the first that one of them has, or ``copies of`` the first's id.

    Parameters
    ----------
    hashes
        Of what each image shows, ``(image,)``, as :func:`camid.io.scene_hash.scene_hash` returns
        them, empty where it shows nothing.
    """
    shown = np.flatnonzero(hashes != b"")
    devices, _ = images.texts("device")
    near = shown[copies(hashes[shown], devices[shown])]
    if not near.size:
        return images
    codes, names = images.texts("scene")
    order = np.argsort(codes, kind="stable")
    has_next = np.flatnonzero(
        (np.diff(codes[order]) == 0) & (np.array(names)[codes[order[1:]]] != "")
    )
    first, second = np.concatenate([near, np.stack([order[has_next], order[has_next + 1]])], axis=1)
    links = coo_array((np.ones(len(first), np.bool_), (first, second)), (len(images),) * 2)
    labels = connected_components(links, directed=False)[1]
    scenes = [names[code] for code in codes.tolist()]
    for label in np.unique(labels[near[0]]).tolist():
        members = np.flatnonzero(labels == label).tolist()
        first_id = min(images[row].image_id for row in members)
        scene = min({scenes[row] for row in members} - {""}, default=f"copies of {first_id}")
        for row in members:
            scenes[row] = scene
    return images.replaced(scene=scenes)


def copies(hashes: NDArray[np.bytes_], devices: NDArray[np.integer]) -> Rows:
    """Return pairs ``(2, pair)`` of images, by number, that are copies of one photograph.

    Parameters
    ----------
    hashes
        Of what each image shows, ``(image,)``, 64 hexadecimal digits each.
    devices
        Number of each image's device; all images of a device are compared with each other.

    Examples
    --------
    >>> shown = np.array([b"0" * 64, b"f" * 64, b"0" * 63 + b"1"], "S64")
    >>> np.unique(copies(shown, np.array([0, 0, 1])), axis=1).tolist()
    [[0], [2]]
    """
    if not len(hashes):
        return np.zeros((2, 0), np.int64)
    digits = bytes.fromhex(b"".join(hashes.tolist()).decode())
    words = np.frombuffer(digits, np.uint64).reshape(len(hashes), -1)
    bits = WIDE_BAND_BITS if len(words) > MANY else BAND_BITS
    bands = words.view(f"u{bits // 8}").T
    return np.concatenate([_near(words, keys) for keys in (devices, *bands)], axis=1)


def _near(words: NDArray[np.uint64], keys: NDArray[np.integer]) -> Rows:
    """Return pairs ``(2, pair)`` of rows of equal keys whose hashes differ as copies' do."""
    order = np.argsort(keys, kind="stable")
    ordered, places, pairs = keys[order], np.arange(len(keys)), [np.zeros((2, 0), np.int64)]
    for lag in count(1):
        places = places[places + lag < len(keys)]
        places = places[ordered[places] == ordered[places + lag]]
        if not len(places):
            return np.concatenate(pairs, axis=1)
        pair = np.sort(order[np.stack([places, places + lag])], axis=0)
        distances = np.bitwise_count(words[pair[0]] ^ words[pair[1]]).sum(axis=1)
        pairs.append(pair[:, distances <= SAME])
    raise AssertionError("unreachable")
