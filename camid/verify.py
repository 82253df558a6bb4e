"""Checks of a finished store: every chunk read back against what the manifest and index say."""

from collections import defaultdict
from collections.abc import Iterator

from camid.chunk_files import ChunkFile, chunk_name
from camid.records import ImageRecord
from camid.store import Store, content_digest, stray_files


def problems(store: Store) -> Iterator[str | None]:
    """Yield for each chunk ``None``, or one sentence on what is wrong with it; then on the whole.

    Everything is read: a missing, truncated or altered chunk, a chunk of another filter, images or
    positions that manifest and index do not agree on, files that belong to no chunk.
    """
    members: dict[tuple[str, int], list[ImageRecord]] = defaultdict(list)
    for record in (ImageRecord(**row) for row in store.manifest.to_pylist()):
        if record.chunk >= 0:
            members[record.device, record.chunk].append(record)
    listed: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for row in store.index.to_pylist():
        listed[row["device"], row["chunk"]].append((row["top"], row["left"]))
    contents: dict[str, str] = {}
    for key in sorted(members):
        try:
            with store.chunk(*key) as chunk:
                contents[chunk.name] = chunk.content
                _check(chunk, members[key], listed[key], expected=store.description["samples"])
        except ValueError as error:
            yield str(error)
        else:
            yield None
    for name in stray_files(store.folder, chunks=[chunk_name(*key) for key in members]):
        yield f"{store.folder.uri}/{name}: belongs to no chunk of the manifest"
    if len(contents) == len(members) and content_digest(contents) != store.digest:
        yield f"{store.folder.uri}: the chunks are not those that the store was finished with"


def _check(
    chunk: ChunkFile,
    members: list[ImageRecord],
    listed: list[tuple[int, int]],
    *,
    expected: dict[str, object],
) -> None:
    name = chunk.name
    if chunk.format != expected:
        raise ValueError(f"{name}: made with other settings than the store's")
    fates = {fate.image_id: (fate.sha256, fate.status) for fate in chunk.fates}
    if fates != {record.image_id: (record.sha256, record.status) for record in members}:
        raise ValueError(f"{name}: its images are not those that the manifest lists for it")
    if chunk.num_row_groups != len(listed):
        raise ValueError(
            f"{name}: {chunk.num_row_groups} positions where the index lists {len(listed)}"
        )
    try:
        found = chunk.content_read()
        placed = [chunk.read(group).position for group in range(chunk.num_row_groups)]
    except (OSError, ValueError) as error:
        words = " ".join(str(error).split())
        raise ValueError(f"{name}: cannot be read back: {words}") from None
    if found != chunk.content:
        raise ValueError(f"{name}: its content has changed since it was written")
    if placed != listed:
        raise ValueError(f"{name}: its positions are not those that the index lists")
