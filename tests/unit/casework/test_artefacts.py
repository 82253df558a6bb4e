"""What photographs of different cameras share is taken for no sensor; edited ones are found."""

import io
import math

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from camid.casework.alignment import query_plane
from camid.casework.binarized import Patterns
from camid.casework.fingerprint_sums import Sample
from camid.casework.identify_answer import match_llr
from camid.casework.reference_population import IDENTIFICATION_FILE, shipped_reference
from camid.casework.search import BUDGET, identify
from camid.casework.spread import MOST
from camid.casework.verbal_scale import DECIDED
from camid.casework.verify_scores import verdict
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.dataset.simulate.artefacts import EDITS, LOSSLESS, SHARED
from camid.io.images import pixels

SETTINGS = Simulate(
    num_devices=2,
    num_models=2,
    sizes=((448, 384),),
    portraits=0,
    pattern_strength=0.007,
    pattern_spread=0,
)
NUM_ENROLLED = 8
STARK = ("watermark", "dither", "grain")
"""Artefacts that alone make strangers agree."""


@pytest.fixture(scope="module")
def photographs():
    """Photographs of two phones' walls, those that enrol and a few more."""
    return [
        [pixels(phone.photograph("background", n + 1)) for n in range(NUM_ENROLLED + 3)]
        for phone in phones(SETTINGS, seed=8)
    ]


def written(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95)
    return np.asarray(Image.open(file).convert("RGB"))


def pattern(images):
    first, *others = [Sample.of(image).half() for image in images]
    for half in others:
        first = first.plus(half)
    return first.whitened()


def llr(image, known, *, budget=0):
    ranking = identify(query_plane(image), Patterns({"A": known}), budget=budget, most=MOST)
    reference = shipped_reference(IDENTIFICATION_FILE)
    return max((match_llr(match, reference) for match in ranking.candidates), default=-math.inf)


@pytest.mark.parametrize("name", SHARED)
def test_an_artefact_that_cameras_share_supports_no_camera_and_hides_none(photographs, name):
    mine, theirs = (
        [written(SHARED[name](image, n)) for n, image in enumerate(side)] for side in photographs
    )
    known = pattern(mine[:NUM_ENROLLED])
    assert all(llr(image, known) < DECIDED for image in theirs[NUM_ENROLLED:])
    assert all(llr(image, known) >= DECIDED for image in mine[NUM_ENROLLED:])


@pytest.mark.parametrize("name", STARK)
def test_a_stark_artefact_s_agreement_is_seen_and_not_counted(photographs, name):
    mine, theirs = (
        [written(SHARED[name](image, n)) for n, image in enumerate(side)] for side in photographs
    )
    plane = query_plane(theirs[-1])
    known = pattern(mine[:NUM_ENROLLED])
    raw = float((plane * known).sum() / math.sqrt((plane**2).sum() * (known**2).sum()))
    assert raw * math.sqrt(plane.size) > 6


@pytest.mark.parametrize("name", SHARED)
def test_sides_of_two_cameras_with_an_artefact_are_no_more_of_one_than_without(photographs, name):
    mine, theirs = (
        [written(SHARED[name](image, n)) for n, image in enumerate(side[:6])]
        for side in photographs
    )
    assert verdict(mine[:3], theirs[:3]).llr < DECIDED
    assert verdict(mine[:3], mine[3:]).llr >= DECIDED


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_photograph_is_found_and_a_stranger_s_is_not(photographs, name):
    mine, theirs = photographs
    known = pattern(mine[:NUM_ENROLLED])
    assert llr(written(EDITS[name](mine[-1], 0)), known, budget=BUDGET) >= DECIDED
    assert llr(written(EDITS[name](theirs[-1], 0)), known, budget=BUDGET) < DECIDED


@pytest.mark.parametrize("name", LOSSLESS)
def test_what_agrees_in_the_finest_detail_alone_supports_no_camera_and_excludes_none(
    photographs, name
):
    mine, theirs = (
        [LOSSLESS[name](image, n) for n, image in enumerate(side)] for side in photographs
    )
    known = pattern(mine[:NUM_ENROLLED])
    plain = pattern(photographs[0][:NUM_ENROLLED])
    assert all(llr(image, known) < DECIDED for image in theirs[NUM_ENROLLED:])
    assert all(llr(image, plain) >= DECIDED for image in photographs[0][NUM_ENROLLED:])
    assert abs(verdict(mine[:3], theirs[:3]).llr) < DECIDED
    assert verdict(mine[:3], mine[3:6]).llr > -DECIDED


def tiled(image, period):
    """Return a photograph with tiles of noise whose period divides nothing else."""
    height, width = image.shape[:2]
    tile = np.random.default_rng(period).uniform(-1.5, 1.5, (period, period, 1))
    plane = np.tile(tile, (height // period + 1, width // period + 1, 1))[:height, :width]
    return np.clip(np.rint(0.95 * image + plane), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("period", [37, 75, 100])
def test_tiles_of_any_period_support_no_camera(photographs, period):
    mine, theirs = ([written(tiled(image, period)) for image in side] for side in photographs)
    known = pattern(mine[:NUM_ENROLLED])
    assert all(llr(image, known) < DECIDED for image in theirs[NUM_ENROLLED:])
    assert verdict(mine[:3], theirs[:3]).llr < DECIDED


def partly_noisy(image, share, strength):
    """Return a photograph with the same noise as others added to a share of it, from the left."""
    height, width = image.shape[:2]
    noise = gaussian_filter(np.random.default_rng(5).standard_normal((height, width)), 0.8)
    noise *= strength / noise.std() * (np.arange(width) < share * width)
    return np.clip(np.rint(image + noise[..., None]), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("strength", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("share", [0.2, 0.35, 0.5])
def test_noise_that_software_adds_to_a_part_is_no_evidence_between_sides(
    photographs, share, strength
):
    mine, theirs = (
        [written(partly_noisy(image, share, strength)) for image in side[:4]]
        for side in photographs
    )
    assert verdict(mine[:2], theirs[:2]).llr < DECIDED
    assert verdict(mine, theirs).llr < DECIDED
