"""Repair of a store: damaged files are made again from the photographs."""

from collections.abc import Collection

from camid.io.folder import Folder
from camid.runtime.ingest.preprocess import preprocess
from camid.store.settings import stored_config
from camid.store.store import FILES, MANIFEST, Store
from camid.store.verify import Problem


def repair(store: Store, damaged: Collection[Problem]) -> list[str]:
    """Make the ``damaged`` files of a store again; return a summary for the user.

    Settings are the store's own; the images are those that its manifest lists, or all photographs
    if the manifest itself is damaged. The store is unfinished until the repair is done.

    Raises
    ------
    ValueError
        If photographs that the store was made of are gone or cannot be read any more.
    """
    names = {problem.name for problem in damaged}
    images = None if MANIFEST in names else store.manifest
    config = stored_config(store)
    if not Folder(config.paths.data).exists():
        raise ValueError(
            f"{store.folder.uri}: its photographs at {config.paths.data} are gone; bring them back "
            "to repair it"
        )
    ingested = preprocess(config, damaged=names, only=images)
    repairs = [f"{ingested.num_chunks_made} chunks made again"]
    repairs += [f"{ingested.num_stray} stray files deleted"] if ingested.num_stray else []
    repairs += [f"{name} written again" for name in FILES if name in names]
    if ingested.content_digest == store.digest:
        return [f"{store.folder.uri}: {', '.join(repairs)}; the digest is as before"]
    return [
        f"{store.folder.uri}: {', '.join(repairs)}; the digest is now "
        f"{ingested.content_digest[:12]}, was {store.digest[:12]}"
        f"{f', as {ingested.changes}' if ingested.changed else ''}"
    ]
