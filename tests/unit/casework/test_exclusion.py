"""Two cameras are stated only where one would have been found."""

import io

import numpy as np
import pytest
from PIL import Image

from camid.casework.exclusion import FOUND, SidePatterns
from camid.casework.quality import quality
from camid.casework.verify import verification
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.io.images import pixels

STRONG = Simulate(
    num_devices=2,
    num_models=2,
    sizes=((640, 512),),
    portraits=0,
    pattern_strength=0.02,
    pattern_spread=0,
)
NUM = 4


@pytest.fixture(scope="module")
def walls():
    return [
        [phone.photograph("background", number) for number in range(2 * NUM)]
        for phone in phones(STRONG, seed=21)
    ]


def side(photographs, folder, edit=lambda image: image):
    folder.mkdir()
    for number, data in enumerate(photographs):
        with Image.open(io.BytesIO(data)) as image:
            edit(image).save(folder / f"{number}.jpg", quality=95)
    return [str(folder)]


EDITS = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned a little": lambda image: image.rotate(1.5, Image.Resampling.BICUBIC),
}


@pytest.mark.parametrize("edit", EDITS)
def test_one_camera_s_edited_photographs_are_found_though_they_lie_otherwise(walls, tmp_path, edit):
    first = side(walls[0][:NUM], tmp_path / "first")
    second = side(walls[0][NUM:], tmp_path / "second", EDITS[edit])
    answer, _ = verification([first, second])
    assert answer["decision"] == "same"


def test_two_cameras_whose_patterns_show_are_said_to_be_two(walls, tmp_path):
    sides = [side(walls[n][:NUM], tmp_path / str(n)) for n in range(2)]
    answer, _ = verification(sides)
    assert answer["decision"] == "different"


@pytest.mark.parametrize("strength", [0.0001, 0.0005])
def test_cameras_whose_patterns_do_not_show_are_not_excluded(tmp_path, strength):
    weak = Simulate(**{**vars(STRONG), "pattern_strength": strength})
    shots = [[p.photograph("foreground", n) for n in range(NUM)] for p in phones(weak, seed=2)]
    answer, _ = verification([side(own, tmp_path / str(n)) for n, own in enumerate(shots)])
    assert answer["decision"] == "undecided"
    assert answer["llr"] > -np.log(10)


def test_more_photographs_and_stronger_patterns_make_one_camera_surer_to_be_found(walls):
    def expected(*numbers):
        patterns = SidePatterns()
        for number, count in enumerate(numbers):
            for data in walls[number][:count]:
                image = pixels(data)
                patterns.add(image, side=number, visibility=quality(image).visibility)
        return patterns.expected_score()

    assert FOUND < expected(2, 2) < expected(4, 4) < expected(8, 8)
