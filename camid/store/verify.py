"""Checks of a finished store: every chunk is read back and compared with manifest and index."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from camid.dataset.records import chunk_name
from camid.io.folder import TEMPORARY
from camid.store.chunk_file import ChunkFile
from camid.store.chunk_plan import Plan, chunks_of
from camid.store.index import Grid, chunk_grids
from camid.store.source_changes import changes
from camid.store.store import DESCRIPTION, INDEX, MANIFEST, Store, content_digest, stray_files


@dataclass(frozen=True)
class Problem:
    """A damaged, missing or stray file of a store, and the reason."""

    name: str
    """The file below the store's folder, to be made again, or deleted if it is stray."""
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def problems(store: Store) -> Iterator[Problem | None]:
    """Yield ``None`` or a problem for each chunk, then the problems of the whole store.

    Everything is read: a missing, truncated or altered chunk, a chunk of another filter, images or
    positions that manifest and index do not agree on, files that belong to no chunk. Where the
    manifest or the index is damaged, chunks are checked against the other.
    """
    listing = _Listing(store)
    contents: dict[str, str] = {}
    for name in listing.chunks:
        try:
            with ChunkFile(store.folder, name) as chunk:
                listing.check(chunk)
                contents[name] = chunk.content
        except ValueError as error:
            yield Problem(name, str(error))
        else:
            yield None
    yield from listing.damaged
    for name in stray_files(store.folder, chunks=listing.chunks):
        yield Problem(name, f"{store.folder.uri}/{name}: belongs to no chunk of the manifest")
    if len(contents) == len(listing.chunks) and content_digest(contents) != store.digest:
        reason = "the chunks are not those that the store was finished with"
        yield Problem(DESCRIPTION, f"{store.folder.uri}: {reason}")


def source_problems(store: Store) -> Iterator[Problem | None]:
    """Yield ``None`` for each photograph that was read, or that its file is gone or has changed.

    The problem's name is that of the chunk that holds the photograph.

    Raises
    ------
    ValueError
        If the manifest is damaged.
    """
    is_read = np.asarray(pc.not_equal(store.manifest.column("sha256"), ""))
    records = store.manifest.where(is_read)
    for record, change in zip(records, changes(records), strict=True):
        name = chunk_name(record.device, record.chunk)
        yield Problem(name, f"{record.path}: {change}") if change else None


class _Listing:
    """Manifest and index, as far as they are whole, chunk by chunk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.damaged: list[Problem] = []
        """Manifest or index, if it cannot be read."""
        self._plan: Plan | None = None
        self._numbers: dict[str, int] = {}
        self._grids: dict[str, Grid] | None = None
        try:
            self._plan = chunks_of(store.manifest)
            self._numbers = {name: number for number, name in enumerate(self._plan.names)}
        except ValueError as error:
            self.damaged.append(Problem(MANIFEST, str(error)))
        try:
            self._grids = _grids(store)
        except ValueError as error:
            self.damaged.append(Problem(INDEX, str(error)))
        files = stray_files(store.folder, chunks=())
        present = [name for name in files if not name.endswith(TEMPORARY)]
        self.chunks = sorted(self._numbers or self._grids or present)
        """The names of all chunks: the manifest's, else the index's, else those in the folder."""

    def check(self, chunk: ChunkFile) -> None:
        """Raise ``ValueError`` if a chunk differs from what was written or is listed."""
        name = f"{self._store.folder.uri}/{chunk.name}"
        try:
            is_intact = chunk.is_intact()
        except ConnectionError:
            raise  # not the file's fault
        except OSError as error:
            raise ValueError(f"{name}: cannot be read: {error}") from None
        if not is_intact:
            raise ValueError(f"{name}: its bytes have changed since it was written")
        if chunk.format != self._store.description["samples"]:
            raise ValueError(f"{name}: made with other settings than the store's")
        if self._plan is not None:
            images = self._plan[self._numbers[chunk.name]].images
            expected = {r.image_id: (r.sha256, r.status) for r in images}
            written = {image.image_id: (image.sha256, image.status) for image in chunk.statuses}
            if written != expected:
                raise ValueError(f"{name}: its images are not those that the manifest lists for it")
        if self._grids is not None and chunk.positions != [*self._grids.get(chunk.name, ())]:
            raise ValueError(f"{name}: its positions are not those that the index lists")


def _grids(store: Store) -> dict[str, Grid]:
    """Return the index's positions of each chunk."""
    return {chunk_name(*chunk): grid for chunk, grid in chunk_grids(store.index).items()}
