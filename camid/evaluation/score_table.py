"""Scores of methods read back from an output folder, with the compared devices.

``scores.parquet`` has a row for each comparison of the list beside it, and a column for each method
with a score for each number of crops.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from camid.comparison.comparison_list import KINDS, LEVELS_OF, read_list
from camid.evaluation.labels import Compared
from camid.evaluation.result_rows import Kind
from camid.io.digested import damaged, read_digested, write_digested
from camid.io.escaping import one_line
from camid.io.folder import Folder
from camid.io.output_layout import LIST, SCORES

IMAGE = "image_id"
"""The column with a gallery's query photograph."""
COMPARISON_COLUMNS = ("first", "second", "label", "level", IMAGE)
"""Columns of the scores' file that describe the comparison; the others are methods."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """Comparisons of a run and its methods' scores; every array is ``(comparison,)``."""

    keys: NDArray[np.str_]
    """Digest of the compared images: equal in two runs that compared the same images."""
    compared: Compared
    models: tuple[NDArray[np.str_], NDArray[np.str_]]
    """Make and model of the two devices; empty where unknown."""
    levels: NDArray[np.str_]
    """As of a comparison list."""
    scores: Mapping[str, NDArray[np.float64]]
    """By method, at the largest number of crops."""
    kind: Kind
    """Kind of the comparisons."""

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Scored":
        """Return the chosen comparisons."""
        first, second = (names[chosen] for names in self.models)
        compared = self.compared
        return replace(
            self,
            keys=self.keys[chosen],
            compared=Compared(
                labels=compared.labels[chosen],
                first=compared.first[chosen],
                second=compared.second[chosen],
            ),
            models=(first, second),
            levels=self.levels[chosen],
            scores={method: values[chosen] for method, values in self.scores.items()},
        )

    def against(self, negatives: str) -> "Scored":
        """Return the negatives of a kind, and the positives of their devices.

        A comparison that a method could not score is left out for all methods.
        """
        finite = np.all([np.isfinite(values) for values in self.scores.values()], axis=0)
        negative = finite & np.isin(self.levels, sorted(LEVELS_OF[negatives]))
        devices = np.union1d(self.compared.first[negative], self.compared.second[negative])
        positive = finite & self.compared.positive & np.isin(self.compared.first, devices)
        return self.where(np.asarray(negative | positive))

    @property
    def has_both(self) -> bool:
        """Whether there are comparisons of one device and of two."""
        return len(np.unique(self.compared.labels)) == 2

    def kinds(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Return each method's scores by the ``KINDS`` of comparisons that occur."""
        members = {kind: np.isin(self.levels, sorted(levels)) for kind, levels in KINDS.items()}
        return {
            method: {kind: values[mask] for kind, mask in members.items() if mask.any()}
            for method, values in self.scores.items()
        }


def read_scored(folder: Folder, *, models: Mapping[str, str]) -> Scored | None:
    """Return the scored comparisons of an output folder; None where it has no scores.

    Parameters
    ----------
    models
        Make and model of devices; those of a missing device are unknown.

    Raises
    ------
    ValueError
        If a file is damaged, or of another comparison list.
    """
    if not folder.exists(SCORES):
        return None
    table = read_scores(folder)
    listed = read_list(folder, LIST)
    sides = [_digest([side.device, *side.images]) for side in listed.sides]
    devices = np.array([side.device for side in listed.sides], np.str_)
    pairs = np.array([(pair.first, pair.second) for pair in listed.comparisons]).T
    if table.num_rows != pairs.shape[1]:
        raise ValueError(f"{folder.address(SCORES)}: not of the comparison list beside it")
    first, second = devices[pairs]
    keys = [
        _digest([sides[pair.first], sides[pair.second], str(pair.crops)])
        for pair in listed.comparisons
    ]
    return Scored(
        keys=np.array(keys, np.str_),
        compared=Compared(labels=(first == second).astype(np.int64), first=first, second=second),
        models=(_named(first, models), _named(second, models)),
        levels=np.array([pair.level for pair in listed.comparisons], np.str_),
        scores=scores_of(table),
        kind="gallery" if listed.is_gallery else "pairs",
    )


def read_scores(folder: Folder) -> pa.Table:
    """Return the table of an output folder's scores.

    Raises
    ------
    ValueError
        If the file is not as it was written, or holds no such table.
    """
    data = read_digested(folder, SCORES)
    try:
        # Not read_table: its threads may still start while a program exits early, which aborts it.
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise damaged(folder, SCORES, one_line(error)) from None
    for field in table.schema:
        if field.name not in COMPARISON_COLUMNS and field.type != pa.list_(pa.float64()):
            raise damaged(folder, SCORES, f"the column {field.name!r} holds no scores")
    return table


def write_scores(folder: Folder, table: pa.Table) -> None:
    """Write the table of an output folder's scores."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_digested(folder, SCORES, sink.getvalue().to_pybytes())


def scores_of(table: pa.Table) -> dict[str, NDArray[np.float64]]:
    """Return each method's scores at the largest number of crops, ``(comparison,)``."""
    methods = [name for name in table.column_names if name not in COMPARISON_COLUMNS]
    return {
        method: np.stack(table[method].to_numpy(zero_copy_only=False))[:, -1] for method in methods
    }


def _named(devices: NDArray[np.str_], models: Mapping[str, str]) -> NDArray[np.str_]:
    names, numbers = np.unique(devices, return_inverse=True)
    return np.array([models.get(name, "") for name in names.tolist()], np.str_)[numbers]


def _digest(words: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:24]
