"""Claim of a folder for a store: it holds nothing of others, and no store of other settings."""

from collections.abc import Mapping
from typing import Any

from camid.config import differences
from camid.io.folder import Folder
from camid.io.lock import LOCK
from camid.store.store import DESCRIPTION, FILES, INDEX, MANIFEST, read_description, stray_files


def check_place(store: Folder, *, data: str) -> None:
    """Raise if a store lies below the folder of photographs.

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
    """Raise if a folder holds a store made with other settings, or files that are no store's.

    Raises
    ------
    ValueError
        If it does.
    """
    if store.exists(DESCRIPTION):
        changes = differences(read_description(store)["settings"], settings)
        if changes:
            raise ValueError(
                f"{store.uri}: a store made with different settings ({'; '.join(changes)}); "
                "name another with --store, or replace it with --fresh"
            )
        return
    store_files = {LOCK, *FILES, *stray_files(store, chunks=())}
    if foreign := sorted({*store.files()} - store_files):
        raise ValueError(
            f"{store.uri}: holds files that are no store's, {foreign[0]} for example; "
            "name another folder with --store"
        )


def clear(store: Folder) -> None:
    """Delete a store's files, the description first."""
    for name in [DESCRIPTION, *stray_files(store, chunks=()), MANIFEST, INDEX]:
        store.delete(name)


def _without_query(address: str) -> str:
    return address.partition("?")[0] if "://" in address else address
