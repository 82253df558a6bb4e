"""What methods scored, read back from an output folder: who was compared with whom, and how alike.

Baselines leave a matrix of images and devices, evaluations a comparison list; both are the same
here, so that the report and comparisons of runs need to know of one alone.
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
from camid.io.folder import Folder
from camid.io.output_layout import LIST, SCORES


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """Comparisons of a run and what its methods gave them; every array is ``(comparison,)``."""

    keys: NDArray[np.str_]
    """What was compared: equal in two runs that compared the same images."""
    compared: Compared
    models: tuple[NDArray[np.str_], NDArray[np.str_]]
    """Of the two devices; empty where it is not known."""
    levels: NDArray[np.str_]
    """As of a comparison list."""
    scores: Mapping[str, NDArray[np.float64]]
    """By method, at the largest number of crops."""
    unit: str
    """What methods compare: ``image`` with a device's pattern, or ``side`` with another side."""

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Scored":
        """Return the comparisons that are chosen."""
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
        """Return the negatives of a kind, and the positives of the devices that have such.

        A comparison that some method could not score is left out for all of them.
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
        """Return each method's scores by those of ``KINDS`` that there are."""
        members = {kind: np.isin(self.levels, sorted(levels)) for kind, levels in KINDS.items()}
        return {
            method: {kind: values[these] for kind, these in members.items() if these.any()}
            for method, values in self.scores.items()
        }


def read_scored(folder: Folder, *, models: Mapping[str, str]) -> Scored | None:
    """Return what the methods of an output folder scored; None where it has no scores.

    Parameters
    ----------
    models
        Make and model of devices; a device that is missing has none that is known.

    Raises
    ------
    ValueError
        If a file is not as it was written.
    """
    if not folder.exists(SCORES):
        return None
    table = pq.read_table(pa.BufferReader(folder.read(SCORES)))
    facts = table.schema.metadata or {}
    if b"devices" in facts:
        return _of_matrix(table, json.loads(facts[b"devices"]), models)
    return _of_list(table, folder, models)


def _of_matrix(table: pa.Table, devices: Sequence[str], models: Mapping[str, str]) -> Scored:
    """Return every image's comparison with every device's pattern."""
    images, own = table["image_id"].to_pylist(), table["device"].to_pylist()
    methods = [name for name in table.column_names if name not in {"image_id", "device"}]
    first = np.tile(np.array(devices, np.str_), len(images))
    second = np.repeat(np.array(own, np.str_), len(devices))
    both = tuple(_named(names, models) for names in (first, second))
    scores = {m: np.concatenate(table[m].to_numpy(zero_copy_only=False)) for m in methods}
    keys = [_digest([device, image]) for image in images for device in devices]
    return Scored(
        keys=np.array(keys, np.str_),
        compared=Compared(labels=(first == second).astype(np.int64), first=first, second=second),
        models=(both[0], both[1]),
        levels=_levels(first == second, *both),
        scores={method: np.asarray(found, np.float64) for method, found in scores.items()},
        unit="image",
    )


def _of_list(table: pa.Table, folder: Folder, models: Mapping[str, str]) -> Scored:
    """Return the comparisons of a list."""
    listed = read_list(folder, LIST)
    sides = [_digest([side.device, *side.images]) for side in listed.sides]
    devices = np.array([side.device for side in listed.sides], np.str_)
    pairs = np.array([(pair.first, pair.second) for pair in listed.comparisons]).T
    if table.num_rows != pairs.shape[1]:
        raise ValueError(f"{folder.address(SCORES)}: not of the comparison list beside it")
    first, second = devices[pairs]
    methods = [n for n in table.column_names if n not in {"first", "second", "label", "level"}]
    keys = [
        _digest([sides[pair.first], sides[pair.second], str(pair.crops)])
        for pair in listed.comparisons
    ]
    return Scored(
        keys=np.array(keys, np.str_),
        compared=Compared(labels=(first == second).astype(np.int64), first=first, second=second),
        models=(_named(first, models), _named(second, models)),
        levels=np.array([pair.level for pair in listed.comparisons], np.str_),
        scores={m: np.stack(table[m].to_numpy(zero_copy_only=False))[:, -1] for m in methods},
        unit="side",
    )


def _named(devices: NDArray[np.str_], models: Mapping[str, str]) -> NDArray[np.str_]:
    names, numbers = np.unique(devices, return_inverse=True)
    return np.array([models.get(name, "") for name in names.tolist()], np.str_)[numbers]


def _levels(
    same: NDArray[np.bool_], first: NDArray[np.str_], second: NDArray[np.str_]
) -> NDArray[np.str_]:
    """Return what devices share, as far as models tell: makes are not told apart."""
    known = (first != "") & (second != "")
    levels = np.where(known & (first == second), "same-model", "other-make")
    return np.where(same, "same-device", np.where(known, levels, "unknown"))


def _digest(words: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:24]
