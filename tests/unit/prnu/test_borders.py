"""Flat borders: what lies inside them is found, and nothing of them is noise."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from benchmarks.cases import as_jpeg
from camid.casework.alignment import query_plane
from camid.casework.fingerprint_sums import Sample
from camid.prnu.borders import RINGING, inside_borders, residual_inside
from camid.prnu.luminance import grey_levels
from camid.prnu.residual import residual

HEIGHT, WIDTH = 320, 400


@pytest.fixture
def picture():
    rng = np.random.default_rng(3)
    levels = rng.integers(60, 200, (HEIGHT, WIDTH, 1))
    return (levels + np.array([40, 0, -30])).astype(np.uint8)


@pytest.mark.parametrize(
    "borders",
    [(20, 20, 20, 20), (32, 32, 0, 0), (0, 0, 51, 50), (0, 60, 0, 0), (12, 40, 12, 12)],
)
@pytest.mark.parametrize("colours", [(255, 255), (0, 0), (255, 0), (90, 12)])
@pytest.mark.parametrize("quality", [None, 95, 60])
def test_what_lies_inside_a_border_is_found(picture, borders, colours, quality):
    top, bottom, left, right = borders
    picture[:top] = picture[HEIGHT - bottom :] = colours[0]
    picture[top : HEIGHT - bottom, :left] = colours[1]
    picture[top : HEIGHT - bottom, WIDTH - right :] = colours[1]
    read = grey_levels(as_jpeg(picture, quality) if quality else picture)
    for (start, stop), (first, last), side in zip(
        ((part.start, part.stop) for part in inside_borders(read)),
        ((top, bottom), (left, right)),
        (HEIGHT, WIDTH),
        strict=True,
    ):
        assert (start > 0, stop < side) == (first > 0, last > 0)
        assert not first or first <= start <= first + RINGING
        assert not last or side - last - RINGING <= stop <= side - last


@pytest.mark.parametrize("make", [np.asarray, lambda p: p // 128 * 255])
def test_a_picture_without_a_border_is_whole(picture, make):
    assert inside_borders(grey_levels(make(picture))) == (slice(0, HEIGHT), slice(0, WIDTH))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_smooth_sky_is_no_border(picture, axis):
    """Its rows are flat one by one, and each is of another grey."""
    sky = np.linspace(100, 200, picture.shape[axis])
    picture[:] = np.expand_dims(sky, (1 - axis, 2))
    inside = inside_borders(grey_levels(picture))
    assert all(
        part.stop - part.start > 0.8 * side
        for part, side in zip(inside, (HEIGHT, WIDTH), strict=True)
    )


def test_a_picture_that_is_all_border_is_whole(picture):
    picture[:] = 255
    picture[150:170, 200:220] = 0
    assert inside_borders(grey_levels(picture)) == (slice(0, HEIGHT), slice(0, WIDTH))


def test_the_noise_is_that_of_the_inside_alone(picture):
    framed = picture.copy()
    framed[:16] = framed[-16:] = framed[:, :16] = framed[:, -16:] = 255
    inside = inside_borders(grey_levels(framed))
    noise = residual_inside(framed, inside)
    assert_array_equal(noise[inside], residual(np.ascontiguousarray(framed[inside])))
    for plane in (noise, query_plane(framed), *Sample.of(framed)):
        assert plane[inside].any()
        rest = plane.copy()
        rest[inside] = 0
        assert not rest.any()


def test_without_a_border_the_noise_is_the_picture_s(picture):
    window = inside_borders(grey_levels(picture))
    assert_array_equal(residual_inside(picture, window), residual(picture))
