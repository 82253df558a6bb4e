"""Splits that are dealt by seed: devices and the scenes they share, each in one part only."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.config import Splits
from camid.dataset.records import ImageRecord
from camid.dataset.splits import named_split

PARTS = ("train", "validation", "test")
NETWORKS = ("original", "facebook", "whatsapp")


def image(device, number, **known):
    image_id = f"{device}/{number}"
    return ImageRecord(image_id=image_id, path=image_id, device=device, **known)


def fodb(num_devices=27, num_scenes=20, networks=NETWORKS):
    """Every device took every scene; the last two devices are of one model."""
    return [
        image(
            f"D{device:02d}",
            f"{network}/{scene}",
            make="Make",
            model=f"M{min(device, num_devices - 1)}",
            scene=f"{scene:04d}",
            provenance=network,
        )
        for device in range(1, num_devices + 1)
        for scene in range(1, num_scenes + 1)
        for network in networks
    ]


def split_of(records, name="seeded", *, seed=1, **settings):
    return named_split(name, records, settings=Splits(**settings), seed=seed)


def devices_of(split):
    return {part: getattr(split, part) for part in PARTS}


records_of_any_kind = st.lists(
    st.builds(
        image,
        st.sampled_from("abcdefgh"),
        st.integers(0, 999),
        model=st.sampled_from(["", "m", "n", "o"]),
        scene=st.sampled_from(["", "1", "2", "3"]),
        provenance=st.sampled_from(NETWORKS),
    ),
    unique_by=lambda record: record.image_id,
    min_size=1,
    max_size=60,
)
any_settings = st.builds(
    Splits,
    test=st.floats(0, 0.7),
    validation=st.floats(0, 0.3),
    whole_models=st.booleans(),
    scene_disjoint=st.booleans(),
)


@given(records_of_any_kind, any_settings, st.integers(0, 5), st.randoms())
def test_no_device_is_in_two_parts_and_the_order_of_images_does_not_matter(
    records, settings, seed, shuffle
):
    split = named_split("seeded", records, settings=settings, seed=seed)
    dealt = [device for part in PARTS for device in getattr(split, part)]
    assert sorted(dealt) == sorted({record.device for record in records})
    assert len(split.test) >= min(2, len(dealt))
    shuffled = list(records)
    shuffle.shuffle(shuffled)
    assert named_split("seeded", shuffled, settings=settings, seed=seed) == split


@given(records_of_any_kind, any_settings, st.integers(0, 5))
def test_no_scene_that_is_dealt_is_in_two_parts(records, settings, seed):
    split = named_split("seeded", records, settings=settings, seed=seed)
    dealt = [scene for part in split.scenes.values() for scene in part]
    assert len(set(dealt)) == len(dealt)
    scenes = [
        {record.scene for record in split.images(part, records)} & set(dealt) for part in PARTS
    ]
    assert sum(map(len, scenes)) == len(set.union(*scenes))
    if settings.scene_disjoint and len([part for part in PARTS if getattr(split, part)]) > 1:
        everywhere = [{r.scene for r in split.images(part, records)} - {""} for part in PARTS]
        assert sum(map(len, everywhere)) == len(set.union(*everywhere))
    else:
        assert not dealt


@given(records_of_any_kind, any_settings, st.integers(0, 5))
def test_every_image_is_in_its_device_s_part_or_left_out_with_a_reason(records, settings, seed):
    split = named_split("seeded", records, settings=settings, seed=seed)
    found = [r.image_id for part in PARTS for r in split.images(part, records)]
    found += [r.image_id for part in PARTS for r in split.left_out(part, records)]
    assert sorted(found) == sorted(record.image_id for record in records)


def test_shares_are_of_devices_and_of_shared_scenes():
    split = split_of(fodb(), whole_models=False)
    assert {part: len(d) for part, d in devices_of(split).items()} == {
        "train": 12,
        "validation": 4,
        "test": 11,
    }
    assert {part: len(split.scenes[part]) for part in PARTS} == {
        "train": 9,
        "validation": 3,
        "test": 8,
    }
    records = fodb()
    assert len(split.images("test", records)) == 11 * 8 * len(NETWORKS)
    assert {left.reason.split(" ", 3)[3] for left in split.left_out("test", records)} == {
        "is in train, not in test",
        "is in validation, not in test",
    }


def test_the_seed_deals_the_devices():
    one, again, other = (devices_of(split_of(fodb(), seed=seed)) for seed in (1, 1, 2))
    assert one == again != other


def test_devices_of_one_model_stay_together():
    records = [
        image(f"{model}{body}", 0, make="Aurora", model=f"A{model}")
        for model in range(10)
        for body in range(3)
    ]
    for seed in range(10):
        split = split_of(records, seed=seed)
        parts = [{device[0] for device in getattr(split, part)} for part in PARTS]
        assert sum(map(len, parts)) == 10
        assert list(map(len, parts)) in ([4, 2, 4], [5, 1, 4])


def test_devices_of_no_known_model_go_alone():
    records = [image(f"{device:02d}", 0) for device in range(20)]
    assert list(map(len, devices_of(split_of(records)).values())) == [9, 3, 8]


def test_a_model_that_would_take_all_is_dealt_by_device():
    records = [image(f"{device:02d}", 0, model="the only one") for device in range(20)]
    assert list(map(len, devices_of(split_of(records)).values())) == [9, 3, 8]
    alone = [*records[:5], image("x", 0, model="another")]
    split = split_of(alone)
    assert split.train == ("x",)  # two devices at least are tested, so the large model is
    assert len(split.test) == 5


@pytest.mark.parametrize(("count", "tested"), [(1, 1), (2, 2), (3, 2), (4, 2)])
def test_two_devices_are_tested_where_there_are_two(count, tested):
    records = [image(str(device), 0) for device in range(count)]
    split = split_of(records, test=0.1)
    assert len(split.test) == tested
    assert len(split.train) >= min(1, count - tested)


def test_scenes_of_one_device_only_are_not_dealt():
    vision = [
        image(f"D{device}", f"{copy}/{shot}", scene=f"D{device} nat {shot}", provenance=copy)
        for device in range(6)
        for shot in range(5)
        for copy in NETWORKS
    ]
    split = split_of(vision)
    assert split.scenes == {}
    assert not split.left_out("test", vision)


def test_scenes_may_be_shared_where_that_is_asked_for():
    assert split_of(fodb(), scene_disjoint=False).scenes == {}


def test_all_tests_every_device_and_every_scene_of_the_provenances():
    records = fodb(4, 5)
    split = split_of(records, "all", provenance=("original",))
    assert split.test == ("D01", "D02", "D03", "D04")
    assert len(split.images("test", records)) == 4 * 5
    assert {left.reason for left in split.left_out("test", records)} == {
        "provenance 'facebook' takes no part (splits.provenance)",
        "provenance 'whatsapp' takes no part (splits.provenance)",
    }
    assert split_of(records, "all").images("train", records) == []


def test_a_provenance_that_no_image_has_is_refused():
    for name in ("all", "seeded"):
        with pytest.raises(
            ValueError,
            match="splits.provenance: no image has the provenance 'orig'; "
            "the data have facebook, original, whatsapp",
        ):
            split_of(fodb(3, 2), name, provenance=("original", "orig"))
    with pytest.raises(ValueError, match="the data have none"):
        split_of([image("a", 1)], provenance=("original",))


def test_shares_beyond_one_are_refused():
    with pytest.raises(ValueError, match="are 0.9 and 0.2, expected at most 1 together"):
        split_of(fodb(3, 2), test=0.9, validation=0.2)


def test_a_file_may_list_scenes(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "validation:\ntest: [D01, D02]\nscenes:\n  validation: []\n  test: [0010, 0002]\n"
    )
    records = fodb(4, 12)
    split = split_of(records, str(file))
    assert split.scenes["test"] == ("0002", "0010")
    assert (split.validation, len(split.scenes["train"])) == ((), 10)
    assert {r.scene for r in split.images("test", records)} == {"0002", "0010"}
    file.write_text("validation: []\ntest: [D01]\nscenes: {validation: ['1'], test: ['1']}\n")
    with pytest.raises(ValueError, match="scenes in both validation and test: 1"):
        split_of(records, str(file))
    file.write_text("validation: []\ntest: [D01]\nscenes: ['1']\n")
    with pytest.raises(ValueError, match="and none or two such lists under scenes"):
        split_of(records, str(file))


def test_scenes_that_a_file_does_not_list_are_dealt_by_seed(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("validation: []\ntest: [D01, D02]\n")
    records = fodb(4, 12)
    split = split_of(records, str(file))
    assert split.scenes["validation"] == ()  # no device validates
    assert (len(split.scenes["test"]), len(split.scenes["train"])) == (6, 6)
    file.write_text("validation: []\ntest: [D01, D02, D03, D04]\n")
    assert split_of(records, str(file)).scenes == {}  # nothing trains


def test_many_images_are_dealt_alike_in_any_order():
    records = fodb(30, 40)
    shuffled = random.Random(3).sample(records, len(records))
    assert split_of(records) == split_of(shuffled)
