from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.batches import TRAINING, VALIDATION, Batches, check_batches, joined, share_of
from camid.candidates import candidates
from camid.chunk_files import chunk_name
from camid.config import Config, Pairs, Splits, Training
from camid.folder import Folder
from camid.pairs import drawn, side_sums
from camid.row_groups import RowGroups
from camid.splits import named_split
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
        yield Batches.training(CONFIG, candidates(store, store.images()), row_groups)


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
    validation = replace(batches, purpose=VALIDATION)
    steps = [(of, step) for of in (batches, validation) for step in range(6)]
    every = [of.share(step, [n]).sums for of, step in steps for n in range(NUM_PARTS)]
    assert len({sums.tobytes() for sums in every}) == len(steps) * NUM_PARTS


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
                Batches.training(CONFIG, own, of).share(step, range(NUM_PARTS))
                for of in (whole, row_groups)
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
            validation_pairs=batch_size,
        )
    )


def test_every_worker_validates_something():
    with pytest.raises(ValueError, match="only 2 parts for 4 workers; raise it"):
        check_batches(Training(num_workers=4, validation_pairs=16))


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
        check_batches(Training(**training))
