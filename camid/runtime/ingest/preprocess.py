"""Preprocessing: photographs become a strip store, chunk by chunk, on Ray Data."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, tee
from typing import Any, TypedDict, TypeVar

import pyarrow as pa

from camid.config import Config
from camid.dataset.manifest import ImageTable
from camid.dataset.records import (
    OK,
    ImageRecord,
    alike_names,
    chunk_name,
    manifest_table,
    reason_kinds,
)
from camid.dataset.sources import FoundFile, find_files, read_headers
from camid.io.folder import Folder, in_threads
from camid.io.lock import locked
from camid.runtime.cluster.map_tasks import in_batches, streamed
from camid.runtime.cluster.resources import num_cpus
from camid.runtime.cluster.session import session
from camid.runtime.console import tracked
from camid.runtime.ingest.simulate import simulated_with
from camid.store.build import StoreBuild
from camid.store.chunk_file import ImageStatus
from camid.store.chunk_plan import Plan, chunks_of, planned
from camid.store.claim import check_place, check_settings, clear
from camid.store.make_chunk import make_chunk, sample_format, smallest_side
from camid.store.settings import store_settings
from camid.store.source_changes import changes

R = TypeVar("R")

STATUS_SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in ("name", "content", "image_id", "sha256", "status", "scene_hash")
    ]
)
"""Columns that a task returns for each image: its chunk's name and digest, and its status."""

PIXELS_PER_TASK = 64e6
"""Pixels that are enough for a Ray task: seconds of work …"""
CPUS_OF_SUCH = 250
"""… that one driver, whom a task costs 8 ms, gives to so many processors; more get larger tasks."""
MANY = 20_000
"""Files from which on workers look at them: fewer are looked at before a Ray has started."""
PER_TASK = 4096
"""Files that a task looks at: a second of work, or more where storage is slow."""
UNCHANGED = -1
TASKS_PER_CPU = 4
"""Smallest number of tasks per processor, if there are enough chunks."""

SHOWN = 5
"""Names that a message lists at most."""


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """Counts of a preprocessing run."""

    num_files: int
    num_images: int
    num_devices: int
    num_chunks: int
    num_chunks_made: int
    rejected: dict[str, int]
    """Number of rejected files for each kind of reason (:func:`reason_kinds`)."""
    num_stray: int
    """Number of deleted files that killed runs and older plans had left in the store."""
    changed: list[str]
    """Images whose photographs have changed since an earlier run read them."""
    images_per_second: float
    """Images read per second in this run; 0 if there was nothing to do."""
    content_digest: str

    def lines(self, store: str) -> list[str]:
        """Return the lines for the user: a summary, and every reason for a rejection."""
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
        """The message about changed photographs."""
        names = ", ".join(self.changed[:SHOWN]) + (", …" if len(self.changed) > SHOWN else "")
        return f"photographs changed since they were read before: {len(self.changed)} ({names})"


def preprocess(
    config: Config,
    *,
    fresh: bool = False,
    damaged: Collection[str] = (),
    only: Sequence[ImageRecord] | None = None,
) -> Ingested:
    """Bring the store at ``config.paths.store`` up to date with ``config.paths.data``.

    Whole chunks are kept, missing or outdated ones are made, and those that the plan no longer has
    are removed. ``fresh`` starts from nothing. ``damaged`` names files of the store that are made
    again in any case; ``only`` lists the images that the store has now and is to keep.

    Raises
    ------
    ValueError
        If the data hold nothing usable, or the store was made with another configuration, or an
        image of ``only`` is gone or cannot be read any more.
    """
    store, settings = Folder(config.paths.store), store_settings(config)
    check_place(store, data=config.paths.data)
    with locked(store, what="this store"):
        if not fresh:
            check_settings(store, settings)
        records = catalogued(config, only=only)
        plan = chunks_of(records)
        if not plan:
            raise _nothing_usable(config, records)
        if fresh:
            clear(store)
        build = StoreBuild(
            store,
            plan,
            settings=settings,
            samples=sample_format(config).facts,
            strips=config.strips,
            simulated=simulated_with(config.paths.data),
            damaged=damaged,
            mapped=_chunks_mapped,
        )
        for number in _outdated(build):
            build.discard(number)
        missing, stray, started = build.missing, build.begin(), time.monotonic()
        _make_missing(build, config=config)
        seconds = time.monotonic() - started
        records = build.records()
        if not len(records.ok):
            raise _nothing_usable(config, records)
        digest = build.finish()
    num_read = int(plan.shapes[missing, 0].sum())
    return Ingested(
        **_counts(records),
        num_chunks=len(plan),
        num_chunks_made=len(missing),
        num_stray=len(stray),
        changed=build.changed(),
        images_per_second=num_read / seconds if num_read else 0.0,
        content_digest=digest,
    )


def _counts(records: ImageTable) -> dict[str, Any]:
    """Return how many files there are, and how many were rejected for each reason."""
    kept, statuses = records.ok, records.counted("status").most_common()
    number_of = {status: count for (status,), count in statuses if status != OK}
    return {
        "num_files": len(records),
        "num_images": len(kept),
        "num_devices": len(kept.counted("device")),
        "rejected": {
            kind: sum(number_of[reason] for reason in reasons)
            for kind, reasons in reason_kinds(number_of).items()
        },
    }


def catalogued(config: Config, *, only: Sequence[ImageRecord] | None = None) -> ImageTable:
    """Return a record of every file at ``config.paths.data``, headers read, chunks planned.

    ``only`` restricts the records to its images.

    Raises
    ------
    ValueError
        If there are no files, strips cannot be as configured, or an image of ``only`` that was read
        before is gone or cannot be read any more.
    """
    min_side = smallest_side(config)
    images = config.images
    files = find_files(config.paths.data, reader=images.reader, elsewhere=images.elsewhere)
    if only is not None:
        image_ids = {record.image_id for record in only}
        files = [file for file in files if file.image_id in image_ids]
    read = partial(read_headers, min_side=min_side, max_megapixels=images.max_megapixels)
    records = _read_headers(files, read)
    if alike := alike_names(device for (device,) in records.ok.counted("device")):
        raise ValueError(
            f"{config.paths.data}: the devices {alike[0]!r} and {alike[1]!r} differ by case, "
            "spaces or the form of accents alone; name one device once, or two differently"
        )
    usable = set(records.ok.column("image_id").to_pylist()) if only is not None else set()
    if lost_paths := [r.path for r in only or () if r.sha256 and r.image_id not in usable]:
        raise ValueError(
            f"{config.paths.store}: {len(lost_paths)} photographs that it was made of are gone or "
            f"cannot be read, {lost_paths[0]} for example; bring them back, or run preprocess to "
            "go on without"
        )
    return planned(records, strips=config.strips, chunks=config.chunks, seed=config.seed)


def _read_headers(
    files: Sequence[FoundFile], read: Callable[[Sequence[FoundFile]], Iterator[ImageRecord]]
) -> ImageTable:
    """Return the records of all files, in order; where there are many, workers read them."""
    shown = _Shown(description="headers", unit="files", total=len(files))
    if len(files) < MANY:
        return ImageTable.of(tracked(read(files), **shown))
    batches = (files[start : start + PER_TASK] for start in range(0, len(files), PER_TASK))
    with session():
        return ImageTable.joined(in_batches(batches, partial(_table_of, read=read), **shown))


class _Shown(TypedDict):
    """What a progress bar shows."""

    description: str
    unit: str
    total: int


def _table_of(
    files: Sequence[FoundFile], *, read: Callable[[Sequence[FoundFile]], Iterator[ImageRecord]]
) -> ImageTable:
    return ImageTable.of(read(files))


def _chunks_mapped(work: Callable[[str], R], names: Sequence[str]) -> Iterator[R]:
    """Yield the result of ``work`` for each chunk's file; where there are many, by workers."""
    if len(names) < MANY:
        yield from in_threads(work, names)
        return
    batches = (names[start : start + PER_TASK] for start in range(0, len(names), PER_TASK))
    with session():
        for results in in_batches(
            batches,
            partial(_list_of, work=work),
            description="chunks",
            unit="files",
            total=len(names),
        ):
            yield from results


def _list_of(names: Sequence[str], *, work: Callable[[str], R]) -> list[R]:
    return [*in_threads(work, names)]


def _outdated(build: StoreBuild) -> list[int]:
    """Return the numbers of the chunks with photographs that have changed since they were made.

    Where there are many photographs, workers look at them.
    """
    total = sum(int(build.plan.shapes[number, 0]) for number, _ in build.present)
    shown = _Shown(description="changes", unit="files", total=total)
    photographs = (
        (number, image, made) for number, made in build.present for image in build.images(number)
    )
    if total < MANY:
        return sorted({*tracked(_changed(photographs), **shown)} - {UNCHANGED})
    batches = iter(lambda: list(islice(photographs, PER_TASK)), [])
    with session():
        numbers = in_batches(batches, _changed_numbers, **shown)
        return sorted({*chain.from_iterable(numbers)})


def _changed(photographs: Iterable[tuple[int, ImageRecord, int]]) -> Iterator[int]:
    """Yield the chunk's number of each photograph that has changed, else :data:`UNCHANGED`.

    Parameters
    ----------
    photographs
        Numbers of chunks, photographs, and when their chunks were made, nanoseconds since 1970.
    """
    for_numbers, for_images, for_times = tee(photographs, 3)
    found = changes((image for _, image, _ in for_images), made=(made for *_, made in for_times))
    for (number, *_), change in zip(for_numbers, found, strict=True):
        yield number if change else UNCHANGED


def _changed_numbers(photographs: Sequence[tuple[int, ImageRecord, int]]) -> set[int]:
    return {*_changed(photographs)} - {UNCHANGED}


def _nothing_usable(config: Config, records: ImageTable) -> ValueError:
    example = records[0]
    return ValueError(
        f"{config.paths.data}: none of {len(records)} files can be used; "
        f"{example.image_id}, for example, is {example.status}"
    )


def _make_missing(build: StoreBuild, *, config: Config) -> None:
    """Make the chunks that are missing, on Ray."""
    plan, missing = build.plan, build.missing
    if not missing:
        return
    numbers = {plan.names[number]: number for number in missing}
    with session():
        results = streamed(
            _tasks(plan, missing, num_cpus=num_cpus()),
            partial(_make, config=config),
            description="preprocess",
            unit="images",
            done=build.num_known,
            total=build.num_known + int(plan.shapes[missing, 0].sum()),
            memory=plan.memory(config.strips),
        )
        for result in results:
            by_chunk: dict[tuple[str, str], list[ImageStatus]] = defaultdict(list)
            for row in result.to_pylist():
                by_chunk[row.pop("name"), row.pop("content")].append(ImageStatus(**row))
            for (name, content), statuses in by_chunk.items():
                build.add(numbers[name], statuses, content=content)


def _tasks(plan: Plan, missing: Sequence[int], *, num_cpus: int) -> Iterator[pa.Table]:
    """Yield the images of each task: those of one chunk, or of several small chunks.

    Each task costs Ray time, so tasks should be large, but every processor should get tasks.
    """
    pixels = plan.shapes.prod(axis=1)
    enough = PIXELS_PER_TASK * max(1.0, num_cpus / CPUS_OF_SUCH)
    min_pixels = min(enough, pixels[missing].sum() / num_cpus / TASKS_PER_CPU)
    images: list[ImageRecord] = []
    num_pixels = 0
    for number in missing:
        images += plan[number].images
        num_pixels += int(pixels[number])
        if num_pixels >= min_pixels:
            yield manifest_table(images)
            images, num_pixels = [], 0
    if images:
        yield manifest_table(images)


def _make(table: pa.Table, *, config: Config) -> pa.Table:
    """Make the chunks whose images ``table`` lists; runs on a worker."""
    rows: list[dict[str, str]] = []
    for chunk in chunks_of([ImageRecord(**row) for row in table.to_pylist()]):
        made_chunk = make_chunk(chunk, store=Folder(config.paths.store), config=config)
        facts = {"name": chunk_name(chunk.device, chunk.number), "content": made_chunk.content}
        rows += [facts | vars(image) for image in made_chunk.statuses]
    return pa.Table.from_pylist(rows, schema=STATUS_SCHEMA)
