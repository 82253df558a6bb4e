"""Patches are where they are said to be, and of everything equally many."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.config import Config, Patches, Training
from camid.store.index import chunk_grids
from camid.store.strip_reader import RowGroups
from camid.training.batches import PatchBatches, joined, share_of
from camid.training.pair_sampling import candidates
from camid.training.patches import (
    LabelledImages,
    cut_patches,
    drawn_cuts,
    image_cuts,
    patch_corners,
    spread,
)
from tests.unit.stores import SIZE, Chunk, small_store, strip

PATCH = 16
BACKGROUND = {"kind": "background"}
DEVICES = {
    "a": [Chunk(images=8), Chunk(images=2, **BACKGROUND)],
    "b": [Chunk(images=5), Chunk(images=3)],
    "c": [Chunk(images=4, size=(64, 64))],
}
SETTINGS = Patches(size=PATCH, per_strip=3, validation_images=7, validation_per_image=9)
CONFIG = Config(patches=SETTINGS, training=Training(batch_size=24, micro_batches=4))
STEPS = st.integers(0, 2**40)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(str(tmp_path_factory.mktemp("store")), DEVICES)


@pytest.fixture(scope="module")
def images(store):
    return LabelledImages(candidates(store, store.images()), sorted(DEVICES))


@pytest.fixture(scope="module")
def batches(store, images):
    with RowGroups(store) as row_groups:
        yield PatchBatches(images=images, row_groups=row_groups, config=CONFIG)


def drawn(images, step, *, num_patches=12, settings=SETTINGS, **how):
    given_how = {"strip_size": SIZE, "settings": settings, "seed": 1, **how}
    return drawn_cuts(images, step, num_patches=num_patches, **given_how)


def records(store):
    """Return the record of each device, chunk and row."""
    rows = Counter()
    found = {}
    for record in sorted(store.images(), key=lambda record: record.image_id):
        key = record.device, record.chunk
        found[*key, rows[key]] = record
        rows[key] += 1
    return found


@given(STEPS, st.integers(1, 30))
def test_a_draw_is_of_as_many_patches_and_of_all_devices_in_turn(images, step, num_patches):
    cuts = drawn(images, step, num_patches=num_patches)
    assert sum(len(cut.corners) for cut in cuts) == num_patches
    counts = Counter(cut.label for cut in cuts)
    every = [counts[label] for label in range(len(images.devices))]
    assert max(every) - min(every) <= 1
    for cut in cuts:
        assert cut.address.device == images.devices[cut.label]
        assert len(set(cut.corners)) == len(cut.corners) <= SETTINGS.per_strip
        assert set(cut.corners) <= set(patch_corners(SIZE, PATCH))


@given(STEPS, st.integers(1, 9))
def test_devices_take_turns_over_all_parts_of_a_step(images, step, parts):
    cuts = [cut for part in range(parts) for cut in drawn(images, step, part=part)]
    counts = Counter(cut.label for cut in cuts)
    every = [counts[label] for label in range(len(images.devices))]
    assert max(every) - min(every) <= 1


def test_kinds_of_images_come_equally_often(images, store):
    known = records(store)
    cuts = [cut for step in range(200) for cut in drawn(images, step)]
    kinds = Counter(known[(*c.address[:2], c.row)].kind for c in cuts if c.label == 0)
    share = kinds["background"] / sum(kinds.values())
    assert 0.4 < share < 0.6


def test_a_draw_is_a_function_of_seed_key_and_step(images):
    assert drawn(images, 3) == drawn(images, 3)
    others = [
        drawn(images, 4),
        drawn(images, 3, seed=2),
        drawn(images, 3, part=1),
        drawn(images, 3, purpose=9),
    ]
    assert all(other != drawn(images, 3) for other in others)


def test_patches_are_what_the_strips_have_there(images, store):
    known = records(store)
    cuts = drawn(images, 5, num_patches=20)
    places = {
        (*chunk, row_group): position
        for chunk, grid in chunk_grids(store.index).items()
        for position, row_group in grid.items()
    }
    with RowGroups(store) as row_groups:
        found = cut_patches(cuts, row_groups, size=PATCH)
    at = 0
    for cut in cuts:
        whole = strip(known[(*cut.address[:2], cut.row)], places[tuple(cut.address)])
        for top, left in cut.corners:
            expected = whole[top : top + PATCH, left : left + PATCH]
            np.testing.assert_array_equal(found.samples[at], expected)
            assert found.labels[at] == cut.label
            at += 1
    samples, scales, labels = found.arrays()
    assert at == len(samples) == len(labels)
    assert set(scales.ravel().tolist()) == {0.125}


@pytest.mark.parametrize("num_workers", [1, 3, 4])
def test_all_workers_shares_are_one_batch(batches, num_workers):
    parts = {}
    for rank in range(num_workers):
        mine = share_of(rank, num_workers, training=CONFIG.training)
        share = batches.share(7, mine)
        for place, number in enumerate(mine):
            parts[number] = share.some(slice(6 * place, 6 * place + 6))
    whole = batches.share(7, range(4))
    again = joined([parts[number] for number in range(4)])
    assert len(whole.labels) == CONFIG.training.batch_size
    np.testing.assert_array_equal(again.samples, whole.samples)
    np.testing.assert_array_equal(again.labels, whole.labels)


def test_images_validate_as_equally_as_can_be_each_once(batches):
    labels = [batches.part(number).labels for number in range(len(batches.parts))]
    assert [len(part) for part in batches.parts] == [len(of) for of in labels] == [9] * 7
    assert all(len(set(of.tolist())) == 1 for of in labels)
    counts = Counter(int(of[0]) for of in labels)
    assert sorted(counts.values()) == [2, 2, 3]
    samples = {batches.part(number).samples.tobytes() for number in range(7)}
    assert len(samples) == 7
    many = replace(SETTINGS, validation_images=99, validation_per_image=999)
    whole = replace(batches, config=replace(CONFIG, patches=many))
    assert sorted(len(part) for part in whole.parts) == [16] * 4 + [24] * 18


@given(st.integers(1, 30), st.integers(0, 5))
def test_places_are_spread_without_one_twice_the_same_for_a_seed(count, seed):
    positions = [(0, 0), (0, SIZE), (SIZE, 0)]
    how = {"strip_size": SIZE, "size": PATCH, "count": count, "seed": seed}
    found = spread(positions, **how)
    every = [(position, corner) for position, of in found.items() for corner in of]
    assert len(set(every)) == len(every) == min(count, 12)
    assert found == spread(reversed(positions), **how)


def test_whole_strips_are_patches_of_their_size(images, store, batches):
    whole = replace(batches, config=replace(CONFIG, patches=Patches(size=0)))
    share = whole.share(0, [0])
    assert share.samples.shape == (6, SIZE, SIZE, 3)
    assert len({sample.tobytes() for sample in share.samples}) > 3


def test_a_patch_beyond_its_strip_is_refused(batches):
    large = replace(batches, config=replace(CONFIG, patches=Patches(size=64)))
    with pytest.raises(ValueError, match="patches.size = 64: larger than the store's strips of 32"):
        large.check()
    batches.check()


def test_the_cuts_of_an_image_are_at_the_places_given(images):
    chunk, row = images.by_kind[2][0][0]
    places = {(0, 0): [(0, 0), (16, 16)], (32, 32): [(0, 16)]}
    cuts = image_cuts(chunk, row, places, label=5)
    assert [cut.corners for cut in cuts] == [((0, 0), (16, 16)), ((0, 16),)]
    assert {(cut.row, cut.label) for cut in cuts} == {(row, 5)}
