"""Composites are told with their parts; whole pictures have none."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camid.casework.alignment import query_plane
from camid.casework.binarized import Patterns
from camid.casework.composite import Finder
from camid.casework.decisions import NO_DEVICE
from camid.casework.fingerprint_sums import Sample
from camid.casework.identify_answer import identified, match_llr
from camid.casework.photographs import Photograph
from camid.casework.quality import quality
from camid.casework.reference_population import IDENTIFICATION_FILE, shipped_reference
from camid.casework.region_answer import PLACES, UNDECIDED, place_words, region_pictures
from camid.casework.regions import Evidence, Window, absence_llr, absent, outlined, windows
from camid.casework.search import identify
from camid.casework.spread import MOST
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.io.images import pixels

HEIGHT, WIDTH = 384, 448
SETTINGS = Simulate(
    num_devices=3,
    num_models=3,
    sizes=((WIDTH, HEIGHT),),
    portraits=0,
    pattern_strength=0.008,
    pattern_spread=0,
)
NUM_ENROLLED = 10
BUDGET = 10**9
REFERENCE = shipped_reference(IDENTIFICATION_FILE)
SHAPE = 16, 24
SEEDS = st.integers(0, 2**32)


def score_map(seed, strength=1.0):
    """Return a map of a device's picture whose content varies from cell to cell."""
    rng = np.random.default_rng(seed)
    possible = 2 * rng.gamma(4, 0.25, SHAPE)
    varied = strength * rng.lognormal(0, 0.2, SHAPE)
    return Evidence(rng.standard_normal(SHAPE) + varied * possible, possible, (32.0, 32.0))


def replaced(evidence, window, seed):
    """Return a map whose window another device took."""
    scores = evidence.scores.copy()
    rng = np.random.default_rng(seed + 1)
    scores[window.cells] = rng.standard_normal(scores[window.cells].shape)
    return Evidence(scores, evidence.possible, evidence.cell)


@given(SEEDS, st.floats(0, 3))
def test_a_whole_map_has_no_part_whatever_its_strength(seed, strength):
    absence = absent(score_map(seed, strength))
    assert absence is None or absence.counted_llr < 2.3


@given(SEEDS, st.sampled_from([window for window in windows(*SHAPE) if window.height > 4]))
def test_a_replaced_window_is_found_and_outlined(seed, window):
    evidence = replaced(score_map(seed, 2.5), window, seed)
    absence = absent(evidence)
    assert absence.counted_llr > 2.3
    gain = evidence.gain(evidence.without(absence.window).strength())
    assert outlined(-gain, absence.window).overlap(window) > 0.6


@given(SEEDS)
def test_a_part_that_would_show_nothing_stays_undecided(seed):
    evidence = score_map(seed)
    dark = Window(0, 12, 16, 12)
    possible = evidence.possible.copy()
    possible[dark.cells] = 0
    absence = absent(replaced(Evidence(evidence.scores, possible, evidence.cell), dark, seed))
    assert absence is None or absence.counted_llr < 2.3


def test_the_less_is_expected_the_less_is_told():
    ratios = [absence_llr(np.zeros(1), np.array([e]))[0] for e in (0.0, 1.0, 4.0, 8.0, 16.0)]
    assert ratios == sorted(ratios)
    assert ratios[0] == pytest.approx(0)


@given(SEEDS)
def test_a_score_as_expected_speaks_against_another_device(seed):
    expected = np.random.default_rng(seed).uniform(6, 30, 8)
    assert (absence_llr(expected, expected) < 0).all()


@pytest.mark.parametrize("name", PLACES)
def test_a_named_part_has_its_name(name):
    (top, tall), (left, wide) = PLACES[name]
    box = tuple(round(value) for value in (600 * left, 400 * top, 600 * wide, 400 * tall))
    assert place_words(box, (400, 600)) == name


@pytest.fixture(scope="module")
def photographs():
    """Photographs of three phones' walls, those that enrol and a few more."""
    return [
        [pixels(phone.photograph("background", n + 1)) for n in range(NUM_ENROLLED + 2)]
        for phone in phones(SETTINGS, seed=8)
    ]


@pytest.fixture(scope="module")
def known(photographs):
    """The patterns of the first two, by name; the third is a stranger."""
    return {
        name: pattern(some[:NUM_ENROLLED]) for name, some in zip("AB", photographs, strict=False)
    }


def pattern(images):
    first, *others = [Sample.of(image).half() for image in images]
    for half in others:
        first = first.plus(half)
    return first.whitened()


def written(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95)
    return np.asarray(Image.open(file).convert("RGB"))


def asked(image, known, *, budget=0):
    """Return the answer about a picture, and its regions."""
    image = written(np.ascontiguousarray(image))
    plane, gallery = query_plane(image), Patterns(known)
    ranking = identify(plane, gallery, budget=0, num_candidates=None, most=MOST)
    finder = Finder(
        plane=plane,
        rgb=image,
        gallery=gallery,
        llr=lambda match: match_llr(match, REFERENCE),
        budget=budget,
        most=MOST,
    )
    composite = finder.composite(ranking)
    photograph = Photograph(
        path="asked.jpg", sha256="0", rgb=image, claimed="", quality=quality(image)
    )
    answer = identified(photograph, ranking, REFERENCE, num_entries=2, composite=composite)
    return answer, composite


def spliced(image, other, box):
    left, top, width, height = box
    made = image.copy()
    made[top : top + height, left : left + width] = other[top : top + height, left : left + width]
    return made


def told(answer):
    """Return the devices of an answer's regions by their boxes."""
    return {row["device"]: row["box"] for row in answer["regions"]}


def assert_near(box, expected):
    assert box == pytest.approx(expected, abs=64)


HALVES = {
    "left": ((0, 0, WIDTH // 2, HEIGHT), (WIDTH // 2, 0, WIDTH // 2, HEIGHT)),
    "right": ((WIDTH // 2, 0, WIDTH // 2, HEIGHT), (0, 0, WIDTH // 2, HEIGHT)),
    "upper": ((0, 0, WIDTH, HEIGHT // 2), (0, HEIGHT // 2, WIDTH, HEIGHT // 2)),
    "lower": ((0, HEIGHT // 2, WIDTH, HEIGHT // 2), (0, 0, WIDTH, HEIGHT // 2)),
}


@pytest.mark.parametrize("name", HALVES)
def test_two_halves_by_two_devices_are_told_with_both(photographs, known, name):
    mine, theirs = (some[-1] for some in photographs[:2])
    box, rest = HALVES[name]
    answer, _ = asked(spliced(theirs, mine, box), known)
    assert answer["decision"] == UNDECIDED
    assert answer["support"] is answer["llr"] is None
    assert answer["answer"].startswith("Composite: ")
    assert f"the {name} half fits A" in answer["answer"]
    assert_near(told(answer)["A"], box)
    assert_near(told(answer)["B"], rest)
    assert not any("several names" in words for words in answer["warnings"])


def test_a_rectangle_by_another_device_is_told_with_it(photographs, known):
    mine, theirs = (some[-1] for some in photographs[:2])
    box = (128, 96, 192, 160)
    answer, composite = asked(spliced(mine, theirs, box), known)
    assert answer["decision"] == UNDECIDED
    assert_near(told(answer)["B"], box)
    assert "the rest fits A" in answer["answer"]
    (picture,) = region_pictures(composite).values()
    assert picture.startswith(b"\x89PNG")


def test_a_part_by_a_stranger_carries_no_trace(photographs, known):
    mine, _, strange = (some[-1] for some in photographs)
    box = (WIDTH // 2, 0, WIDTH // 2, HEIGHT // 2)
    answer, _ = asked(spliced(mine, strange, box), known)
    assert answer["decision"] == UNDECIDED
    assert "the upper right quarter carries no trace of A where the rest does" in answer["answer"]
    assert_near(told(answer)[NO_DEVICE], box)


def test_a_part_from_elsewhere_on_the_sensor_is_told_so(photographs, known):
    mine, other = photographs[0][-2:]
    box = (WIDTH // 2, 0, WIDTH // 2, HEIGHT)
    answer, _ = asked(spliced(mine, np.roll(other, 100, axis=1), box), known, budget=BUDGET)
    assert answer["decision"] == UNDECIDED
    assert "the right half fits another place of A's sensor" in answer["answer"]


@pytest.mark.parametrize("number", [0, 1])
def test_a_whole_photograph_has_no_regions(photographs, known, number):
    for image in photographs[number][NUM_ENROLLED:]:
        answer, composite = asked(image, known)
        assert answer["regions"] == []
        assert answer["decision"] == "AB"[number]
        assert region_pictures(composite) == {}


def test_a_stranger_s_photograph_has_no_regions(photographs, known):
    answer, composite = asked(photographs[2][-1], known)
    assert composite is None
    assert answer["regions"] == []


@pytest.mark.parametrize("level", [0, 255])
def test_a_black_or_white_part_is_no_composite(photographs, known, level):
    image = photographs[0][-1].copy()
    image[:, WIDTH // 2 :] = level
    answer, _ = asked(image, known)
    assert answer["decision"] == "A"
    assert answer["regions"] == []


def test_a_turned_picture_s_boxes_are_turned(photographs, known):
    mine, theirs = (some[-1] for some in photographs[:2])
    box = (0, 0, WIDTH // 2, HEIGHT)
    answer, _ = asked(np.rot90(spliced(theirs, mine, box)), known)
    assert answer["decision"] == UNDECIDED
    assert_near(told(answer)["A"], (0, WIDTH // 2, HEIGHT, WIDTH // 2))
    assert_near(told(answer)["B"], (0, 0, HEIGHT, WIDTH // 2))


def test_one_camera_under_two_names_is_no_composite(photographs, known):
    twice = {"A": known["A"], "a": known["A"] + 1e-3 * known["B"]}
    answer, _ = asked(photographs[0][-1], twice)
    assert answer["regions"] == []
    assert any("several names" in words for words in answer["warnings"])
