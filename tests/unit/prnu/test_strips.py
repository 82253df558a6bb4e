import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.prnu.strips import assembled, cut, intensity, origin, positions


@given(st.integers(0, 400), st.integers(0, 400), st.sampled_from([32, 64, 96]))
def test_grid_strips_cover_from_the_top_left_without_overlap(height, width, size):
    covered = np.zeros((height, width), int)
    for top, left in positions(height, width, size=size):
        covered[top : top + size, left : left + size] += 1
    rows, columns = height // size * size, width // size * size
    expected = np.zeros_like(covered)
    expected[:rows, :columns] = 1
    np.testing.assert_array_equal(covered, expected)


@given(st.integers(64, 400), st.integers(64, 400))
def test_the_centre_strip_keeps_the_phase_of_the_colour_filter(height, width):
    assert positions(height, width, size=64, layout="centre") == [(0, 0)]
    top, left = origin(height, width, size=64, layout="centre")
    assert top % 2 == left % 2 == 0
    assert 0 <= height - 64 - 2 * top < 4
    assert 0 <= width - 64 - 2 * left < 4


@given(st.integers(64, 400), st.integers(64, 400), st.sampled_from(["grid", "centre"]))
def test_of_an_image_that_is_resized_all_is_one_strip(height, width, layout):
    geometry = {"size": 64, "layout": layout, "prepare": "resize"}
    assert positions(height, width, **geometry) == [origin(height, width, **geometry)] == [(0, 0)]


@pytest.mark.parametrize(
    "geometry", [{}, {"layout": "centre"}, {"prepare": "resize"}], ids=["grid", "centre", "resize"]
)
def test_a_small_image_has_no_strip(geometry):
    assert positions(63, 100, size=64, **geometry) == []
    assert positions(100, 63, size=64, **geometry) == []


def test_an_unknown_layout_is_named():
    with pytest.raises(ValueError, match="expected the layout 'grid' or 'centre', got 'hexagon'"):
        positions(100, 100, layout="hexagon")


def test_assembled_strips_are_the_image_again(rng):
    image = rng.integers(0, 256, (130, 200))
    where = positions(130, 200, size=64)
    strips = cut(image, where, size=64)
    np.testing.assert_array_equal(assembled(strips, where), image[:128, :192])
    both = np.stack([strips, -strips], axis=1)
    np.testing.assert_array_equal(assembled(both, where)[1], -image[:128, :192])


def test_a_strip_beyond_the_image_is_refused():
    with pytest.raises(ValueError, match="64x64 px at .0, 40. reaches beyond 100x80 px"):
        cut(np.zeros((80, 100)), [(0, 40)], size=64)


def test_intensity_is_the_mean_grey_of_sixteen_pixels(rng):
    strips = rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    weights = np.array([0.3, 0.59, 0.11], np.float32)
    found = intensity(strips, weights)
    assert (found.shape, found.dtype) == ((3, 16, 16), np.uint8)
    blocks = (strips @ weights.astype(np.float64)).reshape(3, 16, 4, 16, 4)
    assert np.abs(found - blocks.mean(axis=(2, 4))).max() <= 0.5001
