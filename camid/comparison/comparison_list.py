"""Comparison lists: sides of images by sha256, and which are compared where, saved as one file.

Every method is scored on the same list. It names no store, so it serves every store of its images.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from camid.io.escaping import one_line
from camid.io.folder import Folder

LEVELS = ("same-device", "same-model", "same-make", "other-make", "unknown")
"""Relations of the two devices of a comparison, as far as known."""
NEGATIVE = frozenset(LEVELS[1:])
LEVELS_OF = {
    "all": NEGATIVE,
    "different-model": {"same-make", "other-make"},
    "same-model": {"same-model"},
}
"""Levels of the negatives that each kind of row is judged on."""
SAME_DEVICE = "same device"
KINDS = {
    SAME_DEVICE: {"same-device"},
    "other model": {"same-make", "other-make"},
    "same model": {"same-model"},
    "unknown model": {"unknown"},
}
"""Levels of each kind of comparison that figures tell apart."""

VERSION = 2

_CROP = pa.struct([(name, pa.int32()) for name in ("top", "left", "y", "x")])
_SCHEMA = pa.schema(
    [
        ("device", pa.string()),
        ("images", pa.list_(pa.string())),
        ("numbers", pa.list_(pa.int32())),
        ("seconds", pa.list_(pa.int32())),
        ("levels", pa.list_(pa.string())),
        ("crops", pa.list_(pa.list_(_CROP))),
    ]
)
"""One row per side, with the numbers of the comparisons whose first side it is."""

_FACTS = b"camid.comparisons"
_ITEM = "list.element"
_CROPS = [f"crops.{_ITEM}.{_ITEM}.{name}" for name in ("top", "left", "y", "x")]


class Crop(NamedTuple):
    """A window of the list's crop size inside one strip."""

    top: int
    """Of the strip on the sensor grid."""
    left: int
    y: int
    """Of the window in the strip."""
    x: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedSide:
    """Images of one device that are averaged."""

    device: str
    images: tuple[str, ...]
    """Their sha256, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two sides of a list, and where they are compared."""

    first: int
    """Number of a side."""
    second: int
    label: int
    """1 = same device."""
    level: str
    """One of :data:`LEVELS`."""
    crops: tuple[Crop, ...]
    """Distinct strips first. Empty: whole strips, at all positions that both sides have."""


@dataclass(frozen=True, kw_only=True)
class ComparisonList:
    """Sides, the comparisons between them, and the seed of their draw.

    Raises
    ------
    ValueError
        If a comparison names no side, its label or level does not fit its sides' devices, a crop
        is not inside a strip, or two first sides of a gallery are of one device.
    """

    seed: int
    crop_size: int
    """Pixels a side; 0 = whole strips."""
    strip_size: int
    is_gallery: bool = False
    """Whether each first side enrols a device, and each second side is a query to identify."""
    sides: tuple[ListedSide, ...]
    comparisons: tuple[Comparison, ...]

    def __post_init__(self) -> None:
        columns = _columns(self.comparisons)
        _check_sides(self, columns)
        _check_crops(self, columns)
        if self.is_gallery:
            _check_gallery(self, columns)

    @cached_property
    def digest(self) -> str:
        """Digest of everything in the list."""
        sizes = [self.seed, self.crop_size, self.strip_size, len(self.comparisons)]
        sizes += [1] if self.is_gallery else []
        sides = [[side.device, *side.images] for side in self.sides]
        digest = hashlib.sha256(json.dumps([sizes, sides]).encode())
        for column in _columns(self.comparisons):
            digest.update(column.astype("<i4").tobytes())
        return digest.hexdigest()


def overlap(crops: Sequence[Crop], size: int) -> float:
    """Return the share of the crops' area that an earlier crop already covers, 0..1.

    Parameters
    ----------
    size
        Pixels a side of a crop.
    """
    if not crops or not size:
        return 0.0
    corners = np.array([(crop.top + crop.y, crop.left + crop.x) for crop in crops])
    rows, columns = (np.unique([starts, starts + size]) for starts in corners.T)
    tops, lefts = np.searchsorted(rows, corners[:, 0]), np.searchsorted(columns, corners[:, 1])
    bottoms = np.searchsorted(rows, corners[:, 0] + size)
    rights = np.searchsorted(columns, corners[:, 1] + size)
    covered = np.zeros((len(rows) - 1, len(columns) - 1), np.bool_)
    for top, bottom, left, right in zip(tops, bottoms, lefts, rights, strict=True):
        covered[top:bottom, left:right] = True
    area = np.diff(rows) @ covered @ np.diff(columns)
    return float(1 - area / (len(crops) * size**2))


def write_list(folder: Folder, name: str, listed: ComparisonList) -> None:
    """Write a list as parquet, a row a side, with its sizes, seed and digest."""
    facts = {
        "version": VERSION,
        "seed": listed.seed,
        "crop_size": listed.crop_size,
        "strip_size": listed.strip_size,
        "is_gallery": listed.is_gallery,
        "digest": listed.digest,
    }
    table = _table(listed).replace_schema_metadata({_FACTS: json.dumps(facts)})
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=["device", f"images.{_ITEM}", f"levels.{_ITEM}", *_CROPS],
        column_encoding=dict.fromkeys(
            (f"numbers.{_ITEM}", f"seconds.{_ITEM}"), "DELTA_BINARY_PACKED"
        ),
        write_page_checksum=True,
    )
    folder.write(name, sink.getvalue().to_pybytes())


def read_list(folder: Folder, name: str) -> ComparisonList:
    """Return a saved list.

    Raises
    ------
    ValueError
        If the file is no comparison list, of another version, or not as it was written.
    """
    address = folder.address(name)
    try:
        file = pa.BufferReader(folder.read(name))
    except FileNotFoundError:
        raise ValueError(f"{address}: no such comparison list") from None
    try:
        facts = json.loads((pq.read_schema(file).metadata or {}).get(_FACTS, "{}"))
        if "version" not in facts:
            raise ValueError("it states no version")
        listed = _listed(file, facts) if facts["version"] == VERSION else None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        words = one_line(error)
        raise ValueError(f"{address}: not a comparison list, or damaged: {words}") from None
    if listed is None:
        raise ValueError(
            f"{address}: a comparison list of version {facts['version']!r}, and this camid reads "
            f"{VERSION}; draw it again or use the camid that wrote it"
        )
    return listed


class _Columns(NamedTuple):
    """Comparisons as numbers ``(comparison,)``, their crops one after the other ``(crop, 4)``."""

    firsts: NDArray[np.int32]
    seconds: NDArray[np.int32]
    labels: NDArray[np.int32]
    levels: NDArray[np.int32]
    """Indices into :data:`LEVELS`; -1 for an unknown name."""
    num_crops: NDArray[np.int32]
    crops: NDArray[np.int32]


def _columns(comparisons: Sequence[Comparison]) -> _Columns:
    indices = {level: index for index, level in enumerate(LEVELS)}
    crops = chain.from_iterable(chain.from_iterable(c.crops for c in comparisons))
    return _Columns(
        firsts=np.fromiter((c.first for c in comparisons), np.int32),
        seconds=np.fromiter((c.second for c in comparisons), np.int32),
        labels=np.fromiter((c.label for c in comparisons), np.int32),
        levels=np.fromiter((indices.get(c.level, -1) for c in comparisons), np.int32),
        num_crops=np.fromiter((len(c.crops) for c in comparisons), np.int32),
        crops=np.fromiter(crops, np.int32).reshape(-1, 4),
    )


def _check_sides(listed: ComparisonList, columns: _Columns) -> None:
    sides = np.stack([columns.firsts, columns.seconds])
    if sides.size and not 0 <= sides.min() <= sides.max() < len(listed.sides):
        raise ValueError(f"a comparison is of a side that is none of the {len(listed.sides)}")
    names: dict[str, int] = {}
    devices = [names.setdefault(side.device, len(names)) for side in listed.sides]
    first, second = np.array(devices, np.int32)[sides]
    is_same = first == second
    is_wrong = (
        (columns.labels != is_same) | ((columns.levels == 0) != is_same) | (columns.levels < 0)
    )
    for number in np.flatnonzero(is_wrong)[:1]:
        comparison = listed.comparisons[number]
        first_device, second_device = (
            listed.sides[side].device for side in (comparison.first, comparison.second)
        )
        raise ValueError(
            f"comparison {number} is of the devices {first_device!r} and {second_device!r}, "
            f"got label {comparison.label} and level {comparison.level!r}"
        )


def _check_gallery(listed: ComparisonList, columns: _Columns) -> None:
    firsts = np.unique(columns.firsts).tolist()
    enrolled = Counter(listed.sides[number].device for number in firsts)
    for device, count in enrolled.most_common(1):
        if count > 1:
            raise ValueError(f"a gallery enrols the device {device!r} {count} times")


def _check_crops(listed: ComparisonList, columns: _Columns) -> None:
    size, room = listed.crop_size, listed.strip_size - listed.crop_size
    mismatched = np.flatnonzero((columns.num_crops > 0) != (size > 0))
    for number in mismatched[:1]:
        raise ValueError(
            f"expected {'crops' if size else 'no crops'} in a list of crop size {size}, "
            f"comparison {number} has {columns.num_crops[number]}"
        )
    corners = columns.crops[:, 2:]
    if corners.size and not 0 <= corners.min() <= corners.max() <= room:
        raise ValueError(f"a crop of {size} px reaches beyond its strip of {listed.strip_size} px")


def _table(listed: ComparisonList) -> pa.Table:
    comparisons = listed.comparisons
    numbers = np.argsort(_columns(comparisons).firsts, kind="stable")
    columns = _columns([comparisons[number] for number in numbers.tolist()])
    per_side = np.bincount(columns.firsts, minlength=len(listed.sides))
    crops = pa.StructArray.from_arrays(list(columns.crops.T), fields=list(_CROP))
    arrays = {
        "device": [side.device for side in listed.sides],
        "images": [side.images for side in listed.sides],
        "numbers": _lists(per_side, numbers.astype(np.int32)),
        "seconds": _lists(per_side, columns.seconds),
        "levels": _lists(per_side, pa.array(LEVELS).take(columns.levels)),
        "crops": _lists(per_side, _lists(columns.num_crops, crops)),
    }
    return pa.table(arrays, schema=_SCHEMA)


def _lists(counts: NDArray[np.integer], values: Any) -> pa.ListArray:
    """Split values into lists of the given lengths."""
    return pa.ListArray.from_arrays(np.cumsum([0, *counts], dtype=np.int32), values)


def _listed(file: pa.NativeFile, facts: Mapping[str, Any]) -> ComparisonList:
    table = pq.read_table(file, page_checksum_verification=True)
    if table.schema.remove_metadata() != _SCHEMA:
        raise ValueError(f"it has the columns {', '.join(table.column_names)}")
    devices, images = table["device"].to_pylist(), table["images"].to_pylist()
    listed = ComparisonList(
        seed=facts["seed"],
        crop_size=facts["crop_size"],
        strip_size=facts["strip_size"],
        is_gallery=facts["is_gallery"],
        sides=tuple(
            ListedSide(device=device, images=tuple(side))
            for device, side in zip(devices, images, strict=True)
        ),
        comparisons=_comparisons(table),
    )
    if listed.digest != facts["digest"]:
        raise ValueError("its digest is another")
    return listed


def _comparisons(table: pa.Table) -> tuple[Comparison, ...]:
    """Return the comparisons of a table's sides, in the order of their numbers."""
    lists = {name: table[name].combine_chunks() for name in table.column_names[2:]}
    flat = {name: column.flatten() for name, column in lists.items()}
    levels = flat["levels"].dictionary_encode()
    names = levels.dictionary.to_pylist()
    comparisons = [
        Comparison(
            first=first,
            second=second,
            label=int(level == LEVELS[0]),
            level=level,
            crops=crops,
        )
        for first, second, level, crops in zip(
            np.repeat(np.arange(len(table)), lists["seconds"].value_lengths()).tolist(),
            flat["seconds"].to_pylist(),
            map(names.__getitem__, levels.indices.to_pylist()),
            _crops(flat["crops"]),
            strict=True,
        )
    ]
    return tuple(comparisons[i] for i in np.argsort(flat["numbers"]).tolist())


def _crops(lists: pa.ListArray) -> list[tuple[Crop, ...]]:
    """Return the crops of each comparison."""
    columns = [column.to_pylist() for column in lists.flatten().flatten()]
    crops = list(map(Crop, *columns))
    ends = np.cumsum([0, *lists.value_lengths().to_pylist()]).tolist()
    return [tuple(crops[start:end]) for start, end in pairwise(ends)]
