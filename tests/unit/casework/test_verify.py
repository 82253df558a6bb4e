"""Two sets of photographs, on simulated cameras whose patterns are planted."""

import math
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from camid.casework.quality import GRADES, NOTHING
from camid.casework.reference_population import IDENTIFICATION_FILE, VERIFICATION_FILE
from camid.casework.verbal_scale import DECIDED
from camid.casework.verify import compared_shapes, verification
from camid.casework.verify_scores import Sides, verdict
from camid.casework.verify_sides import LEAST_SIDE, compared_strips, turns_between
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.evaluation.fusion import shipped_fusion
from camid.io.images import header, pixels

SETTINGS = Simulate(
    num_devices=3,
    num_models=2,
    sizes=((384, 512),),
    portraits=0,
    pattern_strength=0.01,
    pattern_spread=0,
)
"""The first and the third are of one model."""
TOP, LEFT = 83, 42
"""Of what is cropped."""
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    "</rdf:RDF></x:xmpmeta>"
)
"""An orientation that Pillow finds only as it decodes a TIFF."""


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


@pytest.fixture(scope="module")
def whole(devices, tmp_path_factory):
    """Return the first camera's photographs as files of 384x512 px."""
    return saved(tmp_path_factory.mktemp("whole"), devices[0])


@pytest.fixture(scope="module")
def cropped(devices, tmp_path_factory):
    """Return the same cropped to 320x380 px."""
    images = [image[TOP : TOP + 380, LEFT : LEFT + 320] for image in devices[0]]
    return saved(tmp_path_factory.mktemp("cropped"), images)


@pytest.fixture(scope="module")
def searched(whole, cropped):
    """Return the answer of three photographs and one that was cropped."""
    return answered(whole[:3], cropped[3:])


def saved(folder, images):
    paths = [str(folder / f"{number}.png") for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


def answered(first, second, **how):
    return verification([first, second], **how)[0]


def left_out(answer):
    return {one["path"]: one["reason"] for one in answer["left_out"]}


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
    assert same.llr == pytest.approx(min(math.log(mean), same.high))
    fusion = shipped_fusion()
    assert fusion.low == same.low <= same.llr <= same.high
    assert same.high == pytest.approx(fusion.high - math.log(len(same.turns)))


def test_the_order_of_photographs_changes_nothing(devices, same):
    found = verdict(devices[0][1::-1], devices[0][:1:-1])
    assert found.llr == pytest.approx(same.llr, abs=1e-6)


@pytest.mark.parametrize("number", [1, 3])
def test_a_cameras_own_photographs_outdo_others_whatever_their_number(devices, number):
    own, *others = (verdict(devices[0][:number], some[number:]).llr for some in devices)
    assert own > max(0, *others)


def test_images_may_come_one_at_a_time(devices, same):
    found = verdict(iter(devices[0][:2]), iter(devices[0][2:]))
    assert (found.llr, found.turns) == (same.llr, same.turns)


def test_sides_take_images_of_their_shape_alone(devices):
    sides = Sides((512, 384), (512, 384))
    sides.add(devices[0][0], side=0, visibility=NOTHING)
    with pytest.raises(ValueError, match="expected an image of 384x512 px, got 384x256"):
        sides.add(devices[0][1][:256], side=1, visibility=NOTHING)
    with pytest.raises(ValueError, match="a side without one"):
        sides.verdict()


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


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        # a size that both have, though each has more of another
        ([(6, 8)] * 3 + [(3, 4)], [(5, 9)] * 3 + [(3, 4)] * 2, ((3, 4), (3, 4))),
        ([(6, 8)] * 3 + [(3, 4)], [(5, 9)] * 3 + [(4, 3)] * 2, ((3, 4), (4, 3))),
        # the commonest of those
        ([(3, 4)] * 2 + [(6, 8)], [(3, 4), (6, 8)], ((3, 4), (3, 4))),
        ([(3, 4)] * 3 + [(4, 3)] * 2, [(4, 3)] * 3 + [(3, 4)] * 2, ((3, 4), (4, 3))),
        # as common: the most pixels, then alike
        ([(600, 800), (768, 1024)], [(768, 1024), (600, 800)], ((768, 1024), (768, 1024))),
        ([(4, 3), (3, 4)], [(3, 4), (4, 3)], ((3, 4), (3, 4))),
        # none that both have: each side's commonest, of which the most pixels
        ([(6, 8)] * 2 + [(9, 9)], [(5, 9)] * 2 + [(70, 70)], ((6, 8), (5, 9))),
        ([(600, 800), (768, 1024)], [(5, 9)], ((768, 1024), (5, 9))),
    ],
)
def test_the_commonest_size_that_both_sides_have_is_compared(first, second, chosen):
    assert compared_shapes(first, second) == chosen
    assert compared_shapes(first[::-1], second[::-1]) == chosen
    assert compared_shapes(second, first) == chosen[::-1]


def test_what_has_another_size_than_both_sides_have_is_left_out_with_the_reason(whole, cropped):
    found = answered([*whole[:2], cropped[2]], [cropped[3]])
    assert found["place"] is None
    assert [[one["path"] for one in side] for side in found["sides"]] == [cropped[2:3], cropped[3:]]
    reason = "has 384x512 px, and those of 320x380 px of its side are compared, which the other "
    assert left_out(found) == dict.fromkeys(whole[:2], reason + "side has too")


def test_of_sides_without_a_common_size_the_commonest_is_looked_for(whole, devices, tmp_path):
    sizes = [(380, 320), (380, 320), (400, 320)]
    images = [devices[0][3][:height, :width] for height, width in sizes]
    images[1] = devices[0][2][:380, :320]
    paths = saved(tmp_path, images)
    found = answered(whole[:2], paths)
    assert found["place"]["side"] == "second"
    reason = "has 320x400 px, and those of 320x380 px of its side are compared, as no size is "
    assert left_out(found) == {paths[2]: reason + "commoner there"}


def test_photographs_that_carry_no_answer_choose_no_size(whole, tmp_path):
    black = np.zeros((600, 600, 3), np.uint8)
    paths = saved(tmp_path, [black, black + 1, black + 2])
    found = answered([*paths[:2], whole[0]], [paths[2], whole[1]])
    assert [[one["path"] for one in side] for side in found["sides"]] == [whole[:1], whole[1:2]]
    assert {*left_out(found)} == {*paths}
    assert all("no sensor noise" in reason for reason in left_out(found).values())


@pytest.mark.parametrize("question", ["of one size", "of two sizes"])
def test_no_photograph_is_held_while_the_next_is_read(whole, cropped, question):
    second = whole[3:] if question == "of one size" else cropped[3:]
    held = {}

    def tell(words):
        held[words] = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        answered(whole[:3], second, tell=tell)
    finally:
        tracemalloc.stop()
    assert held["first side: 3 of 3"] - held["first side: 2 of 3"] < 384 * 512


def test_what_is_being_done_is_told(whole):
    told = []
    answered(whole[:2], whole[2:3], tell=told.append)
    assert told[:7] == [
        "first side: header 1 of 2",
        "first side: header 2 of 2",
        "second side: header 1 of 1",
        "first side: 1 of 2",
        "first side: 2 of 2",
        "second side: 1 of 1",
        "comparing the sides",
    ]
    assert any(words.startswith("looking for the second side in the other") for words in told[7:])


def test_the_answer_of_files_is_that_of_their_pixels(whole, same):
    found = answered(whole[:2], whole[2:])
    assert found["llr"] == pytest.approx(same.llr, rel=1e-5)
    assert found["reference"] == VERIFICATION_FILE
    assert found["grade"] == max(
        (one["grade"] for side in found["sides"] for one in side), key=GRADES.index
    )
    assert [one["size"] for side in found["sides"] for one in side] == ["384x512"] * 4


def test_a_file_whose_header_promises_another_size_is_left_out(whole, devices, tmp_path):
    path = tmp_path / "turned.tif"
    Image.fromarray(devices[0][3]).save(path, tiffinfo={700: XMP.encode()})
    with path.open("rb") as file:
        assert header(file).width != pixels(path.read_bytes()).shape[1]
    reason = "its header promises 512x384 px, and its pixels are 384x512"
    found = answered(whole[:1], [str(path)])
    assert found["decision"] == "refused"
    assert left_out(found) == {str(path): reason}


def test_a_file_that_changes_while_it_is_read_is_left_out(whole, devices, tmp_path):
    paths = saved(tmp_path, devices[0][2:])

    def tell(words):
        if words == "second side: 1 of 2":
            saved(tmp_path, devices[1][:1])

    found = answered(whole[:2], paths, tell=tell)
    assert left_out(found) == {paths[0]: "was changed while it was read"}
    assert [one["path"] for one in found["sides"][1]] == paths[1:]


def test_the_side_that_was_looked_for_is_told(searched, whole, cropped):
    assert searched["decision"] == "same"
    place = searched["place"]
    assert (place["side"], place["top"], place["left"]) == ("second", TOP, LEFT)
    swapped = answered(cropped[3:], whole[:3])
    assert swapped["place"] == place | {"side": "first"}
    assert swapped["llr"] == searched["llr"]


def test_the_search_says_which_hypothesis_it_tries(whole, cropped):
    told = []
    answered(cropped[3:], whole[:1], tell=told.append)
    assert "looking for the first side in the other, turn 90°, scale 1" in told


def test_a_search_for_several_photographs_is_told_to_be_approximate(searched, whole, cropped):
    assert searched["reference"] == IDENTIFICATION_FILE
    assert not any("approximate" in words for words in searched["warnings"])
    found = answered(whole[:2], cropped[2:])
    assert found["warnings"][0] == (
        "the second side, of 2 photographs, was looked for in the other; such likelihood ratios "
        "were calibrated with single photographs against fingerprints, so that this one is "
        "approximate"
    )


def test_an_answer_that_is_refused_is_of_no_reference(whole, tmp_path):
    path = tmp_path / "none.jpg"
    path.write_text("no photograph")
    found = answered(whole[:1], [str(path)])
    assert (found["decision"], found["reference"], found["place"]) == ("unreadable", None, None)
    assert found["answer"] == "No answer: no photograph of the second side can be used."
