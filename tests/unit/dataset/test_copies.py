"""Copies of one photograph are found by what they show, and get one scene."""

import io

import numpy as np
import pytest
from PIL import Image

from camid.config import Simulate
from camid.dataset.copies import BAND_BITS, copies, with_scenes_of_copies
from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord
from camid.dataset.simulate import phones
from camid.io.images import pixels
from camid.io.scene_hash import SAME, scene_hash

DIGITS = 64


def flipped(shown, places):
    """Return a hash with the bits at some places flipped."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(shown), np.uint8))
    bits[places] ^= 1
    return np.packbits(bits).tobytes().hex()


def drawn(rng):
    return rng.bytes(DIGITS // 2).hex()


def table(*rows):
    """Return a table of images by device and scene."""
    return ImageTable.of(
        ImageRecord(image_id=f"{n:03d}", device=device, scene=scene, path=f"{n}.jpg")
        for n, (device, scene) in enumerate(rows)
    )


def hashes(*shown):
    return np.array([one.encode() for one in shown], "S64")


def scenes(images, shown):
    return [record.scene for record in with_scenes_of_copies(images, hashes(*shown))]


@pytest.mark.parametrize("num_bits", [0, 1, 20, SAME])
def test_copies_by_one_device_are_found_to_the_last_bit_that_copies_differ_in(num_bits):
    rng = np.random.default_rng(num_bits)
    shown = [drawn(rng) for _ in range(50)]
    shown.append(flipped(shown[7], rng.permutation(256)[:num_bits]))
    pairs = copies(hashes(*shown), np.zeros(51, np.int32))
    assert np.unique(pairs, axis=1).tolist() == [[7], [50]]


def test_what_differs_in_more_bits_is_no_copy():
    rng = np.random.default_rng(3)
    one = drawn(rng)
    other = flipped(one, rng.permutation(256)[: SAME + 1])
    assert copies(hashes(one, other), np.zeros(2, np.int32)).size == 0


def test_a_received_photograph_is_found_whoever_has_it():
    rng = np.random.default_rng(4)
    shown = [drawn(rng) for _ in range(200)]
    received = [flipped(one, rng.permutation(256)[:12]) for one in shown[:100]]
    numbers = np.arange(300)
    pairs = np.unique(copies(hashes(*shown, *received), numbers), axis=1)
    assert pairs.tolist() == [list(range(100)), list(range(200, 300))]


def test_hashes_that_agree_in_no_band_are_compared_within_a_device_alone():
    one = "0" * DIGITS
    other = f"{1:0{BAND_BITS // 4}x}" * (256 // BAND_BITS)
    assert copies(hashes(one, other), np.array([0, 1])).size == 0
    assert copies(hashes(one, other), np.array([0, 0])).tolist() == [[0], [1]]


def test_copies_get_the_scene_of_the_first_that_has_one_and_all_of_their_scenes_are_one():
    rng = np.random.default_rng(5)
    a, b, c, d = (drawn(rng) for _ in range(4))
    images = table(("x", ""), ("x", "wall"), ("y", ""), ("y", "tree"), ("y", "tree"), ("z", "sky"))
    assert scenes(images, [a, b, a, b, c, d]) == [
        "copies of 000",
        "tree",
        "copies of 000",
        "tree",
        "tree",
        "sky",
    ]


def test_photographs_that_show_nothing_and_others_keep_their_scenes():
    rng = np.random.default_rng(6)
    images = table(("x", ""), ("x", "wall"), ("y", ""))
    assert scenes(images, ["", "", ""]) == ["", "wall", ""]
    assert scenes(images, [drawn(rng) for _ in range(3)]) == ["", "wall", ""]


def test_saved_again_and_smaller_a_photograph_is_a_copy_and_the_next_is_none():
    (phone,) = phones(Simulate(num_devices=1, num_models=1, sizes=((480, 360),)), seed=8)
    shown = [pixels(phone.photograph("foreground", number)) for number in range(8)]
    textured = [rgb for rgb in shown if scene_hash(rgb)]
    number = len(textured)
    assert number > 1
    every = [scene_hash(rgb) for rgb in [*textured, *map(smaller, textured)]]
    pairs = np.unique(copies(hashes(*every), np.arange(2 * number)), axis=1)
    assert pairs.T.tolist() == [[n, n + number] for n in range(number)]


def smaller(rgb):
    file, image = io.BytesIO(), Image.fromarray(rgb)
    image.resize((image.width // 2, image.height // 2)).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))
