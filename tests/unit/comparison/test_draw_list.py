import random
from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.comparison.comparison_list import overlap
from camid.comparison.draw_list import drawn_list, gallery_list
from camid.config import Comparisons, Enrolment, Strips, load_config
from camid.dataset.records import ImageRecord
from camid.dataset.splits.gallery import enrolled
from camid.prnu.strips import positions

STRIPS = Strips(size=64)
SETTINGS = Comparisons(num_images=(4, 3), num_pairs=41, crop_size=32, num_crops=(1, 5))
SIZES = {"a": (256, 192), "b": (256, 192), "c": (192, 256), "d": (320, 128), "e": (130, 70)}
ORIGINS = {
    "a": ("Aurora", "one"),
    "b": ("AURORA", "two"),
    "c": ("Borealis", "three"),
    "d": ("Borealis", "three"),
    "e": ("", ""),
}


def image(device, number, *, kind="foreground", **known):
    image_id = f"{device}/{kind}/{number:02d}"
    make, model = ORIGINS.get(device, ("Make", f"model of {device}"))
    width, height = SIZES.get(device, (256, 256))
    facts = {"make": make, "model": model, "width": width, "height": height, "kind": kind}
    return ImageRecord(
        image_id=image_id, path=image_id, device=device, sha256=image_id, **{**facts, **known}
    )


PHONES = [
    image(device, number, kind=kind)
    for device in "abcde"
    for number in range(7)
    for kind in ("background", "foreground")
]
BY_SHA256 = {record.sha256: record for record in PHONES}


def listed(records=PHONES, *, strips=STRIPS, seed=1, **settings):
    return drawn_list(records, settings=replace(SETTINGS, **settings), strips=strips, seed=seed)


def grid(side):
    """Return the positions of a side's images."""
    record = BY_SHA256[side.images[0]]
    return set(positions(record.height, record.width, size=64))


def sides(drawn, comparison):
    return drawn.sides[comparison.first], drawn.sides[comparison.second]


def records_of(side, of=BY_SHA256):
    return [of[sha256] for sha256 in side.images]


DRAWINGS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**40),
        "num_pairs": st.integers(1, 30),
        "num_images": st.tuples(st.integers(1, 5), st.integers(1, 5)),
        "crop_size": st.sampled_from([0, 16, 17, 32, 64]),
        "num_crops": st.sampled_from([(1,), (1, 3), (2, 10, 70)]),
        "same_model": st.sampled_from(["any", 0.0, 0.5, 1.0]),
    }
)


@given(DRAWINGS)
def test_no_image_is_twice_in_a_comparison_and_sides_have_the_images_they_should(drawing):
    drawn = listed(**drawing)
    for comparison in drawn.comparisons:
        first, second = sides(drawn, comparison)
        assert (len(first.images), len(second.images)) == drawing["num_images"]
        assert len({*first.images, *second.images}) == sum(drawing["num_images"])


@given(DRAWINGS)
def test_half_of_a_list_is_positive_and_labels_tell_devices(drawing):
    drawn = listed(**drawing)
    assert len(drawn.comparisons) == drawing["num_pairs"]
    assert sum(c.label for c in drawn.comparisons) == (drawing["num_pairs"] + 1) // 2
    for comparison in drawn.comparisons:
        devices = {side.device for side in sides(drawn, comparison)}
        assert len(devices) == (1 if comparison.label else 2)


@given(DRAWINGS)
def test_a_side_is_of_one_device_kind_and_shape_and_both_sides_of_a_device_of_one_shape(drawing):
    drawn = listed(**drawing)
    for side in drawn.sides:
        records = records_of(side)
        assert len({(r.device, r.kind, r.width, r.height, r.angle) for r in records}) == 1
        assert records[0].device == side.device
        assert list(side.images) == sorted(side.images)


@given(DRAWINGS)
def test_levels_tell_what_the_devices_state(drawing):
    expected = {
        **{frozenset({x}): "same-device" for x in "abcde"},
        **{frozenset({x, "e"}): "unknown" for x in "abcd"},
        **{frozenset(pair): "other-make" for pair in product("ab", "cd")},
        frozenset("ab"): "same-make",
        frozenset("cd"): "same-model",
    }
    drawn = listed(**drawing)
    for comparison in drawn.comparisons:
        devices = frozenset(side.device for side in sides(drawn, comparison))
        assert comparison.level == expected[devices]


@given(DRAWINGS)
def test_crops_lie_at_even_offsets_in_strips_that_both_sides_have(drawing):
    drawn = listed(**drawing)
    assert (drawn.crop_size, drawn.strip_size) == (drawing["crop_size"], 64)
    for comparison in drawn.comparisons:
        grids = [
            set(positions(record.height, record.width, size=64))
            for side in sides(drawn, comparison)
            for record in records_of(side)
        ]
        for top, left, y, x in comparison.crops:
            assert all((top, left) in grid for grid in grids)
            assert y % 2 == x % 2 == 0
            assert 0 <= min(y, x) <= max(y, x) <= 64 - drawing["crop_size"]


@given(DRAWINGS)
def test_the_first_crops_lie_in_distinct_strips_and_no_strip_has_two_more_than_another(drawing):
    drawn = listed(**drawing)
    for comparison in drawn.comparisons:
        strips = [crop[:2] for crop in comparison.crops]
        for count in range(len(strips) + 1):
            uses = Counter(dict.fromkeys(strips, 0))
            uses.update(strips[:count])
            assert max(uses.values(), default=0) - min(uses.values(), default=0) <= 1


@given(DRAWINGS)
def test_a_list_is_a_function_of_the_seed_and_of_the_images_in_any_order(drawing):
    drawn = listed(**drawing)
    shuffled = random.Random(drawing["seed"]).sample(PHONES, len(PHONES))
    assert listed(shuffled, **drawing) == drawn
    assert listed(**{**drawing, "seed": drawing["seed"] + 1}).digest != drawn.digest


@given(st.integers(0, 2**40))
def test_every_side_of_a_quartet_is_in_one_positive_and_in_one_negative(seed):
    drawn = listed(seed=seed, num_pairs=40)
    for start in range(0, 40, 4):
        quartet = drawn.comparisons[start : start + 4]
        for label in (0, 1):
            of_label = [c for c in quartet if c.label == label]
            assert len({c.first for c in of_label}) == len({c.second for c in of_label}) == 2
        assert len({c.first for c in quartet}) == len({c.second for c in quartet}) == 2
        assert len({c.crops for c in quartet}) == 1


def test_kinds_tell_nothing_of_labels():
    drawn = listed(num_pairs=800, num_images=(3, 3))
    kinds = {0: Counter(), 1: Counter()}
    for comparison in drawn.comparisons:
        kinds[comparison.label][
            tuple(records_of(side)[0].kind for side in sides(drawn, comparison))
        ] += 1
    assert len(kinds[0]) == 4
    assert kinds[0] == kinds[1]


def test_a_device_without_a_kind_is_compared_with_what_it_has():
    records = [r for r in PHONES if r.device in "ab" and (r.device, r.kind) != ("b", "background")]
    drawn = listed(records)
    kinds = {(side.device, records_of(side)[0].kind) for side in drawn.sides}
    assert len(kinds) == 3


def test_devices_with_siblings_meet_them_in_the_share_that_is_asked_for():
    """Two of the five devices have one; without a share they meet it one time in four."""
    shares = ((0.0, 0, 0), (0.5, 0.17, 0.23), (1.0, 0.36, 0.44), ("any", 0.08, 0.12))
    for share, low, high in shares:
        drawn = listed(num_pairs=4000, same_model=share)
        negatives = [c for c in drawn.comparisons if not c.label]
        found = sum(c.level == "same-model" for c in negatives) / len(negatives)
        assert low <= found <= high


def test_where_no_device_has_a_sibling_the_others_are_drawn_and_where_all_have_siblings_too():
    apart = [r for r in PHONES if r.device in "ac"]
    assert {c.level for c in listed(apart, same_model=1.0).comparisons if not c.label} == {
        "other-make"
    }
    alike = [r for r in PHONES if r.device in "cd"]
    assert {c.level for c in listed(alike, same_model=0.0).comparisons if not c.label} == {
        "same-model"
    }


def test_devices_are_drawn_equally_often_whatever_they_have():
    records = [image(f"{d:02d}", i) for d in range(10) for i in range(7 if d % 2 else 30)]
    drawn = listed(records, num_pairs=8000, num_crops=(1,))
    counts = Counter(drawn.sides[c.first].device for c in drawn.comparisons if c.label)
    assert len(counts) == 10
    assert max(counts.values()) < 1.3 * min(counts.values())


@given(DRAWINGS)
def test_no_scene_is_on_both_sides(drawing):
    records = [
        image(device, number, scene=f"{number // 2}" if number < 28 else "")
        for device in "ab"
        for number in range(32)
    ]
    of = {record.sha256: record for record in records}
    drawn = listed(records, **drawing)
    for comparison in drawn.comparisons:
        first, second = (
            {record.scene for record in records_of(side, of)} - {""}
            for side in sides(drawn, comparison)
        )
        assert first.isdisjoint(second)


def test_of_copies_of_an_image_one_is_drawn():
    copies = [replace(record, image_id=f"{record.image_id} copy") for record in PHONES]
    assert listed([*copies, *PHONES]) == listed()


def test_many_images_a_side_are_drawn_without_regard_to_chunks():
    records = [
        image(device, number, chunk=number // 16) for device in "xyz" for number in range(51)
    ]
    drawn = listed(records, num_images=(50, 1))
    assert {len(side.images) for side in drawn.sides} == {50, 1}


def test_sides_that_are_drawn_again_are_listed_once():
    drawn = listed(num_images=(1, 1), num_pairs=1000)
    assert len(set(drawn.sides)) == len(drawn.sides) <= len(PHONES)


def test_a_strip_gives_its_cells_and_then_windows_that_are_new():
    records = [image(d, i, width=128, height=64) for d in "xy" for i in range(7)]
    for count, covered in ((2, 0), (8, 0), (40, 0.7)):
        for comparison in listed(records, num_crops=(count,)).comparisons:
            assert len(set(comparison.crops)) == count
            assert (overlap(comparison.crops, 32) > 0) == (covered > 0)
            assert overlap(comparison.crops, 32) >= covered
    every = listed(records, num_crops=(1000,)).comparisons[0].crops
    assert len(set(every)) == len(every) == 2 * 17**2


def test_where_crops_are_as_large_as_strips_there_are_as_many_as_strips():
    drawn = listed(crop_size=64, num_crops=(40,))
    for comparison in drawn.comparisons:
        shapes = [records_of(side)[0] for side in sides(drawn, comparison)]
        width, height = min(r.width for r in shapes), min(r.height for r in shapes)
        assert len(comparison.crops) <= (width // 64) * (height // 64)
        assert {crop[2:] for crop in comparison.crops} == {(0, 0)}


def test_whole_strips_have_no_crops():
    assert {c.crops for c in listed(crop_size=0).comparisons} == {()}


def test_centred_strips_are_compared_whatever_the_size_of_the_images():
    drawn = listed(strips=Strips(size=64, layout="centre"))
    negatives = {
        frozenset(side.device for side in sides(drawn, c)) for c in drawn.comparisons if not c.label
    }
    assert len(set.union(*map(set, negatives))) > 2
    assert {crop[:2] for c in drawn.comparisons for crop in c.crops} == {(0, 0)}


def test_a_device_s_images_of_another_size_are_drawn_against_those_of_the_same_size():
    records = [
        image(device, number, width=128 if number < 7 else 256, height=128)
        for device in "xy"
        for number in range(14)
    ]
    of = {record.sha256: record for record in records}
    drawn = listed(records)
    widths = [
        {r.width for s in sides(drawn, c) for r in records_of(s, of)} for c in drawn.comparisons
    ]
    assert {frozenset(found) for found in widths} == {frozenset({128}), frozenset({256})}


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ValueError, match="crop_size = 128: larger than the strips of 64 px"):
        listed(crop_size=128)
    with pytest.raises(ValueError, match=r"70 images of 5 devices give no comparisons of 8\+1 im"):
        listed(num_images=(8, 1))
    with pytest.raises(ValueError, match="14 images of 1 devices give no comparisons"):
        listed([r for r in PHONES if r.device == "a"])
    with pytest.raises(ValueError, match="with strips of 512 px; lower comparisons.num_images"):
        listed(strips=Strips(size=512))
    with pytest.raises(ValueError, match="0 images of 0 devices give no comparisons"):
        listed([])
    one_scene = [replace(record, scene="one") for record in PHONES]
    with pytest.raises(ValueError, match="1000 draws of 2 of 5 devices gave none with 4.3 images"):
        listed(one_scene)
    with pytest.raises(ValueError, match="a/foreground/01: its sha256 is not known; take a store"):
        listed([*PHONES, replace(image("a", 1), sha256="")])


def test_settings_of_lists_are_checked():
    assert load_config(settings=["comparisons.num_crops=[2, 3]"]).comparisons.num_crops == (2, 3)
    for setting, sentence in {
        "num_crops=[3, 2]": "expected numbers that rise, got \\[3, 2\\]",
        "num_crops=[2, 2]": "expected numbers that rise",
        "num_crops=[]": "expected numbers that rise",
        "crop_size=8": "expected at least 16 px, or 0 for whole strips, got 8",
        "num_pairs=0": "greater than 0",
        "same_model=2": "expected a share from 0 to 1, or 'any', got 2",
        "same_model=siblings": "expected a share from 0 to 1, or 'any', got 'siblings'",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            load_config(settings=[f"comparisons.{setting}"])


@pytest.fixture(scope="module")
def gallery():
    return enrolled(PHONES, settings=Enrolment(num_background=5, min_background=5), seed=1)


def test_a_gallery_s_list_is_every_query_against_every_enrolled_device(gallery):
    drawn = gallery_list(gallery, strips=STRIPS, seed=4)
    assert (drawn.crop_size, drawn.strip_size, drawn.seed) == (0, 64, 4)
    queries = [query for device in "abcde" for query in gallery.queries[device]]
    found = [sides(drawn, comparison) for comparison in drawn.comparisons]
    assert Counter((first.device, second.images) for first, second in found) == Counter(
        (device, (query.sha256,)) for device in "abcde" for query in queries
    )
    for first, second in found:
        assert first.images == tuple(r.sha256 for r in gallery.enrolled[first.device])
        assert BY_SHA256[second.images[0]].device == second.device
    assert len(drawn.sides) == 5 + len(queries)
    assert {c.level for c in drawn.comparisons} == {
        "same-device",
        "same-model",
        "same-make",
        "other-make",
        "unknown",
    }


def test_a_query_meets_devices_of_one_grid_at_one_place_in_them(gallery):
    drawn = gallery_list(gallery, strips=STRIPS, seed=4, crop_size=16, num_crops=2)
    assert (drawn.crop_size, drawn.strip_size) == (16, 64)
    found = {}
    for comparison in drawn.comparisons:
        first, second = sides(drawn, comparison)
        shared = grid(first) & grid(second)
        assert 1 <= len(comparison.crops) <= 2
        assert {(crop.top, crop.left) for crop in comparison.crops} <= shared
        crops = found.setdefault((second.images, frozenset(shared)), comparison.crops)
        assert crops == comparison.crops
    assert len(set(found.values())) > 10
    assert gallery_list(gallery, strips=STRIPS, seed=5, crop_size=16) != drawn
    with pytest.raises(ValueError, match="crop_size = 128: larger than the strips of 64 px"):
        gallery_list(gallery, strips=STRIPS, seed=4, crop_size=128)


def test_a_gallery_of_centred_strips_compares_all_devices(gallery):
    drawn = gallery_list(gallery, strips=Strips(size=64, layout="centre"), seed=1)
    pairs = {tuple(side.device for side in sides(drawn, c)) for c in drawn.comparisons}
    assert pairs == {(x, y) for x in "abcde" for y in "abcde"}
    with pytest.raises(ValueError, match="no image of the 5 enrolled devices holds a strip of 512"):
        gallery_list(gallery, strips=Strips(size=512), seed=1)
