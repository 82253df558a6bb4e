from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.config import Comparisons, Config, Pairs, Splits, Training
from camid.dataset.records import chunk_name
from camid.dataset.splits import named_split
from camid.io.folder import Folder
from camid.store.strip_reader import RowGroups
from camid.training.batches import (
    TRAINING,
    ListedPairs,
    PairBatches,
    check_batches,
    joined,
    share_of,
)
from camid.training.pair_sampling import candidates
from camid.training.pairs import drawn, side_sums
from tests.unit.stores import SIZE, Chunk, small_store

NUM_PARTS, PART = 8, 4
DEVICES = {name: [Chunk(images=7), Chunk(images=5)] for name in "abcdefghij"}
CONFIG = Config(
    pairs=Pairs(crop_size=16, num_images=((1, 3), 2)),
    training=Training(batch_size=NUM_PARTS * PART, micro_batches=NUM_PARTS),
)
STEPS = st.integers(0, 2**40)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(str(tmp_path_factory.mktemp("store")), DEVICES)


@pytest.fixture(scope="module")
def split(store):
    return named_split("seeded", store.images(), settings=Splits(), seed=1)


@pytest.fixture(scope="module")
def batches(store):
    with RowGroups(store) as row_groups:
        yield pair_batches(candidates(store, store.images()), row_groups)


def pair_batches(found, row_groups):
    return PairBatches(candidates=found, row_groups=row_groups, config=CONFIG)


def pair_list(batches, **changes):
    """Return what validates of the same candidates, with sections of the configuration changed."""
    config = replace(CONFIG, comparisons=Comparisons(crop_size=16, num_images=(3, 2)))
    return ListedPairs(
        candidates=batches.candidates,
        row_groups=batches.row_groups,
        config=replace(config, **changes),
    )


def contents(sums):
    return sums.sums.tobytes(), sums.counts.tobytes(), sums.labels.tobytes()


@pytest.mark.parametrize("num_workers", [1, 2, 3, 8])
@pytest.mark.parametrize("step", [0, 7])
def test_all_workers_shares_are_one_batch_for_any_number_of_workers(batches, num_workers, step):
    parts = {}
    for rank in range(num_workers):
        mine = share_of(rank, num_workers, training=CONFIG.training)
        share = batches.share(step, mine)
        assert len(share.labels) == PART * len(mine)
        for row, number in enumerate(mine):
            assert number not in parts
            parts[number] = share.some(slice(row * PART, (row + 1) * PART))
    whole = joined([parts[number] for number in sorted(parts)])
    assert contents(whole) == contents(batches.share(step, range(NUM_PARTS)))
    assert whole.step == batches.row_groups.step


@given(st.integers(1, 40), st.data())
def test_every_micro_batch_is_of_one_worker(micro_batches, data):
    num_workers = data.draw(st.integers(1, micro_batches))
    training = Training(micro_batches=micro_batches)
    shares = [share_of(rank, num_workers, training=training) for rank in range(num_workers)]
    assert sorted(number for share in shares for number in share) == list(range(micro_batches))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(STEPS)
def test_each_micro_batch_is_half_positive_and_no_two_are_alike(batches, step):
    parts = [batches.share(step, [number]) for number in range(NUM_PARTS)]
    assert {int(part.labels.sum()) for part in parts} == {PART // 2}
    assert len({part.sums.tobytes() for part in parts}) == NUM_PARTS


@given(STEPS)
def test_a_micro_batch_is_drawn_with_its_purpose_and_number(batches, step):
    pairs = drawn(
        batches.candidates,
        step,
        num_pairs=PART,
        size=SIZE,
        settings=CONFIG.pairs,
        seed=CONFIG.seed,
        key=(TRAINING, 3),
    )
    plain = side_sums(pairs, batches.row_groups, crop_size=16)
    assert contents(batches.share(step, [3])) == contents(plain)


def test_what_validates_is_drawn_apart_from_what_trains(batches):
    same = replace(CONFIG.pairs, num_images=(3, 2))
    trains = replace(batches, config=replace(CONFIG, pairs=same))
    listed = pair_list(batches)
    every = [trains.share(step, [n]).sums for step in range(6) for n in range(NUM_PARTS)]
    every += [listed.part(number).sums for number in range(6)]
    assert len({sums.tobytes() for sums in every}) == len(every)


def test_what_validates_is_the_same_however_a_network_is_trained(batches):
    listed = pair_list(batches)
    other = pair_list(
        batches,
        pairs=Pairs(
            crop_size=16,
            num_images=((1, 8), 1),
            negatives="any-position",
            same_model=1,
            per_row_group=1,
        ),
        training=Training(batch_size=6, micro_batches=3),
    )
    for number in (0, 1, 7):
        assert contents(listed.part(number)) == contents(other.part(number))
        assert set(listed.part(number).counts.flat) == {3, 2}


def test_windows_of_smaller_crops_fill_the_crops_that_are_judged(batches):
    wide = Comparisons(crop_size=32, num_images=(3, 2))
    whole = pair_list(batches, comparisons=wide, pairs=Pairs(crop_size=32))
    small = pair_list(batches, comparisons=wide, pairs=Pairs(crop_size=16))
    one, four = whole.part(2), small.part(2)
    assert len(small.parts) == len(whole.parts)
    assert len(four.labels) == 4 * len(one.labels)
    quarters = four.sums.reshape(-1, 2, 2, *four.sums.shape[1:])  # pair, row, column, side …
    rows = np.concatenate([quarters[:, :, 0], quarters[:, :, 1]], axis=-2)
    np.testing.assert_array_equal(np.concatenate([rows[:, 0], rows[:, 1]], axis=-3), one.sums)
    with pytest.raises(ValueError, match="crop_size = 24: networks are judged on crops of 32 px"):
        pair_list(batches, comparisons=wide, pairs=Pairs(crop_size=24)).windows  # noqa: B018


@given(st.integers(0, PART * NUM_PARTS))
def test_parts_that_are_joined_are_the_whole(batches, cut):
    whole = batches.share(1, range(NUM_PARTS))
    parts = [whole.some(slice(cut)), whole.some(slice(cut, None))]
    assert contents(joined(parts)) == contents(whole)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_batch_of_a_part_of_a_split_names_its_devices_alone(store, split, part):
    of_part = set(getattr(split, part))
    others = set(DEVICES) - of_part
    assert of_part
    assert others
    own = candidates(store, split.images(part, store.images()))
    met = set()
    for step in range(20):
        pairs = drawn(own, step, num_pairs=PART, size=SIZE, settings=CONFIG.pairs, seed=1)
        met |= {side.address.device for pair in pairs for side in pair.sides}
    assert met == of_part


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_batch_of_a_part_of_a_split_is_read_without_the_others_files(
    store, split, part, tmp_path
):
    own = candidates(store, split.images(part, store.images()))
    own_files = {chunk_name(d, n) for d in getattr(split, part) for n in range(len(DEVICES[d]))}
    others = {chunk_name(d, n) for d in DEVICES for n in range(len(DEVICES[d]))} - own_files
    assert others < set(store.folder.files())
    for name in set(store.folder.files()) - others:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(store.folder.read(name))
    alone = replace(store, folder=Folder(str(tmp_path)))
    with RowGroups(store) as whole, RowGroups(alone) as row_groups:
        for step in range(10):
            expected, found = (
                pair_batches(own, of).share(step, range(NUM_PARTS)) for of in (whole, row_groups)
            )
            assert contents(found) == contents(expected)


@given(st.integers(1, 20), st.integers(1, 20), st.data())
def test_a_batch_that_can_be_parted_passes(micro_batches, pairs, data):
    num_workers = data.draw(st.integers(1, micro_batches))
    batch_size = 2 * micro_batches * pairs
    check_batches(
        Training(
            batch_size=batch_size,
            micro_batches=micro_batches,
            num_workers=num_workers,
        ),
        multiple=2,
    )


@pytest.mark.parametrize("count", [1, PART, 3 * PART - 1, 5 * PART])
def test_a_list_s_parts_are_all_of_it_and_every_part_is_of_its_length(batches, count):
    training = replace(CONFIG.training, validation_pairs=count)
    listed = pair_list(batches, training=training)
    assert [n for part in listed.parts for n in part] == list(range(count))
    for number, part in enumerate(listed.parts):
        assert len(listed.part(number).labels) == len(part)


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        (
            {"batch_size": 24, "micro_batches": 8},
            "training.batch_size = 24: no multiple of twice training.micro_batches = 8",
        ),
        (
            {"batch_size": 32, "micro_batches": 4, "num_workers": 5},
            "training.num_workers = 5: more than the 4 parts of a step; raise training.micro_b",
        ),
    ],
)
def test_a_batch_that_gives_some_worker_no_part_is_refused(training, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_batches(Training(**training), multiple=2)
