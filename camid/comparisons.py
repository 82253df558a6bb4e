"""Comparison lists: pairs of images by their sha256, with positions, drawn once and saved.

Every method is scored on the same list. It names no store, so it serves every store of its images.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from camid.candidates import TRIES, Candidates
from camid.config import Pairs
from camid.folder import Folder
from camid.strips import Position

SCHEMA = pa.schema(
    [
        ("label", pa.int8()),
        ("first", pa.list_(pa.string())),
        ("second", pa.list_(pa.string())),
        ("tops", pa.list_(pa.int32())),
        ("lefts", pa.list_(pa.int32())),
    ]
)

_FACTS = b"camid.comparisons"
_KEY = 40
"""Sets the draws of lists apart from those of steps."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One pair of a list."""

    label: int
    """1 = same device."""
    first: tuple[str, ...]
    """sha256 of the images of the first side."""
    second: tuple[str, ...]
    positions: tuple[Position, ...]
    """Where both sides are compared."""


@dataclass(frozen=True, kw_only=True)
class ComparisonList:
    """Pairs to score, and the seed they were drawn with."""

    seed: int
    comparisons: tuple[Comparison, ...]

    @property
    def digest(self) -> str:
        """Digest of the pairs and the seed."""
        facts = [self.seed, [asdict(comparison) for comparison in self.comparisons]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def drawn_list(
    candidates: Candidates,
    *,
    num_pairs: int = 1000,
    num_positions: int = 40,
    settings: Pairs,
    seed: int,
) -> ComparisonList:
    """Return a list of pairs, half of them positive.

    A pair is compared at ``num_positions`` that both sides have, or all where they are fewer.

    Raises
    ------
    ValueError
        If the candidates give no such pairs.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_KEY,)))
    labels = [1] * (num_pairs - num_pairs // 2) + [0] * (num_pairs // 2)
    return ComparisonList(
        seed=seed,
        comparisons=tuple(
            _comparison(rng, candidates, label, num_positions=num_positions, settings=settings)
            for label in rng.permutation(labels).tolist()
        ),
    )


def write_list(folder: Folder, name: str, listed: ComparisonList) -> None:
    """Write a list as parquet, a row a pair, with its seed and digest."""
    rows = [
        {
            "label": pair.label,
            "first": pair.first,
            "second": pair.second,
            "tops": [top for top, _ in pair.positions],
            "lefts": [left for _, left in pair.positions],
        }
        for pair in listed.comparisons
    ]
    facts = json.dumps({"seed": listed.seed, "digest": listed.digest})
    table = pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata({_FACTS: facts}))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    folder.write(name, sink.getvalue().to_pybytes())


def read_list(folder: Folder, name: str) -> ComparisonList:
    """Return a saved list.

    Raises
    ------
    ValueError
        If the file is no comparison list, or not as it was written.
    """
    where = folder.address(name)
    try:
        table = pq.read_table(pa.BufferReader(folder.read(name)))
        facts = json.loads(table.schema.metadata[_FACTS])
        listed = ComparisonList(
            seed=facts["seed"], comparisons=tuple(map(_listed, table.to_pylist()))
        )
    except FileNotFoundError:
        raise ValueError(f"{where}: no such comparison list") from None
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        words = " ".join(str(error).split())
        raise ValueError(f"{where}: not a comparison list: {words}") from None
    if listed.digest != facts["digest"]:
        raise ValueError(f"{where}: not as it was written: its digest is another")
    return listed


def _comparison(
    rng: np.random.Generator,
    candidates: Candidates,
    label: int,
    *,
    num_positions: int,
    settings: Pairs,
) -> Comparison:
    for _ in range(TRIES):
        mine, theirs = candidates.quartet(rng, settings=settings)
        sides = mine[0], (mine if label else theirs)[1]
        if shared := sides[0].chunk.shared(sides[1].chunk):
            order = rng.permutation(len(shared))[:num_positions]
            return Comparison(
                label=label,
                first=sides[0].sha256(),
                second=sides[1].sha256(),
                positions=tuple(shared[i] for i in sorted(order.tolist())),
            )
    raise ValueError("the devices share no position; a comparison list needs one geometry")


def _listed(row: dict[str, Any]) -> Comparison:
    return Comparison(
        label=row["label"],
        first=tuple(row["first"]),
        second=tuple(row["second"]),
        positions=tuple(zip(row["tops"], row["lefts"], strict=True)),
    )
