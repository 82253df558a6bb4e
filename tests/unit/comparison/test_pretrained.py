"""What camid comes with, on cameras that it was not trained on, whose patterns are planted."""

import hashlib
import re
from importlib import resources
from itertools import product

import numpy as np
import pytest

from camid.comparison.methods import METHODS
from camid.comparison.methods.method import Tile
from camid.comparison.methods.pairnet import shipped_network
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.evaluation.fusion import shipped_fusion
from camid.evaluation.metrics import roc_auc
from camid.io.images import pixels
from camid.prnu.luminance import LUMA
from camid.prnu.residual import quantised, residual, restored
from camid.prnu.strips import intensity

SETTINGS = Simulate(
    num_devices=6,
    num_models=3,
    sizes=((320, 320),),
    portraits=0,
    pattern_strength=0.006,
    pattern_spread=0,
)
IMAGES, SIZE, CROP = 2, 320, 128
SHIFT = 24
"""Pixels down and across; a multiple of JPEG's blocks, so that these stay where they were."""
METHOD = METHODS["pairnet"]


@pytest.fixture(scope="module")
def sides():
    """Return two sides of each phone, prepared."""
    found = []
    for phone in phones(SETTINGS, seed=77):
        for side in range(2):
            taken = range(side * IMAGES, (side + 1) * IMAGES)
            images = [pixels(phone.photograph("foreground", number + 1)) for number in taken]
            planes = [
                METHOD.first.gathered.of(
                    restored(quantised(residual(image))), intensity(image[None], LUMA)[0]
                )
                for image in images
            ]
            total = np.sum(planes, axis=0, dtype=np.float32)
            found.append(METHOD.first.prepared(total, IMAGES))
    return np.stack(found)


def llrs(sides, *, shift=0):
    """Return the LLR of every first side with every second one, labels, and their phones."""
    firsts, seconds = sides[0::2], np.roll(sides[1::2], (shift, shift), axis=(2, 3))
    rows = np.array([*product(range(len(firsts)), range(len(seconds)))])
    corners = np.full_like(rows, (SIZE - CROP) // 2)
    sums = METHOD.evidence(Tile(firsts, seconds, rows, corners, CROP))
    return METHOD.score(sums), (rows[:, 0] == rows[:, 1]).astype(int), rows


def test_the_shipped_network_tells_cameras_apart_that_it_has_not_seen(sides):
    found, labels, _ = llrs(sides)
    assert roc_auc(labels, found) > 0.9


def test_what_a_model_leaves_in_all_its_photographs_is_no_evidence(sides):
    """A pattern that is moved is lost; JPEG's blocks and demosaicking are where they were."""
    found, labels, _ = llrs(sides)
    moved, _, _ = llrs(sides, shift=SHIFT)
    assert moved[labels == 1].max() < np.median(found[labels == 1])
    assert moved[labels == 1].mean() < found[labels == 1].mean() / 3
    assert abs(np.median(moved[labels == 1]) - np.median(found[labels == 0])) < 1


def test_phones_of_one_model_are_told_apart(sides):
    found, labels, rows = llrs(sides)
    siblings = (labels == 0) & (rows[:, 0] % 3 == rows[:, 1] % 3)
    assert siblings.sum() == 6
    assert np.median(found[siblings]) < np.median(found[labels == 1])


def test_the_card_names_the_very_file():
    card = (resources.files("camid.comparison.pretrained") / "README.md").read_text()
    (digest,) = re.findall(r"`([0-9a-f]{64})`", card)
    assert digest == hashlib.sha256(shipped_network()).hexdigest()


def test_the_shipped_fusion_takes_both_methods_and_is_bounded():
    fusion = shipped_fusion()
    assert fusion.methods == ("classical", "pairnet")
    assert np.isfinite([fusion.low, fusion.high]).all()
    assert fusion.low < 0 < fusion.high
    assert fusion.llr([[1e9, 1e9], [-1e9, -1e9]]).tolist() == [fusion.high, fusion.low]
