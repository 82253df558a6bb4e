import io

import numpy as np
import pytest
from PIL import Image

from camid.casework.quality import GRADES, MIN_SIDE, REFUSED, quality
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.io.images import pixels

SETTINGS = Simulate(num_devices=1, num_models=1, sizes=((768, 512),), portraits=0)


@pytest.fixture(scope="module")
def phone():
    return phones(SETTINGS, seed=2)[0]


@pytest.fixture(scope="module")
def wall(phone):
    return pixels(phone.photograph("background", 1))


def noisy(level, *, deviation=1.5, shape=(256, 256)):
    noise = np.random.default_rng(1).normal(level, deviation, (*shape, 1))
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8).repeat(3, axis=2)


def written(rgb, quality):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=quality)
    return pixels(file.getvalue())


def named(found, word):
    return [words for words in found.warnings if words.startswith(word)]


def test_a_wall_is_of_the_best_grade_and_nothing_is_warned_of(wall):
    found = quality(wall)
    assert (found.width, found.height) == (768, 512)
    assert (found.grade, found.warnings, found.reason) == ("A", (), "")


def test_less_of_a_photograph_is_worth_less_and_never_of_a_better_grade(wall):
    found = [quality(wall[:side, :side]) for side in (128, 192, 256, 512)]
    evidence = [one.evidence for one in found]
    grades = [GRADES.index(one.grade) for one in found]
    assert evidence == sorted(evidence)
    assert grades == sorted(grades, reverse=True)
    assert grades[0] > grades[-1]


def test_brighter_pixels_carry_more_and_textured_ones_less():
    dim, bright = quality(noisy(60)), quality(noisy(180))
    assert 5 < bright.evidence / dim.evidence < 12
    squares = np.random.default_rng(2).integers(-40, 40, (64, 64, 1)).repeat(4, 0).repeat(4, 1)
    textured = quality((noisy(128) + squares).astype(np.uint8))
    assert textured.evidence < quality(noisy(128)).evidence / 3
    assert named(textured, "textured: ")
    assert not named(bright, "textured: ")


@pytest.mark.parametrize(
    ("rgb", "reason"),
    [
        (np.zeros((300, 400, 3), np.uint8), "100% of it is black"),
        (np.full((300, 400, 3), 255, np.uint8), "100% of it is saturated"),
        (np.full((300, 400, 3), 128, np.uint8), "100% of it has no noise"),
        (noisy(128, shape=(MIN_SIDE - 1, 400)), "400x127 px is too small"),
        (noisy(6, deviation=0.8), "it carries next to no sensor noise"),
    ],
)
def test_what_can_carry_no_answer_is_refused_with_the_reason(rgb, reason):
    found = quality(rgb)
    assert found.grade == REFUSED
    assert found.reason.startswith(reason)


def test_the_least_size_is_not_refused():
    assert quality(noisy(128, shape=(MIN_SIDE, MIN_SIDE))).grade in GRADES


def test_drawings_are_refused():
    y, x = np.mgrid[:512, :512]
    disc = np.where((x - 256) ** 2 + (y - 256) ** 2 < 22500, 220, 20)
    for plane in ((x + y) // 4, disc):
        drawn = plane[..., None].repeat(3, axis=2).astype(np.uint8)
        assert "has no noise" in quality(drawn).reason


def test_a_photograph_that_is_white_in_part_is_kept_and_warned_of(wall):
    burnt = wall.copy()
    burnt[:, :300] = 255
    found = quality(burnt)
    assert found.grade in GRADES
    assert found.saturated == pytest.approx(300 / 768, abs=0.01)
    assert named(found, "saturated: 39% of it is white")


def test_a_dark_photograph_is_warned_of():
    assert named(quality(noisy(25)), "dark: its mean is 25 of 255")
    assert not named(quality(noisy(60)), "dark: ")


def test_strong_compression_is_warned_of_and_lowers_the_grade(wall):
    found = quality(written(wall, 60))
    assert named(found, "strongly compressed: ")
    assert found.grade == "B"
    assert not named(quality(written(wall, 98)), "strongly compressed: ")


def test_enlarging_is_warned_of(phone):
    wall = pixels(phone.photograph("background", 2))
    large = np.asarray(Image.fromarray(wall).resize((1152, 768), Image.Resampling.BICUBIC))
    assert named(quality(large), "resampled: ")
    assert not named(quality(wall), "resampled: ")


def test_what_is_no_colour_image_is_an_error():
    with pytest.raises(ValueError, match=r"expected an image \(height, width, 3\)"):
        quality(np.zeros((256, 256), np.uint8))
