"""Pairs image by image: what a pair network is given is what the store holds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.config import Comparisons, Config, Pairs, Residual, Splits, Training
from camid.dataset.splits import named_split
from camid.prnu.cleaning import JPEG_BLOCK
from camid.store.strip_reader import RowGroups
from camid.training.batches import ListedPairs, PairBatches, joined, share_of
from camid.training.pair_sampling import candidates
from camid.training.pairnet_task import MIDDLE, STACKS, Stacks, StackTask, side_stacks
from camid.training.pairs import drawn, side_sums
from tests.unit.stores import SIZE, Chunk, grey_of, small_store, strip

NUM_PARTS, PART, CROP = 4, 4, 16
DEVICES = {name: [Chunk(images=7), Chunk(images=5)] for name in "abcdefghij"}
CONFIG = Config(
    pairs=Pairs(crop_size=CROP, num_images=((1, 3), 2)),
    training=Training(batch_size=NUM_PARTS * PART, micro_batches=NUM_PARTS),
    comparisons=Comparisons(crop_size=CROP, num_images=(3, 2)),
)
STEPS = st.integers(0, 2**40)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(str(tmp_path_factory.mktemp("store")), DEVICES)


@pytest.fixture(scope="module")
def batches(store):
    with RowGroups(store) as row_groups:
        found = candidates(store, store.images())
        yield PairBatches(candidates=found, row_groups=row_groups, config=CONFIG, reading=STACKS)


def pairs_of(batches, step, *, part=PART, **settings):
    return drawn(
        batches.candidates,
        step,
        num_pairs=part,
        size=SIZE,
        settings=replace(CONFIG.pairs, **settings),
        seed=1,
        grid=JPEG_BLOCK,
    )


def listed(batches, **comparisons):
    config = replace(CONFIG, comparisons=Comparisons(num_images=(3, 2), **comparisons))
    return ListedPairs(
        candidates=batches.candidates, row_groups=batches.row_groups, config=config, reading=STACKS
    )


def contents(stacks):
    return stacks.samples.tobytes(), stacks.labels.tobytes()


@given(STEPS)
def test_each_image_is_the_store_s_strip_and_its_intensity_four_times_as_wide(batches, step):
    pairs = pairs_of(batches, step)
    samples, scales, labels = side_stacks(pairs, batches.row_groups, crop_size=CROP).arrays()
    assert samples.dtype == np.int8
    levels = samples * scales
    np.testing.assert_array_equal(labels, [pair.label for pair in pairs])
    for number, pair in enumerate(pairs):
        top, left = pair.crop
        window = np.s_[top : top + CROP, left : left + CROP]
        for which, side in enumerate(pair.sides):
            chunks = batches.candidates.chunks[side.address.device]
            (chunk,) = (chunk for chunk in chunks if chunk.chunk == side.address.chunk)
            for at, row in enumerate(side.rows):
                record, found = chunk.image(row), levels[number, which, at]
                residual = strip(record, side.position)[window] * np.float32(0.125)
                np.testing.assert_array_equal(found[..., :3], residual)
                grey = np.kron(grey_of(record, side.position), np.ones((4, 4)))[window]
                np.testing.assert_array_equal(found[..., 3], grey - MIDDLE)


@given(STEPS)
def test_images_add_up_to_the_sums_of_sides(batches, step):
    pairs = pairs_of(batches, step)
    stacks = side_stacks(pairs, batches.row_groups, crop_size=CROP)
    sums = side_sums(pairs, batches.row_groups, crop_size=CROP)
    found = stacks.samples[..., :3].sum(axis=2, dtype=np.int16)
    np.testing.assert_array_equal(found, sums.sums)
    np.testing.assert_array_equal(stacks.labels, sums.labels)
    assert stacks.step == sums.step


@pytest.mark.parametrize("numbers", [(1, 3), (3, 1), (2, 2)])
def test_a_side_of_fewer_images_is_filled_up_with_zeros(batches, numbers):
    pairs = pairs_of(batches, 5, num_images=numbers)
    samples = side_stacks(pairs, batches.row_groups, crop_size=CROP).samples
    assert samples.shape == (PART, 2, max(numbers), CROP, CROP, 4)
    for which, count in enumerate(numbers):
        assert samples[:, which, :count].any(axis=(-3, -2)).all()
        assert not samples[:, which, count:].any()


@given(STEPS)
def test_crops_lie_on_blocks_inside_the_strip_and_reach_its_edges(batches, step):
    for size in (CROP, 24, SIZE):
        crops = np.array([p.crop for p in pairs_of(batches, step, crop_size=size)])
        assert not (crops % JPEG_BLOCK).any()
        assert 0 <= crops.min() <= crops.max() <= SIZE - size


def test_all_corners_on_blocks_are_drawn(batches):
    every = [pair.crop for step in range(40) for pair in pairs_of(batches, step)]
    assert set(every) == {(top, left) for top in (0, 8, 16) for left in (0, 8, 16)}


@pytest.mark.parametrize("num_workers", [1, 2, 3])
@pytest.mark.parametrize("step", [0, 7])
def test_all_workers_stacks_are_one_batch_for_any_number_of_workers(batches, num_workers, step):
    parts = {}
    for rank in range(num_workers):
        mine = share_of(rank, num_workers, training=CONFIG.training)
        share = batches.share(step, mine)
        for row, number in enumerate(mine):
            parts[number] = share.some(slice(row * PART, (row + 1) * PART))
    whole = joined([parts[number] for number in sorted(parts)])
    assert contents(whole) == contents(batches.share(step, range(NUM_PARTS)))
    assert isinstance(whole, Stacks)
    assert whole.step == batches.row_groups.step


@pytest.mark.parametrize(("judged", "seen"), [(16, 16), (24, 24), (30, 24), (0, SIZE)])
def test_what_validates_is_seen_whole_up_to_a_block(batches, judged, seen):
    parts = listed(batches, crop_size=judged)
    assert {len(part) for part in parts.parts} == {4}
    assert parts.part(3).samples.shape == (4, 2, 3, seen, seen, 4)
    assert contents(parts.part(3)) == contents(listed(batches, crop_size=judged).part(3))


def task(store, **sections):
    split = named_split("seeded", store.images(), settings=Splits(), seed=1)
    return StackTask(config=replace(CONFIG, **sections), store=store.folder.uri, split=split)


def test_a_pair_takes_the_bytes_of_its_images_on_the_way(store, batches):
    share = batches.share(3, [0])
    most = task(store, pairs=Pairs(crop_size=CROP, num_images=(3, 2))).unit_bytes
    assert share.samples[0].nbytes <= most == 2 * 3 * CROP**2 * 4
    task(store).check()


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"pairs": Pairs(crop_size=20)}, "pairs.crop_size = 20: expected a multiple of 8 px"),
        ({"residual": Residual(filter="none")}, "holds pixels, and the pair network learns from"),
        (
            {"training": Training(batch_size=16, micro_batches=4, validation_pairs=2**18)},
            "training.validation_pairs = 262144: their images take 1.5 GiB of a worker; lower it",
        ),
    ],
)
def test_what_a_pair_network_cannot_learn_from_is_one_sentence(store, sections, sentence):
    with pytest.raises(ValueError, match=sentence):
        task(store, **sections).check()


def test_a_store_of_pixels_is_refused_in_one_sentence(tmp_path):
    of = task(small_store(str(tmp_path), DEVICES, filter="none", dtype="uint8"))
    with pytest.raises(ValueError, match="holds pixels, and the pair network learns from residual"):
        of.check()
