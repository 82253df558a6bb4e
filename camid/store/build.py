"""Build of a store by its plan: present chunks, missing chunks, and the finish."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from camid.config import Strips
from camid.dataset.copies import with_scenes_of_copies
from camid.dataset.manifest import ImageTable
from camid.dataset.records import OK, ImageRecord, chunk_name, rejected
from camid.io.folder import Folder, in_threads
from camid.prnu.strips import Position, positions
from camid.store.chunk_file import ChunkFile, ImageStatus
from camid.store.chunk_plan import Plan, plan_digest
from camid.store.index import Indexed, index_table, num_row_groups
from camid.store.make_chunk import UNREADABLE
from camid.store.store import (
    DESCRIPTION,
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

_UNKNOWN = b""


class ChunkContent(NamedTuple):
    """Content of a chunk's file."""

    digest: str
    """Digest of the whole content."""
    num_images: int
    positions: Sequence[Position]


class StoreBuild:
    """The chunks of a plan, present and missing, and the digests and statuses of their images.

    Digests and statuses take 65 bytes an image. An image counts as known once the chunk that
    holds it is written.
    """

    def __init__(
        self,
        folder: Folder,
        plan: Plan,
        *,
        settings: Mapping[str, Any],
        samples: Mapping[str, Any],
        strips: Strips,
        simulated: Mapping[str, Any] | None = None,
        damaged: Collection[str] = (),
        mapped: "Mapped" = in_threads,
    ) -> None:
        """Read the plan's chunks that are present.

        Parameters
        ----------
        settings
            Settings of the store, as ``store.json`` has them.
        samples
            Format of the samples of its files.
        strips
            Geometry of the strips.
        simulated
            The simulation that made the photographs.
        damaged
            Files to make again in any case, besides those that a stopped repair left.
        mapped
            What applies a function to the names of files that are read, in order.
        """
        self.folder, self.plan = folder, plan
        self._samples, self._strips = samples, strips
        self._description = {
            "settings": settings,
            "samples": samples,
            "plan_digest": plan_digest(plan),
            "simulated": simulated,
        }
        self._damaged = {*damaged, *_left_damaged(folder)}
        self._sha256: NDArray[np.bytes_] = np.full(len(plan.records), _UNKNOWN, "S64")
        self._scene_hashes: NDArray[np.bytes_] = np.full(len(plan.records), b"", "S64")
        self._is_known = np.zeros(len(plan.records), np.bool_)
        self._rejected: dict[int, str] = {}
        self._earlier: dict[str, str] = {}
        self._contents: NDArray[np.bytes_] = np.full(len(plan), _UNKNOWN, "S64")
        self._modified = np.zeros(len(plan), np.int64)
        self._read_chunks(mapped)

    @property
    def missing(self) -> list[int]:
        """Numbers of the chunks that are still to be made."""
        numbers: list[int] = np.flatnonzero(self._contents == _UNKNOWN).tolist()
        return numbers

    @property
    def num_known(self) -> int:
        """Images in present chunks."""
        return int(self._is_known.sum())

    @property
    def present(self) -> list[tuple[int, int]]:
        """Chunks that an earlier run wrote: their numbers, and when, nanoseconds since 1970."""
        numbers = np.flatnonzero(self._modified).tolist()
        return [(number, int(self._modified[number])) for number in numbers]

    def add(self, number: int, statuses: Sequence[ImageStatus], *, content: str) -> None:
        """Note a chunk as present.

        Parameters
        ----------
        statuses
            Statuses of its images, in the order of their ids.
        content
            The digest of the file's content.
        """
        self._contents[number] = content.encode()
        for row, image in zip(self.plan.rows(number).tolist(), statuses, strict=True):
            self._sha256[row] = image.sha256.encode()
            self._scene_hashes[row] = image.scene_hash.encode()
            self._is_known[row] = True
            if image.status != OK:
                self._rejected[row] = image.status

    def discard(self, number: int) -> None:
        """Note a present chunk as missing, so that it is made again."""
        self._contents[number], self._modified[number] = _UNKNOWN, 0
        for row, image in zip(self.plan.rows(number).tolist(), self.images(number), strict=True):
            self._earlier[image.image_id] = image.sha256
            self._sha256[row], self._is_known[row] = _UNKNOWN, False
            self._scene_hashes[row] = b""
            self._rejected.pop(row, None)

    def images(self, number: int) -> list[ImageRecord]:
        """Return the records of a chunk's images with their known digests."""
        digests = self._sha256[self.plan.rows(number)].tolist()
        images = self.plan[number].images
        return [replace(r, sha256=d.decode()) for r, d in zip(images, digests, strict=True)]

    def records(self) -> ImageTable:
        """Return the plan's records with their known digests and statuses.

        Copies of one photograph are of one scene.
        """
        records, columns = self.plan.records, {}
        if self._rejected:
            codes, names = records.texts("status")
            statuses = [names[code] for code in codes.tolist()]
            for row, status in self._rejected.items():
                statuses[row] = status
            columns["status"] = statuses
        digests = [digest.decode() for digest in self._sha256.tolist()]
        known = records.replaced(sha256=digests, **columns)
        return with_scenes_of_copies(known, self._scene_hashes)

    def changed(self) -> list[str]:
        """Return the ids of images whose bytes have changed since an earlier run read them."""
        image_ids = []
        for number in range(len(self.plan)) if self._earlier else ():
            for image in self.images(number):
                old, new = self._earlier.get(image.image_id), image.sha256
                if old and new and old != new:
                    image_ids.append(image.image_id)
        return sorted(image_ids)

    def begin(self) -> list[str]:
        """Mark the store as unfinished if work is left; delete damaged and stray files.

        Returns the names of the stray files.
        """
        stray = stray_files(self.folder, chunks=self.plan.names)
        if self.missing or self._damaged or stray or not is_finished(self.folder):
            damage = {"damaged": sorted(self._damaged)} if self._damaged else {}
            unfinished = {**self._description, **damage, "content_digest": None}
            write_description(self.folder, unfinished)
        for name in {*stray, *self._damaged}:
            self.folder.delete(name)
        return stray

    def finish(self) -> str:
        """Write manifest, index and description, as :func:`finish`; return the content digest."""
        contents = zip(self.plan.names, self._contents_by_number(), strict=True)
        return finish(self.folder, self.records(), contents, self._description)

    def _contents_by_number(self) -> Iterator[ChunkContent]:
        """Yield the content of each chunk's file; all must be present."""
        grid = cache(lambda height, width: positions(height, width, **asdict(self._strips)))
        is_rejected = np.zeros(len(self.plan.records), np.bool_)
        is_rejected[list(self._rejected)] = True
        for number, (size, height, width) in enumerate(self.plan.shapes.tolist()):
            kept = size - int(is_rejected[self.plan.rows(number)].sum())
            grid_positions = grid(height, width) if kept else ()
            yield ChunkContent(self._contents[number].decode(), kept, grid_positions)

    def _read_chunks(self, mapped: "Mapped") -> None:
        """Note the planned chunks whose files are whole, of the same settings and not damaged."""
        present = set(self.folder.files())
        digests = list(self.plan.digests()) if present else []
        numbers = [number for number, name in enumerate(self.plan.names) if name in present]
        names = [self.plan.names[number] for number in numbers]
        for number, file in zip(
            numbers, mapped(partial(_written, self.folder), names), strict=True
        ):
            if file is None:
                continue
            is_planned = file.digest == digests[number] and file.samples == self._samples
            is_damaged = self.plan.names[number] in self._damaged
            if is_planned and not is_damaged and not _needs_retry(file.statuses):
                self.add(number, file.statuses, content=file.content)
                self._modified[number] = file.modified
            else:
                self._earlier |= {image.image_id: image.sha256 for image in file.statuses}


class _Written(NamedTuple):
    """A chunk's file as an earlier run wrote it."""

    digest: str
    """Digest of the planned chunk that the file was written for."""
    samples: Mapping[str, Any]
    content: str
    statuses: Sequence[ImageStatus]
    modified: int
    """Nanoseconds since 1970."""


Mapped = Callable[[Callable[[str], _Written | None], Sequence[str]], Iterable[_Written | None]]
"""What applies a function to names, in their order."""


def _written(folder: Folder, name: str) -> _Written | None:
    """Return a chunk's file as an earlier run wrote it, or None if it is not whole."""
    try:
        with ChunkFile(folder, name) as file:
            facts = file.digest, file.format, file.content, file.statuses
    except ValueError:
        return None
    return _Written(*facts, folder.modified(name))


def finish(
    store: Folder,
    records: Iterable[ImageRecord],
    contents: Iterable[tuple[str, ChunkContent]],
    description: Mapping[str, Any],
) -> str:
    """Write manifest, index and description; return the content digest.

    A store already finished with the same content is left as it is. Files that killed workers left
    behind, in this run or in one that was killed just before it, are deleted.

    Parameters
    ----------
    contents
        The name and the content of each chunk's file, in the plan's order.
    """
    manifest = ImageTable.of(records).by_id()
    chunks = manifest.counted("device", "chunk")
    chunk_keys = {chunk_name(device, number): (device, number) for device, number in chunks}
    digests: dict[str, str] = {}

    def index_rows() -> Iterator[Indexed]:
        for name, chunk in contents:
            digests[name] = chunk.digest
            yield Indexed(*chunk_keys[name], chunk.num_images, chunk.positions)

    index = index_table(index_rows())
    for name in stray_files(store, chunks=[*digests]):
        store.delete(name)
    digest = content_digest(digests)
    if _has(store, digest, manifest, index):
        return digest
    files = {MANIFEST: write_tables(store, MANIFEST, manifest.plain())}
    files[INDEX] = write_tables(store, INDEX, [index])
    counts = {"num_chunks": len(digests), "num_row_groups": num_row_groups(index)}
    write_description(store, {**description, **counts, "files": files, "content_digest": digest})
    return digest


def _has(store: Folder, digest: str, manifest: ImageTable, index: pa.Table) -> bool:
    """Return whether a store is finished with this digest, manifest and index."""
    if not is_finished(store):
        return False
    old = Store(store)
    try:
        has_tables = old.index.equals(index, check_metadata=True) and old.manifest.equals(manifest)
    except ValueError:
        return False  # damaged
    return has_tables and old.digest == digest


def _left_damaged(store: Folder) -> set[str]:
    """Return the damaged chunks noted by a repair that was stopped."""
    if not store.exists(DESCRIPTION):
        return set()
    return set(read_description(store).get("damaged", []))


def _needs_retry(statuses: Sequence[ImageStatus]) -> bool:
    """Return whether a photograph could not be read, which may be temporary."""
    return any(image.status.startswith(rejected(UNREADABLE)) for image in statuses)
