"""Preprocessing: photographs become a strip store, chunk by chunk, on Ray Data."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout

from camid.chunk_files import ChunkFile, ImageFate, chunk_name
from camid.chunking import UNREADABLE, make_chunk, sample_format, smallest_side
from camid.config import Config, config_tree, differences
from camid.folder import Folder
from camid.plan import Chunk, chunks_of, plan_digest, planned
from camid.records import OK, ImageRecord, manifest_table, rejected
from camid.runtime.session import session
from camid.runtime.simulation import simulated_with
from camid.runtime.stream import streamed, tracked
from camid.sources import find_files, read_headers
from camid.store import (
    DESCRIPTION,
    INDEX,
    MANIFEST,
    Store,
    content_digest,
    is_finished,
    read_description,
    stray_files,
    write_description,
    write_table,
)

FATE_SCHEMA = pa.schema(
    [("image_id", pa.string()), ("sha256", pa.string()), ("status", pa.string())]
)
SETTINGS = ("seed", "images", "strips", "residual", "chunks")
"""Sections of the configuration that a store's bytes depend on."""

MEMORY_PER_SAMPLE = 3
"""Bytes that making a chunk takes for a byte of its samples."""


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
        ]


def preprocess(config: Config, *, fresh: bool = False) -> Ingested:
    """Bring the store at ``config.paths.store`` up to date with ``config.paths.data``.

    Chunks that are there and whole are kept; what is missing or out of date is made, and what the
    plan no longer has is removed. ``fresh`` starts from nothing.

    Raises
    ------
    ValueError
        If the data hold nothing usable, or a store of another configuration is in the way.
    """
    store = Folder(config.paths.store)
    facts = sample_format(config).facts
    settings = {"data": config.paths.data}
    settings |= {section: config_tree(config)[section] for section in SETTINGS}
    min_side = smallest_side(config)
    _check_place(store, data=config.paths.data)
    with _only_run(store):
        if not fresh:
            _check_settings(store, settings)
        records = _catalogued(config, min_side=min_side)
        chunks = chunks_of(records)
        if not chunks:
            raise _nothing_usable(config, records)
        if fresh:
            _clear(store)
        names = {chunk_name(chunk.device, chunk.number): chunk for chunk in chunks}
        ready = _ready(store, names, facts=facts)
        missing = [chunk for name, chunk in names.items() if name not in ready]
        description = {
            "settings": settings,
            "samples": facts,
            "plan_digest": plan_digest(chunks),
            "simulated": simulated_with(config.paths.data),
        }
        _begin(store, names, description, is_due=bool(missing))
        fates = {fate.image_id: fate for fates in ready.values() for fate in fates}
        started = time.monotonic()
        fates |= _made(missing, config=config, done=len(fates))
        seconds = time.monotonic() - started
        final = [_judged(record, fates) for record in records]
        if not any(record.status == OK for record in final):
            raise _nothing_usable(config, final)
        digest = _finish(store, final, list(names), description)
    kept = [record for record in final if record.status == OK]
    num_read = sum(len(chunk.images) for chunk in missing)
    return Ingested(
        num_files=len(final),
        num_images=len(kept),
        num_devices=len({record.device for record in kept}),
        num_chunks=len(chunks),
        num_chunks_made=len(missing),
        rejected=dict(Counter(r.status for r in final if r.status != OK).most_common()),
        images_per_second=num_read / seconds if num_read else 0.0,
        content_digest=digest,
    )


@contextmanager
def _only_run(store: Folder) -> Iterator[None]:
    """Hold the store's lock, where the file system has locks; a dead run holds none."""
    if not store.is_local:
        yield
        return
    folder = Path(store.local_path)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(f"{store.uri}: another run is writing this store; wait for it") from None


def _check_place(store: Folder, *, data: str) -> None:
    """See that a store does not lie where photographs are looked for."""
    if f"{store.uri}/".startswith(f"{data}/"):
        raise ValueError(
            f"{store.uri}: lies among the photographs of {data}; name a store elsewhere with "
            "--store or CAMID_HOME"
        )


def _clear(store: Folder) -> None:
    """Delete everything that is a store's, the description first."""
    for name in [DESCRIPTION, *stray_files(store, chunks=()), MANIFEST, INDEX]:
        store.delete(name)


def _begin(
    store: Folder, names: dict[str, Chunk], description: dict[str, Any], *, is_due: bool
) -> None:
    """Mark the store as unfinished if anything is to do, and remove what is not the plan's."""
    stray = stray_files(store, chunks=list(names))
    if is_due or stray or not is_finished(store):
        write_description(store, {**description, "content_digest": None})
    for name in stray:
        store.delete(name)


def _check_settings(store: Folder, settings: dict[str, Any]) -> None:
    """See that a store is of these settings, or that there is nothing yet.

    Raises
    ------
    ValueError
        If it is of other settings, or the folder holds something else.
    """
    if store.exists(DESCRIPTION):
        changed = differences(read_description(store)["settings"], settings)
        if changed:
            raise ValueError(
                f"{store.uri}: a store made otherwise ({'; '.join(changed)}); "
                "name another with --store, or replace it with --fresh"
            )
    elif foreign := sorted({*store.files(), ".lock"} - {".lock", *stray_files(store, chunks=())}):
        raise ValueError(
            f"{store.uri}: holds files that are no store's, {foreign[0]} for example; "
            "name another folder with --store"
        )


def _catalogued(config: Config, *, min_side: int) -> list[ImageRecord]:
    files = find_files(config.paths.data, reader=config.images.reader)
    records = read_headers(files, min_side=min_side, max_megapixels=config.images.max_megapixels)
    listed = tracked(records, description="headers", unit="files", total=len(files))
    return planned(list(listed), strips=config.strips, chunks=config.chunks, seed=config.seed)


def _nothing_usable(config: Config, records: Sequence[ImageRecord]) -> ValueError:
    example = records[0]
    return ValueError(
        f"{config.paths.data}: none of {len(records)} files can be used; "
        f"{example.image_id}, for example, is {example.status}"
    )


def _ready(
    store: Folder, chunks: dict[str, Chunk], *, facts: dict[str, Any]
) -> dict[str, list[ImageFate]]:
    """Return the fates of the images of chunks whose files are whole and of this plan."""
    present = set(store.files())
    ready = {}
    for name, chunk in chunks.items():
        if name not in present:
            continue
        try:
            with ChunkFile(store, name) as file:
                fates = file.fates
                if file.digest == chunk.digest and file.format == facts and not _retry(fates):
                    ready[name] = fates
        except ValueError:
            continue  # half a file is made again
    return ready


def _retry(fates: Sequence[ImageFate]) -> bool:
    """Return whether a file could not be read, which a better day may mend."""
    return any(fate.status.startswith(rejected(UNREADABLE)) for fate in fates)


def _made(chunks: Sequence[Chunk], *, config: Config, done: int) -> dict[str, ImageFate]:
    """Make chunks on Ray, and return what became of their images."""
    if not chunks:
        return {}
    tables = [manifest_table(chunk.images) for chunk in chunks]
    work = partial(_make, config=config)
    with session():
        results = streamed(
            tables,
            work,
            description="preprocess",
            unit="images",
            done=done,
            memory=MEMORY_PER_SAMPLE * max(chunk.num_bytes(config.strips) for chunk in chunks),
        )
        fates = [ImageFate(**row) for result in results for row in result.to_pylist()]
    return {fate.image_id: fate for fate in fates}


def _make(table: pa.Table, *, config: Config) -> pa.Table:
    """Make the chunk whose images ``table`` lists; runs on a worker."""
    images = tuple(ImageRecord(**row) for row in table.to_pylist())
    chunk = Chunk(device=images[0].device, number=images[0].chunk, images=images)
    fates = make_chunk(chunk, store=Folder(config.paths.store), config=config)
    return pa.Table.from_pylist([vars(fate) for fate in fates], schema=FATE_SCHEMA)


def _judged(record: ImageRecord, fates: dict[str, ImageFate]) -> ImageRecord:
    fate = fates.get(record.image_id)
    return replace(record, sha256=fate.sha256, status=fate.status) if fate else record


def _finish(
    store: Folder,
    records: Sequence[ImageRecord],
    names: Sequence[str],
    description: dict[str, Any],
) -> str:
    """Write manifest, index and description from the chunks' files; return the content digest."""
    contents: dict[str, str] = {}
    indexes: list[pa.Table] = []
    members = {chunk_name(r.device, r.chunk): r for r in records if r.chunk >= 0}
    for name in names:
        with ChunkFile(store, name) as file:
            contents[name] = file.content
            member = members[name]
            indexes.append(file.index(device=member.device, chunk=member.chunk))
    index = pa.concat_tables(indexes)
    digest = content_digest(contents)
    manifest = manifest_table(records)
    if is_finished(store) and Store(store).digest == digest and Store(store).manifest == manifest:
        return digest
    write_table(store, MANIFEST, manifest)
    write_table(store, INDEX, index)
    counts = {"num_chunks": len(names), "num_row_groups": index.num_rows}
    write_description(store, {**description, **counts, "content_digest": digest})
    return digest
