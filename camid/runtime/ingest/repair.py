"""Repair of a store: what verify found damaged is made again from the photographs."""

from collections.abc import Collection

from camid.io.folder import Folder
from camid.runtime.ingest.preprocess import preprocess
from camid.store.settings import stored_config
from camid.store.store import FILES, MANIFEST, Store
from camid.store.verify import Problem


def repair(store: Store, damaged: Collection[Problem]) -> list[str]:
    """Make the ``damaged`` files of a store again, and return what was done, for the user.

    Settings are the store's own; the images are those that its manifest lists, or all that are
    found where the manifest is damaged itself. The store is unfinished until the repair is done.

    Raises
    ------
    ValueError
        If photographs that the store was made of are gone or cannot be read any more.
    """
    names = {problem.name for problem in damaged}
    only = None if MANIFEST in names else store.manifest
    config = stored_config(store)
    if not Folder(config.paths.data).exists():
        raise ValueError(
            f"{store.folder.uri}: its photographs at {config.paths.data} are gone; bring them back "
            "to repair it"
        )
    done = preprocess(config, damaged=names, only=only)
    made = [f"{done.num_chunks_made} chunks made again"]
    made += [f"{done.num_stray} stray files deleted"] if done.num_stray else []
    made += [f"{name} written again" for name in FILES if name in names]
    if done.content_digest == store.digest:
        return [f"{store.folder.uri}: {', '.join(made)}; the digest is as before"]
    return [
        f"{store.folder.uri}: {', '.join(made)}; the digest is now {done.content_digest[:12]}, was "
        f"{store.digest[:12]}{f', as {done.changes}' if done.changed else ''}"
    ]
