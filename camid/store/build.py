"""A store in the making: whose it is, which chunks are there, and how it is finished."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from filelock import FileLock, Timeout

from camid.config import differences
from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord, chunk_name, rejected
from camid.io.folder import Folder, in_threads
from camid.prnu.strips import Position
from camid.store.chunk_file import ChunkFile, ImageFate
from camid.store.chunk_plan import Plan
from camid.store.index import Indexed, index_table, num_row_groups
from camid.store.make_chunk import UNREADABLE
from camid.store.store import (
    DESCRIPTION,
    FILES,
    INDEX,
    MANIFEST,
    Store,
    content_digest,
    is_finished,
    read_description,
    stray_files,
    write_description,
    write_tables,
)

LOCK = ".lock"


@dataclass(frozen=True, kw_only=True)
class FoundChunk:
    """A chunk's file that an earlier run has written."""

    fates: list[ImageFate]
    content: str
    """The digest of what it holds."""
    modified: int
    """When it was written, nanoseconds since 1970."""
    is_current: bool
    """Whether it is of this plan and these settings, and no image of it needs another try."""


class Written(NamedTuple):
    """What a chunk's file holds."""

    content: str
    """A digest of it all."""
    num_images: int
    positions: Sequence[Position]


@contextmanager
def only_run(store: Folder) -> Iterator[None]:
    """Make the store's folder and hold its lock, where the file system has locks.

    A dead run holds none.

    Raises
    ------
    ValueError
        If another run holds it.
    OSError
        If the folder cannot be made.
    """
    store.make()
    if not store.is_local:
        yield
        return
    try:
        with FileLock(Path(store.local_path) / LOCK, timeout=0):
            yield
    except Timeout:
        raise ValueError(f"{store.uri}: another run is writing this store; wait for it") from None


def check_place(store: Folder, *, data: str) -> None:
    """See that a store does not lie where photographs are looked for.

    Raises
    ------
    ValueError
        If it does.
    """
    if f"{_without_query(store.uri)}/".startswith(f"{_without_query(data)}/"):
        raise ValueError(
            f"{store.uri}: lies among the photographs of {data}; name a store elsewhere with "
            "--store or CAMID_HOME"
        )


def check_settings(store: Folder, settings: Mapping[str, Any]) -> None:
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
        return
    own = {LOCK, *FILES, *stray_files(store, chunks=())}
    if foreign := sorted({*store.files()} - own):
        raise ValueError(
            f"{store.uri}: holds files that are no store's, {foreign[0]} for example; "
            "name another folder with --store"
        )


def clear(store: Folder) -> None:
    """Delete everything that is a store's, the description first."""
    for name in [DESCRIPTION, *stray_files(store, chunks=()), MANIFEST, INDEX]:
        store.delete(name)


def damaged_chunks(store: Folder) -> set[str]:
    """Return the chunks that a repair set out to make anew, and was stopped."""
    if not store.exists(DESCRIPTION):
        return set()
    return set(read_description(store).get("damaged", []))


def found_chunks(
    store: Folder, plan: Plan, *, facts: Mapping[str, Any]
) -> Iterator[tuple[int, FoundChunk]]:
    """Yield what is there of planned chunks, files that open whole, with their numbers."""

    def found(number: int) -> FoundChunk | None:
        name = plan.names[number]
        try:
            with ChunkFile(store, name) as file:
                fates, content = file.fates, file.content
                is_planned = file.digest == digests[number] and file.format == facts
        except ValueError:
            return None  # half a file is made again
        modified = store.modified(name)
        current = is_planned and not _needs_retry(fates)
        return FoundChunk(fates=fates, content=content, modified=modified, is_current=current)

    present = set(store.files())
    digests = list(plan.digests()) if present else []
    numbers = [number for number, name in enumerate(plan.names) if name in present]
    for number, one in zip(numbers, in_threads(found, numbers), strict=True):
        if one:
            yield number, one


def begin(
    store: Folder,
    names: Collection[str],
    description: Mapping[str, Any],
    *,
    damaged: Collection[str],
    is_due: bool,
) -> list[str]:
    """Mark the store as unfinished if anything is to do, and delete what is damaged or stray.

    Returns the names of what was stray.
    """
    stray = stray_files(store, chunks=list(names))
    if is_due or damaged or stray or not is_finished(store):
        noted = {"damaged": sorted(damaged)} if damaged else {}
        write_description(store, {**description, **noted, "content_digest": None})
    for name in {*stray, *damaged}:
        store.delete(name)
    return stray


def finish(
    store: Folder,
    records: Iterable[ImageRecord],
    names: Sequence[str],
    description: Mapping[str, Any],
    *,
    written: Iterable[Written] = (),
) -> str:
    """Write manifest, index and description; return the content digest.

    A store that is finished, and has all of it already, is left as it is. What killed workers left
    behind, of this run or of one that was killed just before it, is deleted.

    Parameters
    ----------
    written
        What each chunk's file holds, in the order of ``names``; files are opened if it is not
        given.
    """
    for name in stray_files(store, chunks=names):
        store.delete(name)
    manifest = ImageTable.of(records).by_id()
    chunks = manifest.counted("device", "chunk")
    members = {chunk_name(device, number): (device, number) for device, number in chunks}

    contents: dict[str, str] = {}

    def read(name: str) -> Written:
        with ChunkFile(store, name) as file:
            return Written(file.content, file.num_images, file.positions)

    def indexed() -> Iterator[Indexed]:
        for name, chunk in zip(names, written or in_threads(read, names), strict=True):
            contents[name] = chunk.content
            yield Indexed(*members[name], chunk.num_images, chunk.positions)

    index = index_table(indexed())
    digest = content_digest(contents)
    if _has(store, digest, manifest, index):
        return digest
    files = {MANIFEST: write_tables(store, MANIFEST, manifest.plain())}
    files[INDEX] = write_tables(store, INDEX, [index])
    counts = {"num_chunks": len(names), "num_row_groups": num_row_groups(index)}
    write_description(store, {**description, **counts, "files": files, "content_digest": digest})
    return digest


def _has(store: Folder, digest: str, manifest: ImageTable, index: pa.Table) -> bool:
    """Return whether a store is finished with all of this."""
    if not is_finished(store):
        return False
    old = Store(store)
    try:
        same = old.index.equals(index, check_metadata=True) and old.manifest.equals(manifest)
    except ValueError:
        return False  # damaged
    return same and old.digest == digest


def _needs_retry(fates: Sequence[ImageFate]) -> bool:
    """Return whether a file could not be read, which a better day may mend."""
    return any(fate.status.startswith(rejected(UNREADABLE)) for fate in fates)


def _without_query(address: str) -> str:
    return address.partition("?")[0] if "://" in address else address
