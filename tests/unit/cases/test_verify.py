"""Two sets of photographs, on simulated cameras whose patterns are planted."""

import math

import numpy as np
import pytest

from camid.cases.verify import LEAST_SIDE, compared_strips, turns_between, verdict
from camid.cases.words import DECIDED
from camid.config import Simulate
from camid.fusion import shipped_fusion
from camid.images import pixels
from camid.simulate import phones

SETTINGS = Simulate(
    num_devices=3,
    num_models=2,
    sizes=((384, 512),),
    portraits=0,
    pattern_strength=0.01,
    pattern_spread=0,
)
"""The first and the third are of one model."""


@pytest.fixture(scope="module")
def devices():
    """Return four photographs of each camera."""
    return [
        [pixels(phone.photograph("foreground", number)) for number in range(1, 5)]
        for phone in phones(SETTINGS, seed=5)
    ]


@pytest.fixture(scope="module")
def same(devices):
    return verdict(devices[0][:2], devices[0][2:])


def test_one_cameras_photographs_are_told_to_be_so(same):
    assert same.llr > DECIDED
    assert same.turn == 0


@pytest.mark.parametrize("other", [1, 2])
def test_two_cameras_photographs_are_not_told_to_be_of_one(devices, other):
    found = verdict(devices[0][:2], devices[other][2:])
    assert found.llr < DECIDED


def test_a_side_that_was_turned_is_told_from_its_pixels(devices, same):
    """Quarter turns leave two ways to lie on the sensor, as no turn does."""
    turned = [np.rot90(image) for image in devices[0][2:]]
    found = verdict(devices[0][:2], turned)
    assert found.turn == 270
    assert found.llr == pytest.approx(same.llr, abs=1e-6)


def test_the_answer_is_the_mean_over_turns_and_within_the_bounds(same):
    mean = np.mean([math.exp(llr) for llr in same.turns.values()])
    assert same.llr == pytest.approx(math.log(mean))
    fusion = shipped_fusion()
    assert fusion.low == same.low <= same.llr <= same.high == fusion.high


def test_the_order_of_photographs_changes_nothing(devices, same):
    found = verdict(devices[0][1::-1], devices[0][:1:-1])
    assert found.llr == pytest.approx(same.llr, abs=1e-6)


def test_any_number_of_photographs_is_taken(devices):
    found = verdict(devices[0][:1], devices[0][1:])
    assert np.isfinite(found.llr)


def test_the_map_has_a_crop_each_and_agrees_where_the_pattern_does(same):
    assert same.heat.size == same.num_crops == 2 * 4
    assert np.median(same.heat) > 1


def test_sides_that_share_no_pixel_are_refused(devices):
    cut = [image[:256] for image in devices[0][2:]]
    with pytest.raises(ValueError, match="384x512 px and the second 384x256 px"):
        verdict(devices[0][:2], cut)


def test_photographs_that_are_too_small_are_refused(devices):
    cut = [image[: LEAST_SIDE - 8, :200] for image in devices[0]]
    with pytest.raises(ValueError, match="too few to carry an answer"):
        verdict(cut[:2], cut[2:])


def test_turns_fit_the_shapes():
    assert turns_between((3, 4), (3, 4)) == (0, 180)
    assert turns_between((3, 4), (4, 3)) == (90, 270)
    assert turns_between((4, 4), (4, 4)) == (0, 90, 180, 270)
    assert turns_between((3, 4), (3, 5)) == ()


@pytest.mark.parametrize("shape", [(128, 128), (300, 1000), (3000, 4000), (255, 777)])
def test_strips_lie_within_the_image_on_the_grid_of_jpegs_blocks(shape):
    size, where = compared_strips(*shape)
    for place in where:
        for start, side in zip(place, shape, strict=True):
            assert 0 <= start <= side - size
            assert start % 8 == 0
    assert len(set(where)) == len(where)
