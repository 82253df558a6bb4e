"""A store that is brought up to date in runs that may stop anywhere."""

from dataclasses import replace

import pytest

from camid.config import Chunks, Config, Strips
from camid.dataset.records import OK, ImageRecord
from camid.io.folder import Folder
from camid.prnu.strips import positions
from camid.store.build import StoreBuild
from camid.store.chunk_file import ImageStatus, SampleFormat, write_chunk
from camid.store.chunk_plan import chunks_of, planned
from camid.store.make_chunk import UNREADABLE
from camid.store.settings import store_settings
from camid.store.store import is_finished, open_store
from tests.unit.stores import SIZE, batch

STRIPS = Strips(size=SIZE)
FORM = SampleFormat(size=SIZE, dtype="int8", step=0.125, filter={"filter": "lukas"})


@pytest.fixture
def plan():
    """Two devices with two chunks of two images each."""
    images = [
        ImageRecord(image_id=f"{d}/{n}.jpg", device=d, width=64, height=32, path=f"/{d}/{n}.jpg")
        for d in "ab"
        for n in range(4)
    ]
    return chunks_of(planned(images, strips=STRIPS, chunks=Chunks(max_images=2), seed=1))


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path / "store"))


def building(folder, plan, **how):
    return StoreBuild(
        folder, plan, settings=store_settings(Config()), samples=FORM.facts, strips=STRIPS, **how
    )


def make(build, numbers, *, file="1", status=OK):
    """Write some chunks as workers do; ``file`` stands for the photographs' bytes."""
    for number in numbers:
        chunk = build.plan[number]
        statuses = [
            ImageStatus(image_id=i.image_id, sha256=(file * 64)[:64], status=status)
            for i in chunk.images
        ]
        kept = chunk.images if status == OK else ()
        content = write_chunk(
            build.folder,
            build.plan.names[number],
            batches=(batch(kept, p) for p in (positions(32, 64, size=SIZE) if kept else ())),
            form=FORM,
            digest=chunk.digest,
            statuses=statuses,
        )
        build.add(number, statuses, content=content)


def test_a_run_that_stops_leaves_what_is_missing_to_the_next(folder, plan):
    first = building(folder, plan)
    assert first.missing == [0, 1, 2, 3]
    first.begin()
    make(first, [0, 2])
    assert first.missing == [1, 3]
    second = building(folder, plan)
    assert second.missing == [1, 3]
    assert second.num_known == 4
    assert [number for number, _ in second.present] == [0, 2]
    assert not is_finished(folder)


def test_runs_that_stop_and_one_that_does_not_end_with_the_same_store(folder, plan, tmp_path):
    whole = building(Folder(str(tmp_path / "whole")), plan)
    whole.begin()
    make(whole, whole.missing)
    for number in range(4):
        build = building(folder, plan)
        build.begin()
        make(build, [number])
    assert build.finish() == whole.finish()
    for name in ("manifest.parquet", "index.parquet", "store.json"):
        assert folder.read(name) == whole.folder.read(name)
    assert [image.sha256 for image in open_store(folder.uri).images()] == ["1" * 64] * 8


def test_a_finished_store_has_nothing_to_do_and_stays_finished(folder, plan):
    build = building(folder, plan)
    build.begin()
    make(build, build.missing)
    build.finish()
    before = folder.modified("store.json")
    again = building(folder, plan)
    assert again.missing == []
    assert again.begin() == []
    again.finish()
    assert folder.modified("store.json") == before


@pytest.mark.parametrize("change", ["half a file", "other samples", "other images", "unreadable"])
def test_a_chunk_that_is_not_the_plan_s_is_made_again(folder, plan, change):
    build = building(folder, plan)
    make(build, [0, 1, 2], status=f"rejected: {UNREADABLE}" if change == "unreadable" else OK)
    make(build, [3])
    if change == "half a file":
        for name in plan.names[:3]:
            folder.write(name, folder.read(name)[:-9])
    how = {"samples": {**FORM.facts, "step": 1.0}} if change == "other samples" else {}
    if change == "other images":
        images = [replace(record, bytes=7) for record in plan.records]
        plan = chunks_of(images)
    stated = {"settings": {}, "samples": FORM.facts, "strips": STRIPS} | how
    missing = StoreBuild(folder, plan, **stated).missing
    assert missing == ([0, 1, 2, 3] if change.startswith("other") else [0, 1, 2])


def test_damaged_chunks_stay_to_make_until_they_are_made(folder, plan):
    build = building(folder, plan)
    build.begin()
    make(build, build.missing)
    build.finish()
    repair = building(folder, plan, damaged=[plan.names[1]])
    assert repair.missing == [1]
    repair.begin()  # and is killed
    assert not folder.exists(plan.names[1])
    again = building(folder, plan)
    assert again.missing == [1]
    make(again, [1])
    assert again.finish() == open_store(folder.uri).digest


def test_photographs_that_have_other_bytes_now_are_named(folder, plan):
    build = building(folder, plan)
    make(build, build.missing)
    build.finish()
    again = building(folder, plan)
    again.discard(2)
    assert again.missing == [2]
    again.begin()
    make(again, [2], file="2")
    assert again.changed() == sorted(image.image_id for image in plan[2].images)


def test_what_older_plans_left_is_deleted(folder, plan):
    build = building(folder, plan)
    make(build, build.missing)
    build.finish()
    fewer = chunks_of([r for r in plan.records if r.device == "a"])
    less = building(folder, fewer)
    assert sorted(less.begin()) == sorted(plan.names[2:])
    less.finish()
    assert sorted(folder.files()) == sorted(
        [*plan.names[:2], "index.parquet", "manifest.parquet", "store.json"]
    )
