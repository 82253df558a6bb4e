"""Preprocessing: photographs become a strip store, chunk by chunk, on Ray Data."""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from camid.building import (
    FoundChunk,
    begin,
    check_place,
    check_settings,
    clear,
    damaged_chunks,
    finish,
    found_chunks,
    only_run,
)
from camid.changes import changes
from camid.chunk_files import ImageFate, chunk_name
from camid.chunking import make_chunk, sample_format, smallest_side
from camid.config import Config, config_tree
from camid.folder import Folder
from camid.plan import Chunk, chunks_of, plan_digest, planned
from camid.records import OK, ImageRecord, manifest_table
from camid.runtime.session import num_cpus, session
from camid.runtime.simulation import simulated_with
from camid.runtime.stream import streamed, tracked
from camid.sources import find_files, read_headers

FATE_SCHEMA = pa.schema(
    [("image_id", pa.string()), ("sha256", pa.string()), ("status", pa.string())]
)
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
        chunks = chunks_of(records)
        if not chunks:
            raise _nothing_usable(config, records)
        if fresh:
            clear(store)
        damaged = {*damaged, *damaged_chunks(store)}
        names = {chunk_name(chunk.device, chunk.number): chunk for chunk in chunks}
        found = found_chunks(store, names, facts=facts)
        ready = {n: f.fates for n, f in found.items() if f.is_current and n not in damaged}
        for name in _outdated({n: names[n] for n in ready}, found):
            del ready[name]
        missing = [chunk for name, chunk in names.items() if name not in ready]
        description = {
            "settings": settings,
            "samples": facts,
            "plan_digest": plan_digest(chunks),
            "simulated": simulated_with(config.paths.data),
        }
        stray = begin(store, names, description, damaged=damaged, is_due=bool(missing))
        fates = {fate.image_id: fate for fates in ready.values() for fate in fates}
        started = time.monotonic()
        made = _made(missing, config=config, done=len(fates))
        seconds = time.monotonic() - started
        final = [_judged(record, fates | made) for record in records]
        if not any(record.status == OK for record in final):
            raise _nothing_usable(config, final)
        digest = finish(store, final, list(names), description)
    kept = [record for record in final if record.status == OK]
    num_read = sum(len(chunk.images) for chunk in missing)
    return Ingested(
        num_files=len(final),
        num_images=len(kept),
        num_devices=len({record.device for record in kept}),
        num_chunks=len(chunks),
        num_chunks_made=len(missing),
        num_stray=len(stray),
        rejected=dict(Counter(r.status for r in final if r.status != OK).most_common()),
        changed=_changed(made, found),
        images_per_second=num_read / seconds if num_read else 0.0,
        content_digest=digest,
    )


def catalogued(config: Config, *, only: Sequence[ImageRecord] | None = None) -> list[ImageRecord]:
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
    records = list(tracked(headers, description="headers", unit="files", total=len(files)))
    usable = {record.image_id for record in records if record.status == OK}
    if lost := [r.path for r in only or () if r.sha256 and r.image_id not in usable]:
        raise ValueError(
            f"{config.paths.store}: {len(lost)} photographs that it was made of are gone or cannot "
            f"be read, {lost[0]} for example; bring them back, or run preprocess to go on without"
        )
    return planned(records, strips=config.strips, chunks=config.chunks, seed=config.seed)


def _outdated(chunks: Mapping[str, Chunk], found: Mapping[str, FoundChunk]) -> set[str]:
    """Return the names of chunks that hold images whose photographs have changed since."""
    records, names, made = [], [], {}
    for name, chunk in chunks.items():
        digests = {fate.image_id: fate.sha256 for fate in found[name].fates}
        for image in chunk.images:
            records.append(replace(image, sha256=digests[image.image_id]))
            names.append(name)
            made[image.image_id] = found[name].modified
    checked = tracked(
        changes(records, made=made), description="changes", unit="files", total=len(records)
    )
    return {name for name, change in zip(names, checked, strict=True) if change}


def _changed(made: Mapping[str, ImageFate], found: Mapping[str, FoundChunk]) -> list[str]:
    """Return the images that have other bytes now than when an earlier run read them."""
    before = {fate.image_id: fate.sha256 for file in found.values() for fate in file.fates}
    pairs = ((name, before.get(name), fate.sha256) for name, fate in made.items())
    return sorted(name for name, old, new in pairs if old and new and old != new)


def _nothing_usable(config: Config, records: Sequence[ImageRecord]) -> ValueError:
    example = records[0]
    return ValueError(
        f"{config.paths.data}: none of {len(records)} files can be used; "
        f"{example.image_id}, for example, is {example.status}"
    )


def _made(chunks: Sequence[Chunk], *, config: Config, done: int) -> dict[str, ImageFate]:
    """Make chunks on Ray, and return what became of their images."""
    if not chunks:
        return {}
    work = partial(_make, config=config)
    with session():
        results = streamed(
            [manifest_table(images) for images in _tasks(chunks, num_cpus=num_cpus())],
            work,
            description="preprocess",
            unit="images",
            done=done,
            memory=max(chunk.memory(config.strips) for chunk in chunks),
        )
        fates = [ImageFate(**row) for result in results for row in result.to_pylist()]
    return {fate.image_id: fate for fate in fates}


def _tasks(chunks: Sequence[Chunk], *, num_cpus: int) -> Iterator[list[ImageRecord]]:
    """Yield the images of each task: a chunk, or several small ones one after the other.

    Ray takes its time between two tasks, whatever they do; but all processors shall have some.
    """
    total = sum(image.width * image.height for chunk in chunks for image in chunk.images)
    enough = min(PIXELS_PER_TASK, total / num_cpus / TASKS_PER_CPU)
    images: list[ImageRecord] = []
    for chunk in chunks:
        images += chunk.images
        if sum(image.width * image.height for image in images) >= enough:
            yield images
            images = []
    if images:
        yield images


def _make(table: pa.Table, *, config: Config) -> pa.Table:
    """Make the chunks whose images ``table`` lists; runs on a worker."""
    fates: list[ImageFate] = []
    for chunk in chunks_of([ImageRecord(**row) for row in table.to_pylist()]):
        fates += make_chunk(chunk, store=Folder(config.paths.store), config=config)
    return pa.Table.from_pylist([vars(fate) for fate in fates], schema=FATE_SCHEMA)


def _judged(record: ImageRecord, fates: dict[str, ImageFate]) -> ImageRecord:
    fate = fates.get(record.image_id)
    return replace(record, sha256=fate.sha256, status=fate.status) if fate else record
