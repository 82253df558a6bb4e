"""Summary of a search beside its results: figures, and how much each drawn field mattered."""

from collections.abc import Mapping
from typing import Any

from camid.io.digested import read_json, write_json
from camid.io.folder import Folder
from camid.io.output_layout import SEARCH


def read_search(folder: Folder) -> dict[str, Any]:
    """Return a search's figures and its fields' ``importances``; empty if there is no search.

    Raises
    ------
    ValueError
        If they are not as they were written.
    """
    if not folder.exists(SEARCH):
        return {}
    return read_json(folder, SEARCH, dict[str, int | float | dict[str, float]])


def write_search(
    folder: Folder, *, figures: Mapping[str, float], importances: Mapping[str, float]
) -> None:
    """Write the summary of a search."""
    write_json(folder, SEARCH, {**figures, "importances": dict(importances)})
