"""Preprocessing: photographs become a strip store, chunk by chunk, on Ray Data."""

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from camid.config import Config, config_tree
from camid.dataset.manifest import ImageTable
from camid.dataset.records import OK, ImageRecord, chunk_name, manifest_table
from camid.dataset.sources import find_files, read_headers
from camid.io.folder import Folder
from camid.runtime.cluster.map_tasks import streamed
from camid.runtime.cluster.resources import num_cpus
from camid.runtime.cluster.session import session
from camid.runtime.console import tracked
from camid.runtime.ingest.simulate import simulated_with
from camid.store.build import (
    begin,
    check_place,
    check_settings,
    clear,
    damaged_chunks,
    finish,
    found_chunks,
    only_run,
)
from camid.store.chunk_file import ChunkFile, ImageFate
from camid.store.chunk_plan import Plan, chunks_of, plan_digest, planned
from camid.store.image_status import Fates
from camid.store.make_chunk import make_chunk, sample_format, smallest_side
from camid.store.source_changes import changes

FATE_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("name", "content", "image_id", "sha256", "status")]
)
"""What a task tells of each image, and of its chunk: the name, and the digest of the content."""
SETTINGS = ("seed", "images", "strips", "residual", "chunks")
"""Sections of the configuration that a store's bytes depend on."""

PIXELS_PER_TASK = 64e6
"""Pixels that are enough for a task of Ray: seconds of work."""
TASKS_PER_CPU = 4
"""Tasks that each processor has at least, where there are as many chunks."""

SHOWN = 5
"""Names that a sentence lists at most."""


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What a preprocessing run found and did."""

    num_files: int
    num_images: int
    num_devices: int
    num_chunks: int
    num_chunks_made: int
    rejected: dict[str, int]
    """Number of files for each reason."""
    num_stray: int
    """Files that were a store's, but not this one's, and were deleted."""
    changed: list[str]
    """Images whose photographs are not what they were when an earlier run read them."""
    images_per_second: float
    """Images read in this run a second; 0 where there was nothing to do."""
    content_digest: str

    def lines(self, store: str) -> list[str]:
        """Return what to tell the user: a summary, and every reason for a rejection."""
        speed = f", {self.images_per_second:.1f} images/s" if self.images_per_second else ""
        return [
            f"{store}: {self.num_images} of {self.num_files} files are images of "
            f"{self.num_devices} devices, in {self.num_chunks} chunks, {self.num_chunks_made} made "
            f"now{speed}; digest {self.content_digest[:12]}",
            *(f"  {count:6d} {reason}" for reason, count in self.rejected.items()),
            *([f"{self.changes}; their chunks were made again"] if self.changed else []),
        ]

    @property
    def changes(self) -> str:
        """The photographs that have changed, in words."""
        some = ", ".join(self.changed[:SHOWN]) + (", …" if len(self.changed) > SHOWN else "")
        return f"photographs changed since they were read before: {len(self.changed)} ({some})"


def preprocess(
    config: Config,
    *,
    fresh: bool = False,
    damaged: Collection[str] = (),
    only: Sequence[ImageRecord] | None = None,
) -> Ingested:
    """Bring the store at ``config.paths.store`` up to date with ``config.paths.data``.

    Chunks that are there and whole are kept; what is missing or out of date is made, and what the
    plan no longer has is removed. ``fresh`` starts from nothing. ``damaged`` names files of the
    store that are made again in any case; ``only`` are the images that the store has now, and
    shall have.

    Raises
    ------
    ValueError
        If the data hold nothing usable, or a store of another configuration is in the way, or an
        image of ``only`` is gone or cannot be read any more.
    """
    store = Folder(config.paths.store)
    facts = sample_format(config).facts
    settings = {"data": config.paths.data}
    settings |= {section: config_tree(config)[section] for section in SETTINGS}
    check_place(store, data=config.paths.data)
    with only_run(store):
        if not fresh:
            check_settings(store, settings)
        records = catalogued(config, only=only)
        plan = chunks_of(records)
        if not plan:
            raise _nothing_usable(config, records)
        if fresh:
            clear(store)
        damaged = {*damaged, *damaged_chunks(store)}
        fates, ready = Fates(plan), np.zeros(len(plan), np.int64)
        for number, found in found_chunks(store, plan, facts=facts):
            if found.is_current and plan.names[number] not in damaged:
                fates.note(number, found.fates, content=found.content)
                ready[number] = found.modified
            else:
                fates.note_earlier(found.fates)
        for number in _outdated(fates, ready):
            fates.forget(number)
            ready[number] = 0
        missing = np.flatnonzero(ready == 0).tolist()
        description = {
            "settings": settings,
            "samples": facts,
            "plan_digest": plan_digest(plan),
            "simulated": simulated_with(config.paths.data),
        }
        stray = begin(store, plan.names, description, damaged=damaged, is_due=bool(missing))
        started = time.monotonic()
        _make_missing(missing, fates, config=config)
        seconds = time.monotonic() - started
        final = fates.records()
        kept = final.ok
        if not len(kept):
            raise _nothing_usable(config, final)
        written = fates.written(config.strips)
        digest = finish(store, final, plan.names, description, written=written)
    num_read = int(plan.shapes[missing, 0].sum())
    statuses = final.counted("status").most_common()
    return Ingested(
        num_files=len(final),
        num_images=len(kept),
        num_devices=len(kept.counted("device")),
        num_chunks=len(plan),
        num_chunks_made=len(missing),
        num_stray=len(stray),
        rejected={status: count for (status,), count in statuses if status != OK},
        changed=fates.changed(),
        images_per_second=num_read / seconds if num_read else 0.0,
        content_digest=digest,
    )


def catalogued(config: Config, *, only: Sequence[ImageRecord] | None = None) -> ImageTable:
    """Return a record of every file at ``config.paths.data``, headers read, chunks planned.

    ``only`` are the images that there shall be, and no others.

    Raises
    ------
    ValueError
        If there is nothing, strips cannot be as configured, or an image of ``only`` that was read
        before is gone or cannot be read any more.
    """
    min_side = smallest_side(config)
    files = find_files(config.paths.data, reader=config.images.reader)
    if only is not None:
        wanted = {record.image_id for record in only}
        files = [file for file in files if file.image_id in wanted]
    headers = read_headers(files, min_side=min_side, max_megapixels=config.images.max_megapixels)
    records = ImageTable.of(tracked(headers, description="headers", unit="files", total=len(files)))
    usable = set(records.ok.column("image_id").to_pylist()) if only is not None else set()
    if lost := [r.path for r in only or () if r.sha256 and r.image_id not in usable]:
        raise ValueError(
            f"{config.paths.store}: {len(lost)} photographs that it was made of are gone or cannot "
            f"be read, {lost[0]} for example; bring them back, or run preprocess to go on without"
        )
    return planned(records, strips=config.strips, chunks=config.chunks, seed=config.seed)


def _outdated(fates: Fates, ready: NDArray[np.int64]) -> list[int]:
    """Return the numbers of ready chunks that hold images whose photographs have changed since."""
    numbers = np.flatnonzero(ready).tolist()
    of = np.repeat(numbers, fates.plan.shapes[numbers, 0]).tolist()
    checked = tracked(
        changes(chain.from_iterable(map(fates.images, numbers)), made=ready[of].tolist()),
        description="changes",
        unit="files",
        total=len(of),
    )
    return sorted({number for number, change in zip(of, checked, strict=True) if change})


def _nothing_usable(config: Config, records: ImageTable) -> ValueError:
    example = records[0]
    return ValueError(
        f"{config.paths.data}: none of {len(records)} files can be used; "
        f"{example.image_id}, for example, is {example.status}"
    )


def _make_missing(missing: Sequence[int], fates: Fates, *, config: Config) -> None:
    """Make chunks on Ray, and note what became of their images."""
    if not missing:
        return
    plan = fates.plan
    numbers = {plan.names[number]: number for number in missing}
    with session():
        results = streamed(
            _tasks(plan, missing, num_cpus=num_cpus()),
            partial(_make, config=config),
            description="preprocess",
            unit="images",
            done=fates.num_known,
            total=fates.num_known + int(plan.shapes[missing, 0].sum()),
            memory=plan.memory(config.strips),
        )
        for result in results:
            made: dict[tuple[str, str], list[ImageFate]] = defaultdict(list)
            for row in result.to_pylist():
                made[row.pop("name"), row.pop("content")].append(ImageFate(**row))
            for (name, content), found in made.items():
                fates.note(numbers[name], found, content=content)


def _tasks(plan: Plan, missing: Sequence[int], *, num_cpus: int) -> Iterator[pa.Table]:
    """Yield the images of each task: a chunk, or several small ones one after the other.

    Ray takes its time between two tasks, whatever they do; but all processors shall have some.
    """
    pixels = plan.shapes.prod(axis=1)
    enough = min(PIXELS_PER_TASK, pixels[missing].sum() / num_cpus / TASKS_PER_CPU)
    images: list[ImageRecord] = []
    work = 0
    for number in missing:
        images += plan[number].images
        work += int(pixels[number])
        if work >= enough:
            yield manifest_table(images)
            images, work = [], 0
    if images:
        yield manifest_table(images)


def _make(table: pa.Table, *, config: Config) -> pa.Table:
    """Make the chunks whose images ``table`` lists; runs on a worker."""
    fates: list[dict[str, str]] = []
    for chunk in chunks_of([ImageRecord(**row) for row in table.to_pylist()]):
        store, name = Folder(config.paths.store), chunk_name(chunk.device, chunk.number)
        made = make_chunk(chunk, store=store, config=config)
        with ChunkFile(store, name) as file:
            of = {"name": name, "content": file.content}
        fates += [of | vars(fate) for fate in made]
    return pa.Table.from_pylist(fates, schema=FATE_SCHEMA)
