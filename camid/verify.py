"""Checks of a finished store: every chunk read back against what the manifest and index say."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from camid.changes import changes
from camid.chunk_files import ChunkFile, chunk_name
from camid.folder import TEMPORARY
from camid.records import ImageRecord
from camid.store import DESCRIPTION, INDEX, MANIFEST, Store, content_digest, stray_files
from camid.strips import Position


@dataclass(frozen=True)
class Problem:
    """A file of a store that is not as it should be, and what is wrong with it."""

    name: str
    """The file below the store's folder; what is to be made again, or deleted if it is stray."""
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def problems(store: Store) -> Iterator[Problem | None]:
    """Yield for each chunk ``None``, or what is wrong with it; then what is with the whole.

    Everything is read: a missing, truncated or altered chunk, a chunk of another filter, images or
    positions that manifest and index do not agree on, files that belong to no chunk. Where the
    manifest or the index is damaged, chunks are checked against what is left.
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
        what = "the chunks are not those that the store was finished with"
        yield Problem(DESCRIPTION, f"{store.folder.uri}: {what}")


def source_problems(store: Store) -> Iterator[Problem | None]:
    """Yield for each photograph that was read ``None``, or that its file is gone or has changed.

    The problem's name is that of the chunk that holds it.

    Raises
    ------
    ValueError
        If the manifest is damaged.
    """
    records = [record for record in read_records(store) if record.sha256]
    for record, change in zip(records, changes(records), strict=True):
        name = chunk_name(record.device, record.chunk)
        yield Problem(name, f"{record.path}: {change}") if change else None


def read_records(store: Store) -> list[ImageRecord]:
    """Return the manifest's record of every file that was found.

    Raises
    ------
    ValueError
        If the manifest is damaged.
    """
    return [ImageRecord(**row) for row in store.manifest.to_pylist()]


class _Listing:
    """What manifest and index, as far as they are whole, say of each chunk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.damaged: list[Problem] = []
        """Manifest or index, if it cannot be read."""
        self._members: dict[str, list[ImageRecord]] | None = None
        self._places: dict[str, list[Position]] | None = None
        try:
            self._members = _members(store)
        except ValueError as error:
            self.damaged.append(Problem(MANIFEST, str(error)))
        try:
            self._places = _places(store)
        except ValueError as error:
            self.damaged.append(Problem(INDEX, str(error)))
        files = stray_files(store.folder, chunks=())
        present = [name for name in files if not name.endswith(TEMPORARY)]
        self.chunks = sorted(self._members or self._places or present)
        """The names of all chunks: the manifest's, else the index's, else those in the folder."""

    def check(self, chunk: ChunkFile) -> None:
        """Raise ``ValueError`` if a chunk is not as it was written, or not as it is listed."""
        name = f"{self._store.folder.uri}/{chunk.name}"
        try:
            intact = chunk.is_intact()
        except ConnectionError:
            raise  # says nothing of the file
        except OSError as error:
            raise ValueError(f"{name}: cannot be read: {error}") from None
        if not intact:
            raise ValueError(f"{name}: its bytes have changed since it was written")
        if chunk.format != self._store.description["samples"]:
            raise ValueError(f"{name}: made with other settings than the store's")
        if self._members is not None:
            expected = {r.image_id: (r.sha256, r.status) for r in self._members[chunk.name]}
            if {fate.image_id: (fate.sha256, fate.status) for fate in chunk.fates} != expected:
                raise ValueError(f"{name}: its images are not those that the manifest lists for it")
        if self._places is not None and chunk.positions != self._places.get(chunk.name, []):
            raise ValueError(f"{name}: its positions are not those that the index lists")


def _members(store: Store) -> dict[str, list[ImageRecord]]:
    """Return the manifest's records of each chunk's images."""
    found = defaultdict(list)
    for record in read_records(store):
        if record.chunk >= 0:
            found[chunk_name(record.device, record.chunk)].append(record)
    return dict(found)


def _places(store: Store) -> dict[str, list[Position]]:
    """Return the index's positions of each chunk."""
    found = defaultdict(list)
    for row in store.index.to_pylist():
        found[chunk_name(row["device"], row["chunk"])].append((row["top"], row["left"]))
    return dict(found)
