import io
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from camid.config import ArtefactName, Simulate
from camid.dataset.simulate import phones, photograph_names, write_photographs
from camid.dataset.simulate.artefacts import (
    ARTEFACTS,
    EDITS,
    LOSSLESS,
    MOVED,
    SHARED,
    date,
    dither,
    hdr,
    stamp,
)
from camid.io.folder import Folder
from camid.io.images import pixels


@pytest.fixture
def image(rng):
    return rng.integers(30, 220, (200, 300, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", [*SHARED, *LOSSLESS])
def test_an_artefact_changes_pixels_and_neither_their_number_nor_the_photograph(image, name):
    before = image.copy()
    made = ARTEFACTS[name](image, 3)
    assert (made.shape, made.dtype) == (image.shape, np.uint8)
    assert (made != image).any()
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(ARTEFACTS[name](image, 3), made)


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


def test_settings_name_every_artefact_there_is():
    assert get_args(ArtefactName) == tuple(ARTEFACTS)


def test_tiles_of_a_merged_photograph_lie_each_by_a_shift_of_its_own(image):
    wide = np.tile(image, (2, 2, 1))
    made = hdr(wide, 1)
    shifts = set()
    for top, left in ((8, 8), (8, 264), (264, 8), (264, 264)):
        tile = made[top : top + 100, left : left + 100]
        fits = [
            (y, x)
            for y in range(-MOVED, MOVED + 1)
            for x in range(-MOVED, MOVED + 1)
            if np.array_equal(tile, wide[top + y : top + y + 100, left + x : left + x + 100])
        ]
        assert len(fits) == 1
        shifts |= set(fits)
    assert len(shifts) > 1
    assert (hdr(wide, 2) != made).any()


@pytest.fixture(scope="module")
def two_phones():
    settings = Simulate(num_devices=2, num_models=1, sizes=((384, 256),), portraits=0)
    return phones(settings, seed=5)


def written(phone, sender, folder, **settings):
    """Return a phone's photographs, written with settings, by name."""
    given = Simulate(num_background=2, num_foreground=20, **settings)
    names = [name for *_, name in photograph_names(phone, given)]
    folder.make()
    write_photographs(phone, sender, folder, given, names=names)
    return {name: folder.read(name) for name in names}


def test_photographs_are_written_with_artefacts_and_keep_their_exif(two_phones, tmp_path):
    plain, edited = (
        written(*two_phones, Folder(str(tmp_path / name)), artefacts=artefacts)
        for name, artefacts in (("plain", ()), ("edited", ("letterbox", "date")))
    )
    for name, data in edited.items():
        with Image.open(io.BytesIO(data)) as image, Image.open(io.BytesIO(plain[name])) as before:
            assert dict(image.getexif()) == dict(before.getexif())
            assert image.size == before.size
        assert pixels(data)[:20].max() <= 8 < pixels(plain[name])[:20].max()


def test_received_photographs_are_the_sender_s_without_exif_in_the_share_that_is_asked_for(
    two_phones, tmp_path
):
    phone, sender = two_phones
    own, other, mixed = (
        written(*pair, Folder(str(tmp_path / name)), received=share)
        for name, pair, share in (
            ("own", (phone, sender), 0.0),
            ("other", (sender, phone), 0.0),
            ("mixed", (phone, sender), 0.4),
        )
    )
    sent = dict(zip(own, other.values(), strict=True))
    changed = [name for name in own if mixed[name] != own[name]]
    assert 3 <= len(changed) <= 13
    for name in changed:
        assert "picFG" in name
        assert not Image.open(io.BytesIO(mixed[name])).getexif()
        far = np.abs(pixels(mixed[name]).astype(int) - pixels(own[name])).mean()
        assert np.abs(pixels(mixed[name]).astype(int) - pixels(sent[name])).mean() < far / 3
