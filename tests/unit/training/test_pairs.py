from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.config import Pairs
from camid.store.strip_reader import Address, RowGroups
from camid.training.pair_sampling import candidates
from camid.training.pairs import MAX_IMAGES, Pair, Side, Sums, drawn, numbers_of, side_sums
from tests.unit.stores import SIZE, Chunk, small_store, strip

SETTINGS = Pairs(crop_size=24)
DEVICES = {
    "a": [Chunk(images=9), Chunk(images=7, kind="background")],
    "b": [Chunk(images=12), Chunk(images=16)],
    "c": [Chunk(images=16)],
    "d": [Chunk(images=8), Chunk(images=8, size=(64, 96)), Chunk(images=5, kind="background")],
    "e": [Chunk(images=4), Chunk(images=4, kind="background"), Chunk(images=1)],
    "too few": [Chunk(images=5)],
}
RANGES = ((1, 3), (2, 4))
MODELS = {"a": "one", "b": "one", "c": "two", "d": "two", "e": "three"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(str(tmp_path_factory.mktemp("store")), DEVICES, models=MODELS)


@pytest.fixture(scope="module")
def everything(store):
    return candidates(store, store.images())


def step(everything, number=0, *, num_pairs=8, seed=1, key=(), **settings):
    return drawn(
        everything,
        number,
        num_pairs=num_pairs,
        size=SIZE,
        settings=replace(SETTINGS, **settings),
        seed=seed,
        key=key,
    )


def images(everything, side):
    (chunk,) = (c for c in everything.chunks[side.address.device] if c.chunk == side.address.chunk)
    assert chunk.positions[side.position] == side.address.row_group
    return [chunk.image(row) for row in side.rows]


STEPS = st.fixed_dictionaries(
    {
        "number": st.integers(0, 2**40),
        "seed": st.integers(0, 2**40),
        "num_pairs": st.integers(1, 9),
        "num_images": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "per_row_group": st.integers(1, 5),
        "negatives": st.sampled_from(["same-position", "any-position"]),
        "same_model": st.sampled_from(["any", 0.0, 0.5, 1.0]),
    }
)


@given(STEPS)
def test_no_image_is_twice_in_a_pair_and_sides_have_the_images_they_should(everything, drawing):
    for pair in step(everything, **drawing):
        ids = [[image.image_id for image in images(everything, side)] for side in pair.sides]
        assert tuple(map(len, ids)) == drawing["num_images"]
        assert len({*ids[0], *ids[1]}) == sum(drawing["num_images"])


@given(STEPS)
def test_half_of_a_step_is_positive_and_labels_tell_devices(everything, drawing):
    pairs = step(everything, **drawing)
    assert len(pairs) == drawing["num_pairs"]
    assert sum(pair.label for pair in pairs) == (drawing["num_pairs"] + 1) // 2
    for pair in pairs:
        devices = {side.address.device for side in pair.sides}
        assert len(devices) == (1 if pair.label else 2)


@given(STEPS)
def test_positive_pairs_and_by_default_negative_ones_lie_at_one_position(everything, drawing):
    for pair in step(everything, **drawing):
        first, second = pair.sides
        if pair.label or drawing["negatives"] == "same-position":
            assert first.position == second.position
        shapes = {(i.width, i.height) for s in pair.sides for i in images(everything, s)}
        assert len(shapes) == 1 or not pair.label


@given(STEPS)
def test_no_row_group_is_in_more_pairs_than_allowed(everything, drawing):
    pairs = step(everything, **drawing)
    uses = Counter(address for pair in pairs for address in {s.address for s in pair.sides})
    assert max(uses.values()) <= drawing["per_row_group"]


@given(STEPS)
def test_a_step_is_a_function_of_seed_key_and_number(everything, drawing):
    pairs = step(everything, **drawing)
    assert step(everything, **drawing) == pairs
    others = [
        step(everything, **{**drawing, "number": drawing["number"] + 1}),
        step(everything, **{**drawing, "seed": drawing["seed"] + 1}),
        step(everything, key=(1,), **drawing),
    ]
    assert all(other != pairs for other in others)


@given(STEPS)
def test_crops_lie_inside_the_strips(everything, drawing):
    crops = np.array([pair.crop for pair in step(everything, **drawing)])
    assert crops.min() >= 0
    assert crops.max() <= SIZE - SETTINGS.crop_size


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.lists(st.integers(0, 2**20), max_size=2))
def test_in_a_range_of_images_all_pairs_of_a_step_have_the_same_numbers_for_every_key(
    everything, number, seed, key
):
    numbers = numbers_of(number, settings=replace(SETTINGS, num_images=RANGES), seed=seed)
    pairs = step(everything, number, seed=seed, key=key, num_images=RANGES)
    assert {tuple(len(side.rows) for side in pair.sides) for pair in pairs} == {numbers}
    for count, (low, high) in zip(numbers, RANGES, strict=True):
        assert low <= count <= high


@pytest.mark.parametrize("num_images", [RANGES, ((1, 3), 2), (5, (2, 4)), (5, 2)])
def test_over_many_steps_all_numbers_of_a_range_meet_and_fixed_ones_stay(num_images):
    settings = replace(SETTINGS, num_images=num_images)
    found = {numbers_of(number, settings=settings, seed=1) for number in range(200)}
    ranges = ((n, n) if isinstance(n, int) else n for n in num_images)
    assert found == set(product(*(range(low, high + 1) for low, high in ranges)))


@given(STEPS)
def test_a_range_of_one_number_is_that_number(everything, drawing):
    ranges = tuple((number, number) for number in drawing["num_images"])
    assert step(everything, **{**drawing, "num_images": ranges}) == step(everything, **drawing)


def test_only_the_given_images_are_drawn(store):
    given_images = [i for i in store.images() if i.device in {"a", "c"} and "5" not in i.image_id]
    some = candidates(store, given_images)
    assert some.num_images == len(given_images)
    for number in range(20):
        for pair in step(some, number, num_pairs=4):
            for side in pair.sides:
                assert set(images(some, side)) <= set(given_images)


def test_a_device_without_enough_images_is_in_no_pair(everything):
    for number in range(20):
        for pair in step(everything, number):
            assert all(side.address.device != "too few" for side in pair.sides)


def test_copies_of_an_image_are_one_image(store):
    copied = [replace(image, sha256="0" * 64) for image in store.images() if image.device == "c"]
    assert candidates(store, copied).num_images == 1


def test_no_scene_is_on_both_sides(tmp_path):
    scenes = [f"scene {i // 2}" for i in range(12)]
    store = small_store(
        str(tmp_path), {name: [Chunk(images=12, scenes=scenes)] * 2 for name in "ab"}
    )
    every = candidates(store, store.images())
    for number in range(20):
        for pair in step(every, number, num_images=(3, 3)):
            first, second = ({i.scene for i in images(every, side)} for side in pair.sides)
            assert first.isdisjoint(second)


def test_a_side_is_as_often_in_positive_pairs_as_in_negative_ones(everything):
    for number in range(10):
        counts = Counter()
        for pair in step(everything, number, num_pairs=16, negatives="same-position"):
            for side in pair.sides:
                counts[side] += 1 if pair.label else -1
        two_chunks = [side for side in counts if side.address.device in {"a", "b"}]
        assert all(abs(counts[side]) <= 2 for side in two_chunks)


def test_kinds_tell_nothing_of_labels(tmp_path):
    chunks = [Chunk(kind="background"), Chunk(kind="foreground")] * 2
    store = small_store(str(tmp_path), dict.fromkeys("abcd", chunks))
    every = candidates(store, store.images())
    kinds = {0: Counter(), 1: Counter()}
    for number in range(60):
        for pair in step(every, number):
            kinds[pair.label][tuple(images(every, s)[0].kind for s in pair.sides)] += 1
    assert len(kinds[0]) == 4
    assert kinds[0] == kinds[1]


def test_negatives_of_one_model_come_in_the_share_that_is_asked_for(everything):
    for share, expected in ((1.0, {True}), (0.0, {False}), ("any", {True, False})):
        found = set()
        for number in range(30):
            for pair in step(everything, number, same_model=share):
                first, second = (side.address.device for side in pair.sides)
                if not pair.label and "e" not in {first, second}:
                    found.add(MODELS[first] == MODELS[second])
        assert found == expected


@pytest.mark.parametrize("per_row_group", [1, 4])
def test_sums_are_those_of_a_plain_reading(store, everything, per_row_group):
    pairs = step(everything, num_pairs=9, num_images=(4, 3), per_row_group=per_row_group)
    with RowGroups(store) as row_groups:
        found = side_sums(pairs, row_groups, crop_size=24)
        reads = row_groups.num_reads
    assert reads == len({side.address for pair in pairs for side in pair.sides})
    assert found.sums.dtype == np.int16
    np.testing.assert_array_equal(found.counts, [[4, 3]] * 9)
    np.testing.assert_array_equal(found.labels, [pair.label for pair in pairs])
    for number, pair in enumerate(pairs):
        top, left = pair.crop
        for which, side in enumerate(pair.sides):
            members = images(everything, side)
            plain = np.mean([strip(i, side.position) * 0.125 for i in members], axis=0)
            np.testing.assert_allclose(
                found.averages()[number, which],
                plain[top : top + 24, left : left + 24],
                atol=1e-5,
            )


@given(st.integers(0, 6), st.integers(0, 6))
def test_some_pairs_keep_what_they_are_made_of(start, stop):
    numbers = np.arange(6, dtype=np.int16)
    every = Sums(
        sums=np.broadcast_to(numbers[:, None, None, None, None], (6, 2, 4, 4, 3)),
        counts=np.stack([numbers + 1, numbers + 7], axis=1),
        labels=(numbers % 2).astype(np.int8),
        step=0.5,
    )
    some = every.some(slice(start, stop))
    assert len(some.sums) == len(some.counts) == len(some.labels) == max(0, stop - start)
    for row, number in enumerate(range(start, stop)):
        assert (some.sums[row] == number).all()
        assert some.counts[row].tolist() == [number + 1, number + 7]
        assert some.labels[row] == number % 2
        plain = number * 0.5 / np.array([number + 1, number + 7])
        np.testing.assert_allclose(some.averages()[row, :, 0, 0, 0], plain, rtol=1e-6)


def test_more_images_than_sums_hold_are_refused(store):
    many = Side(address=Address("a", 0, 0), position=(0, 0), rows=tuple(range(MAX_IMAGES + 1)))
    pair = Pair(sides=(many, many), label=1, crop=(0, 0))
    with RowGroups(store) as row_groups, pytest.raises(ValueError, match="128 images a side.* 129"):
        side_sums([pair], row_groups, crop_size=24)


def test_files_are_closed_and_opened_again_where_few_may_be_open(store, everything):
    pairs = [pair for number in range(5) for pair in step(everything, number)]
    with RowGroups(store) as many, RowGroups(store, max_open=1) as few:
        expected, found = (side_sums(pairs, one, crop_size=24) for one in (many, few))
    np.testing.assert_array_equal(found.sums, expected.sums)


def test_an_object_store_gives_the_same_sums(store, everything):
    away = small_store("mock:///away", DEVICES, models=MODELS)
    pairs = [pair for number in range(5) for pair in step(everything, number)]
    with RowGroups(store) as here, RowGroups(away) as there:
        expected, found = (side_sums(pairs, one, crop_size=24) for one in (here, there))
    assert not away.folder.is_local
    assert here.num_reads == there.num_reads
    np.testing.assert_array_equal(found.sums, expected.sums)


def test_a_damaged_strip_is_named_and_not_used(store, everything, tmp_path):
    pairs = step(everything, num_pairs=1, num_images=(1, 1))
    side = pairs[0].sides[0]
    with store.chunk(side.address.device, side.address.chunk) as file:
        offsets = file.pages()[0][side.address.row_group]
        name = file.name
    for copied in store.folder.files():
        (tmp_path / copied).parent.mkdir(exist_ok=True)
        (tmp_path / copied).write_bytes(store.folder.read(copied))
    data = bytearray((tmp_path / name).read_bytes())
    data[offsets[side.rows[0] + 1] - 9] ^= 1
    (tmp_path / name).write_bytes(data)
    damaged = replace(store, folder=type(store.folder)(str(tmp_path)))
    with (
        RowGroups(damaged) as row_groups,
        pytest.raises(ValueError, match=r"chunk-0000\d.parquet: row group \d: a damaged page"),
    ):
        side_sums(pairs, row_groups, crop_size=24)


def test_chunks_are_drawn_in_proportion_to_their_images(tmp_path):
    chunks = [Chunk(images=30), Chunk(images=10)]
    store = small_store(str(tmp_path), dict.fromkeys("ab", chunks))
    every = candidates(store, store.images())
    counts = Counter()
    for number in range(400):
        for pair in step(every, number, num_pairs=4, num_images=(1, 1)):
            first = pair.sides[0]
            counts[first.address.chunk % 2] += 1
    assert counts[0] / counts[1] == pytest.approx(3, rel=0.2)


def test_what_cannot_be_drawn_is_said(store, everything):
    with pytest.raises(ValueError, match="crop_size = 64: larger than the store's strips of 32 px"):
        step(everything, crop_size=64)
    with pytest.raises(ValueError, match="no pairs of 20.20 images: two devices are needed"):
        step(everything, num_images=(20, 20))
    alone = candidates(store, [image for image in store.images() if image.device == "a"])
    with pytest.raises(ValueError, match="16 images of 1 devices give no pairs"):
        step(alone)
    with pytest.raises(ValueError, match="too few pairs a step with 1 of a row group; draw fewer"):
        step(everything, num_pairs=1000, per_row_group=1)
