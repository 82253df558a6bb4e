import numpy as np
import pytest

from camid.dataset.simulate.artefacts import EDITS, SHARED, date, dither, stamp


@pytest.fixture
def image(rng):
    return rng.integers(30, 220, (200, 300, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", SHARED)
def test_an_artefact_changes_pixels_and_neither_their_number_nor_the_photograph(image, name):
    before = image.copy()
    made = SHARED[name](image, 3)
    assert (made.shape, made.dtype) == (image.shape, np.uint8)
    assert (made != image).any()
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(SHARED[name](image, 3), made)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_leaves_a_picture_of_about_that_size(image, name):
    made = EDITS[name](image, 0)
    assert made.dtype == np.uint8
    assert made.shape[2] == 3
    assert all(
        0.85 * side <= new <= side for new, side in zip(made.shape, image.shape, strict=True)
    )


@pytest.mark.parametrize("artefact", [date, stamp])
def test_dates_change_from_photograph_to_photograph_in_one_place(image, artefact):
    first, second = artefact(image, 1), artefact(image, 2)
    rows = np.flatnonzero((first != second).any(axis=(1, 2)))
    assert len(rows)
    assert rows.min() > 0.8 * len(image)


def test_a_dither_is_half_a_grey_level_before_rounding_and_repeats():
    flat = np.full((256, 384, 3), 101, np.uint8)
    made = dither(flat, 0).astype(int)
    assert set(np.unique(made)) <= {95, 96, 97}
    np.testing.assert_array_equal(made[:128, :128], made[128:, 256:])
