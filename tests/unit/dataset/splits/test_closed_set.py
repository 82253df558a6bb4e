"""Images are dealt to parts without anything that two parts share."""

from collections import Counter

import pytest

from camid.config import Classifier, Splits
from camid.dataset.records import ImageRecord
from camid.dataset.splits import known_devices, named_split


def image(device, number, **facts):
    name = f"{device}-{number:03d}"
    known = {"width": 640, "height": 640, "kind": "foreground", "sha256": name, **facts}
    return ImageRecord(image_id=name, device=device, path=f"/{name}", **known)


def phones(names="abcdef", count=20, **facts):
    return [
        image(device, n, kind="background" if n < count // 2 else "foreground", **facts)
        for device in names
        for n in range(count)
    ]


def dealt(images, split="all", seed=1, **settings):
    given = Classifier(**{"num_devices": 4, **settings})
    named = named_split(split, images, settings=Splits(), seed=seed)
    return known_devices(images, named, settings=given, seed=seed)


def ids(images):
    return {record.image_id for record in images}


PARTS = ("train", "validation", "test")


def test_parts_share_no_image_and_are_all_of_each_device():
    known = dealt(phones())
    parts = [ids(known.images(part)) for part in PARTS]
    whole = {r.image_id for r in phones() if r.device in known.devices}
    assert set.union(*parts) == whole
    assert sum(map(len, parts)) == len(whole)
    assert len(known.devices) == 4
    assert {r.device for r in known.unknown} == set("abcdef") - set(known.devices)


def test_each_part_has_as_many_backgrounds_as_foregrounds():
    for part, count in zip(PARTS, (6, 1, 3), strict=True):
        images = dealt(phones()).images(part)
        found = Counter((record.device, record.kind) for record in images)
        assert set(found.values()) == {count}, part
        assert len(found) == 8


def test_a_scene_is_in_one_part_also_where_devices_share_it():
    images = phones(count=4) + [
        image(device, 100 + n, scene=f"scene {n // 2}") for device in "abcdef" for n in range(20)
    ]
    known = dealt(images)
    scenes = [{r.scene for r in known.images(part)} - {""} for part in PARTS]
    assert sum(map(len, scenes)) == len(set.union(*scenes)) == 10
    assert all(scenes)
    assert not {r.scene for r in known.unknown} & scenes[0]


def test_a_copy_is_in_no_part():
    images = phones() + [image("a", 900 + n, sha256=f"a-{n:03d}") for n in range(20)]
    known = dealt(images, num_devices=0)
    assert not any("-9" in name for part in PARTS for name in ids(known.images(part)))
    assert {one.reason for one in known.left_out} == {
        f"the same file as a-{n:03d}" for n in range(20)
    }


def test_a_device_keeps_the_size_of_most_of_its_images():
    images = phones() + [image("a", 100 + n, width=480) for n in range(6)]
    known = dealt(images, devices=("a", "b"))
    assert {r.width for part in PARTS for r in known.images(part)} == {640}
    assert len(known.left_out) == 6


def test_devices_are_drawn_by_seed_or_named():
    chosen = {dealt(phones(), seed=seed).devices for seed in range(8)}
    assert len(chosen) > 3
    assert dealt(phones(), devices=("c", "a")).devices == ("a", "c")
    assert dealt(phones(), num_devices=0).devices == tuple("abcdef")
    assert dealt(phones()) == dealt(phones()[::-1])


def test_known_devices_are_none_of_the_devices_that_a_split_tests():
    images = phones("abcdefghij")
    tested = named_split("seeded", images, settings=Splits(), seed=1).test
    known = dealt(images, "seeded", num_devices=0)
    assert len(known.devices) == 10 - len(tested)
    assert not set(known.devices) & set(tested)
    assert {r.device for r in known.unknown} == set(tested)


def test_others_are_of_nothing_that_was_learned_from():
    images = phones() + [
        image(device, 100 + n, scene=f"scene {n}") for device in "abcdef" for n in range(12)
    ]
    images += [image("z", n, sha256=f"a-{n:03d}") for n in range(20)]
    known = dealt(images, devices=("a", "b"))
    others = known.others(images)
    learned = [r for part in PARTS for r in known.images(part)]
    assert not {r.sha256 for r in others} & {r.sha256 for r in learned}
    trained = {r.scene for r in known.images("train")} - {""}
    assert trained
    assert not {r.scene for r in others} & trained
    assert "z" not in {r.device for r in others}
    assert set(known.unknown) <= set(others)


def test_what_takes_no_part_is_not_asked():
    images = phones(provenance="original") + [
        image(device, 500 + n, provenance="whatsapp") for device in "abcdef" for n in range(9)
    ]
    settings = Splits(provenance=("original",))
    named = named_split("all", images, settings=settings, seed=1)
    known = known_devices(images, named, settings=Classifier(num_devices=3), seed=1)
    every = [*known.unknown, *(r for part in PARTS for r in known.images(part))]
    assert {r.provenance for r in every} == {"original"}


def test_a_split_that_trains_on_nothing_is_said():
    named = named_split("seeded", phones(), settings=Splits(test=1, validation=0), seed=1)
    with pytest.raises(ValueError, match="the split 'seeded' leaves no device for train"):
        known_devices(phones(), named, settings=Classifier(), seed=1)


def test_unknown_devices_have_at_most_so_many_images():
    counts = Counter(r.device for r in dealt(phones(), unknown_images=3).unknown)
    assert set(counts.values()) == {3}
    assert dealt(phones(), unknown_images=0).unknown == ()


def test_the_gallery_enrols_what_trains_and_asks_what_is_tested():
    known = dealt(phones())
    gallery = known.gallery()
    assert gallery.devices == known.devices
    assert [r for d in gallery.devices for r in gallery.queries[d]] == known.images("test")
    assert [r for d in gallery.devices for r in gallery.enrolled[d]] == known.images("train")


def test_what_cannot_be_dealt_is_said():
    with pytest.raises(
        ValueError, match="'z' has no images for training, validation and test, or the"
    ):
        dealt(phones(), devices=("a", "z"))
    with pytest.raises(ValueError, match="at least 2 devices with images for training, .* got 0"):
        dealt(phones(count=2))
    with pytest.raises(ValueError, match="are 0.6 and 0.4, expected less than 1 together"):
        dealt(phones(), test=0.6, validation=0.4)
    few = [image("f", 1), image("f", 2)]
    left = dealt([*phones("abcd"), *few]).left_out
    assert {one.image_id for one in left} == {"f-001", "f-002"}
