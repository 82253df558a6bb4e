import io

import numpy as np
import pytest
from PIL import Image

from camid.config import Simulate
from camid.images import grey, pixels
from camid.matching import ncc
from camid.metrics import roc_auc
from camid.patterns import reference_pattern
from camid.residuals import residual
from camid.simulate import phones, photograph_names
from camid.sources.socrates import place

SETTINGS = Simulate(
    num_devices=4, num_models=2, width=384, height=256, pattern_strength=0.02, quality=95
)


@pytest.fixture(scope="module")
def four_phones():
    return phones(SETTINGS, seed=5)


def residuals(phone, kind, numbers):
    return np.stack([grey(residual(pixels(phone.photograph(kind, n)))) for n in numbers])


def test_equal_seeds_give_equal_bytes(four_phones):
    again = phones(SETTINGS, seed=5)[1]
    assert again.photograph("foreground", 3) == four_phones[1].photograph("foreground", 3)
    other = phones(SETTINGS, seed=6)[1]
    assert other.photograph("foreground", 3) != again.photograph("foreground", 3)


def test_no_two_photographs_show_the_same(four_phones):
    phone = four_phones[0]
    taken = {phone.photograph(kind, n) for kind in ("background", "foreground") for n in (1, 2)}
    assert len(taken) == 4


def test_a_planted_pattern_is_found_again(four_phones):
    phone, other = four_phones[0], four_phones[1]
    found = reference_pattern(residuals(phone, "background", range(8)))
    assert ncc(found, phone.pattern()) > 0.25
    assert abs(ncc(found, other.pattern())) < 0.02


def test_more_images_find_the_pattern_better(four_phones):
    phone = four_phones[1]
    taken = residuals(phone, "background", range(16))
    correlations = [ncc(reference_pattern(taken[:n]), phone.pattern()) for n in (1, 4, 16)]
    assert correlations == sorted(correlations)
    assert correlations[2] > 1.2 * correlations[0]


def test_a_photograph_correlates_with_its_own_device(four_phones):
    patterns = [reference_pattern(residuals(p, "background", range(8))) for p in four_phones]
    labels, scores = [], []
    for own, phone in enumerate(four_phones):
        for noise in residuals(phone, "foreground", range(3)):
            labels += [int(own == column) for column in range(len(patterns))]
            scores += [ncc(noise, pattern) for pattern in patterns]
    assert roc_auc(labels, scores) == 1


def test_devices_of_one_model_share_everything_but_the_pattern(four_phones):
    one, two = four_phones[0], four_phones[2]
    assert (one.make, one.model, one.quality, one.gamma) == (
        two.make,
        two.model,
        two.quality,
        two.gamma,
    )
    assert abs(ncc(one.pattern(), two.pattern())) < 0.02


def test_photographs_have_the_names_and_exif_of_socrates(four_phones):
    names = [name for *_, name in photograph_names(four_phones[0], SETTINGS)]
    assert len(names) == SETTINGS.num_background + SETTINGS.num_foreground
    assert {place(name).device for name in names} == {"100"}
    exif = Image.open(io.BytesIO(four_phones[0].photograph("background", 1))).getexif()
    assert (exif[271], exif[272]) == (four_phones[0].make, four_phones[0].model)


def test_a_device_does_not_depend_on_how_many_there_are(four_phones):
    more = phones(Simulate(**{**vars(SETTINGS), "num_devices": 9}), seed=5)
    assert more[:4] == four_phones
