from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.config import Chunks, Strips
from camid.dataset.records import ImageRecord
from camid.store.chunk_plan import chunks_of, plan_digest, planned

STRIPS, CHUNKS = Strips(), Chunks()


def record(number, *, device="7", **changes):
    known = {"kind": "foreground", "width": 512, "height": 512, "bytes": 100}
    image_id = f"{device}/{number:03d}"
    return ImageRecord(image_id=image_id, device=device, path=image_id, **{**known, **changes})


def plan(records, *, seed=1, chunks=CHUNKS):
    return planned(records, strips=STRIPS, chunks=chunks, seed=seed)


some_records = st.lists(
    st.builds(
        record,
        st.integers(0, 999),
        device=st.sampled_from(["1", "2"]),
        kind=st.sampled_from(["background", "foreground"]),
        width=st.sampled_from([256, 512]),
        orientation=st.sampled_from([1, 6]),
        angle=st.sampled_from([0, 90, 180]),
        status=st.sampled_from(["ok", "rejected: blurred"]),
    ),
    unique_by=lambda r: r.image_id,
    max_size=60,
)


@given(some_records)
def test_every_kept_image_is_in_one_chunk_and_no_other(records):
    chunks = chunks_of(plan(records))
    members = Counter(image.image_id for chunk in chunks for image in chunk.images)
    assert members == Counter(r.image_id for r in records if r.status == "ok")


@given(some_records)
def test_a_chunk_has_one_device_kind_size_orientation_and_angle(records):
    for chunk in chunks_of(plan(records)):
        assert 1 <= len(chunk.images) <= CHUNKS.max_images
        traits = {
            (i.device, i.kind, i.width, i.height, i.orientation, i.angle) for i in chunk.images
        }
        assert len(traits) == 1


@given(some_records, st.randoms())
def test_the_order_of_files_does_not_matter(records, random):
    shuffled = list(records)
    random.shuffle(shuffled)
    assert plan_digest(chunks_of(plan(shuffled))) == plan_digest(chunks_of(plan(records)))


@given(some_records)
def test_digests_are_those_of_the_chunks(records):
    chunks = chunks_of(plan(records))
    assert list(chunks.digests()) == [chunk.digest for chunk in chunks]
    assert [chunks[number] for number in range(len(chunks))] == list(chunks)
    assert [len(chunk.images) for chunk in chunks] == chunks.shapes[:, 0].tolist()


def test_another_seed_deals_the_images_otherwise():
    records = [record(number) for number in range(40)]
    one, two = ([r.chunk for r in plan(records, seed=seed)] for seed in (1, 2))
    assert one != two
    assert Counter(one) == Counter(two)


def test_another_device_changes_no_chunk_of_this_one():
    mine = [record(number) for number in range(40)]
    others = [record(number, device="8") for number in range(5)]
    assert plan([*mine, *others])[:40] == plan(mine)


def test_large_images_make_small_chunks():
    records = [record(number, width=4096, height=4096) for number in range(9)]
    limit = Chunks(max_mebibytes=100)  # one image has 48 MiB of samples
    assert Counter(Counter(r.chunk for r in plan(records, chunks=limit)).values()) == {2: 4, 1: 1}


@pytest.mark.parametrize("change", [{"bytes": 101}, {"image_id": "7/new"}, {"angle": 90}])
def test_the_digest_tells_changed_files(change):
    records = [record(number) for number in range(3)]
    changed = [replace(records[0], **change), *records[1:]]
    assert plan_digest(chunks_of(plan(changed))) != plan_digest(chunks_of(plan(records)))
