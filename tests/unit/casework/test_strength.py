"""Devices of one model that share a part of their pattern are told from a sensor's own."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from camid.casework.alignment import query_plane
from camid.casework.binarized import Patterns
from camid.casework.decisions import UNDECIDED
from camid.casework.entry_checks import EntryChecks, checked_ranking
from camid.casework.fingerprint_sums import EnrolledImage, Sample, Sums
from camid.casework.identify_answer import local, match_llr
from camid.casework.quality import Visibility, quality
from camid.casework.reference_population import IDENTIFICATION_FILE, shipped_reference
from camid.casework.search import identify
from camid.casework.spread import MOST
from camid.casework.strength import LEAST, SideStrength, expected_of_sides
from camid.casework.verbal_scale import DECIDED
from camid.casework.verify import verification
from camid.casework.verify_scores import verdict
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.io.images import pixels

SETTINGS = Simulate(
    num_devices=2,
    num_models=1,
    sizes=((512, 448),),
    portraits=0,
    pattern_strength=0.01,
    pattern_spread=0,
    kinship=(0.5, 0.5),
    quality=98,
)
NUM_ENROLLED = 8
REFERENCE = shipped_reference(IDENTIFICATION_FILE)


def as_jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


EDITS = {
    "as it is": (lambda image: image, 0),
    "written again": (lambda image: as_jpeg(image, 80), 0),
    "cropped and written again": (lambda image: as_jpeg(image[40:360, 24:424], 90), 10**8),
}
"""What was done to photographs, and the budget of a search that finds them."""


@pytest.fixture(scope="module")
def photographs():
    """Photographs of walls by two phones of a model, which share a fifth of their patterns."""
    return [
        [pixels(phone.photograph("background", n + 1)) for n in range(NUM_ENROLLED + 4)]
        for phone in phones(SETTINGS, seed=8)
    ]


@pytest.fixture(scope="module")
def enrolled(photographs):
    """Sums of the first phone's photographs."""
    sums = Sums.empty(*photographs[0][0].shape[:2])
    for number, image in enumerate(photographs[0][:NUM_ENROLLED]):
        detail = quality(image).visibility.detail
        facts = EnrolledImage(sha256=f"{number:064x}", name=str(number), detail=detail)
        sums = sums.plus(facts, Sample.of(image))
    return sums


def asked(image, sums, *, budget=0):
    """Return the ranking of an image, and that which counts."""
    plane = query_plane(image)
    ranking = identify(plane, Patterns({"A": sums.pattern()}), budget=budget, most=MOST)
    checks = EntryChecks.of(sums)
    return ranking, checked_ranking(
        ranking, plane, quality(image).visibility, lambda _: checks, REFERENCE
    )


def llr(ranking):
    return max((match_llr(match, REFERENCE) for match in ranking.candidates), default=-math.inf)


@pytest.mark.parametrize("edit", EDITS)
def test_what_a_model_shares_supports_no_device_and_hides_none(photographs, enrolled, edit):
    change, budget = EDITS[edit]
    mine, theirs = (
        [asked(change(image), enrolled, budget=budget) for image in side[NUM_ENROLLED:]]
        for side in photographs
    )
    assert all(llr(checked) >= DECIDED for _, checked in mine)
    assert any(llr(unchecked) >= DECIDED for unchecked, _ in theirs)
    assert not any(llr(checked) >= DECIDED for _, checked in theirs)


def test_what_a_model_shares_is_said(photographs, enrolled):
    _, checked = asked(photographs[1][-1], enrolled)
    (words,) = local(checked.candidates)
    (candidate,) = checked.candidates
    assert candidate.is_shared
    assert f"{candidate.strength:.0%} of what a photograph like it by that sensor would" in words


def test_photographs_together_by_another_device_of_the_model_support_none(photographs, enrolled):
    checks = EntryChecks.of(enrolled)
    supported = []
    for side in photographs:
        images = side[NUM_ENROLLED:]
        half, *others = [Sample.of(image).half() for image in images]
        for other in others:
            half = half.plus(other)
        plane = half.whitened()
        ranking = identify(plane, Patterns({"A": enrolled.pattern()}), budget=0)
        together = Visibility.together(quality(image).visibility for image in images)
        counted = checked_ranking(ranking, plane, together, lambda _: checks, REFERENCE)
        supported.append([llr(one) >= DECIDED for one in (ranking, counted)])
    assert supported == [[True, True], [True, False]]


@pytest.mark.parametrize(("first", "second"), [(4, 4), (8, 1), (1, 8)])
def test_sides_of_two_devices_of_a_model_are_not_one_camera_s(photographs, first, second):
    mine, theirs = photographs
    one = verdict(mine[:first], mine[-second:])
    two = verdict(mine[:first], theirs[-second:])
    assert one.llr >= DECIDED
    assert max(two.turns.values()) >= DECIDED
    assert two.is_shared
    assert two.llr < DECIDED


def test_an_image_that_an_earlier_camid_enrolled_has_no_known_detail(enrolled):
    images = [EnrolledImage(sha256=one.sha256, name=one.name) for one in enrolled.images]
    older = Sums(images=tuple(images), halves=enrolled.halves)
    strength, known = (EntryChecks.of(sums).strength for sums in (older, enrolled))
    asked_of = Visibility(10_000.0, known.detail / 2)
    scores = [one.expected_score(asked_of, num_pixels=10**9) for one in (strength, known)]
    assert scores[0] == pytest.approx(2 * scores[1], rel=1e-3)


def test_the_expected_score_of_sides_is_that_of_their_halves():
    side = SideStrength(Visibility(1000.0, 0.5), 10_000, 0.5)
    assert expected_of_sides(side, side, num_pixels=900) == pytest.approx(30 * 2 / 3)


def test_a_side_of_one_photograph_has_the_strength_that_the_other_side_makes_expected():
    many = SideStrength(Visibility(4000.0, 0.5), 10_000, 0.5)
    one = SideStrength(Visibility(1000.0, 0.5), 10_000, math.nan)
    # four times less evidence: a signal of 2 to 1 becomes one of 1 to 2
    assert expected_of_sides(many, one, num_pixels=900) == pytest.approx(30 * (2 / 9) ** 0.5)


def test_sides_that_show_nothing_expect_nothing():
    weak = SideStrength(Visibility(1000.0, 0.5), 10_000, 0.01)
    assert expected_of_sides(weak, weak, num_pixels=900) == 0


@pytest.mark.parametrize("left", [0, 64], ids=["of one size", "of two sizes"])
def test_a_verification_says_that_a_model_s_pattern_is_not_counted(photographs, tmp_path, left):
    mine, theirs = photographs
    paths = []
    for name, images, corner in (("mine", mine[:4], 0), ("theirs", theirs[:4], left)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(images):
            file = tmp_path / name / f"{number}.png"
            Image.fromarray(image[corner:, corner:]).save(file)
        paths.append([str(tmp_path / name)])
    answer, _ = verification(paths)
    assert answer["decision"] == UNDECIDED
    words = f"{answer['strength']:.0%} of what one sensor's would, as devices of one model may"
    assert any(words in warning for warning in answer["warnings"])


def test_a_picture_of_which_three_quarters_are_another_s_still_supports_its_own(
    photographs, enrolled
):
    mine, theirs = photographs
    spliced = theirs[-1].copy()
    height, width = (side // 2 for side in spliced.shape[:2])
    spliced[:height, :width] = mine[-1][:height, :width]
    _, checked = asked(spliced, enrolled)
    assert checked.candidates[0].strength < LEAST
    assert llr(checked) >= DECIDED
