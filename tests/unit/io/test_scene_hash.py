"""Copies of a photograph are told by what it shows, and other photographs are not."""

import io

import numpy as np
import pytest
from PIL import Image

from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.io.images import pixels
from camid.io.scene_hash import Contents, turned_hashes

SETTINGS = Simulate(num_devices=2, num_models=1, sizes=((480, 360),), portraits=0)
NUM = 6


@pytest.fixture(scope="module")
def scenes():
    return [
        pixels(phone.photograph("foreground", number))
        for phone in phones(SETTINGS, seed=8)
        for number in range(NUM)
    ]


def written(image: Image.Image, quality: int = 75):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return pixels(buffer.getvalue())


COPIES = {
    "again": lambda image: written(image, 60),
    "strongly": lambda image: written(image, 30),
    "half": lambda image: written(image.resize((240, 180))),
    "double": lambda image: written(image.resize((960, 720))),
    "mirrored": lambda image: written(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "turned": lambda image: written(image.transpose(Image.Transpose.ROTATE_90)),
    "upside down": lambda image: written(image.transpose(Image.Transpose.ROTATE_180)),
    "trimmed": lambda image: written(image.crop((3, 3, 477, 357))),
    "brighter": lambda image: written(image.point(lambda level: min(255, level + 8))),
}


@pytest.mark.parametrize("change", COPIES)
def test_a_copy_is_found_whatever_was_done_to_it(scenes, change):
    known = Contents()
    shown = [number for number, scene in enumerate(scenes) if turned_hashes(scene)]
    for number in shown:
        assert known.remember(turned_hashes(scenes[number]), str(number)) is None
    assert len(shown) > NUM
    for number in shown:
        copy = COPIES[change](Image.fromarray(scenes[number]))
        assert known.find(turned_hashes(copy)) == str(number)


def test_no_photograph_is_a_copy_of_another(scenes):
    known = Contents()
    for number, scene in enumerate(scenes):
        assert known.remember(turned_hashes(scene), str(number)) is None


def test_no_two_real_photographs_are_copies(real_photographs):
    known = Contents()
    for folder in sorted(path for path in real_photographs.iterdir() if path.is_dir()):
        for path in sorted(folder.glob("*.jpg"))[:4]:
            assert known.remember(turned_hashes(pixels(path.read_bytes())), str(path)) is None


def test_walls_show_nothing_that_could_be_recognised():
    x = np.linspace(0, 1, 300)
    shading = 90 + 100 * np.outer(x, x)
    rgb = np.repeat(shading[:, :, None], 3, axis=2).astype(np.uint8)
    assert turned_hashes(rgb) == ()
    assert Contents([("", "wall")]).find(turned_hashes(rgb)) is None


def test_what_is_forgotten_is_not_found(scenes):
    hashes = next(filter(None, map(turned_hashes, scenes)))
    known = Contents([(hashes[0], "it")])
    known.forget(["another"])
    assert known.find(hashes) == "it"
    known.forget(["it"])
    assert known.find(hashes) is None
