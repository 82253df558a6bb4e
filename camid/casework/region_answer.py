"""The regions of a picture in words, and in the answer of an identification."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from camid.casework.composite import Composite, Region
from camid.casework.decisions import NO_DEVICE, UNDECIDED
from camid.casework.regions import Box
from camid.casework.transforms import Shape

ALIKE = 0.85
"""Shared area over that of both from which a box is called by a name."""
_ROWS = {"upper": (0, 1 / 2), "lower": (1 / 2, 1 / 2)}
_COLUMNS = {"left": (0, 1 / 2), "right": (1 / 2, 1 / 2)}
_THIRDS = ((0, 1 / 3), (1 / 3, 1 / 3), (2 / 3, 1 / 3))
_ALL = (0.0, 1.0)
PLACES: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "the whole picture": (_ALL, _ALL),
    **{f"the {name} half": (rows, _ALL) for name, rows in _ROWS.items()},
    **{f"the {name} half": (_ALL, columns) for name, columns in _COLUMNS.items()},
    **{
        f"the {name} third": (rows, _ALL)
        for name, rows in zip(("upper", "middle", "lower"), _THIRDS, strict=True)
    },
    **{
        f"the {name} third": (_ALL, columns)
        for name, columns in zip(("left", "central", "right"), _THIRDS, strict=True)
    },
    **{
        f"the {name} two thirds": (rows, _ALL)
        for name, rows in {"upper": (0, 2 / 3), "lower": (1 / 3, 2 / 3)}.items()
    },
    **{
        f"the {name} two thirds": (_ALL, columns)
        for name, columns in {"left": (0, 2 / 3), "right": (1 / 3, 2 / 3)}.items()
    },
    **{
        f"the {row} {column} quarter": (rows, columns)
        for row, rows in _ROWS.items()
        for column, columns in _COLUMNS.items()
    },
}
"""Start and length of named parts along rows and columns, as shares of the picture's."""


def place_words(box: Box, shape: Shape) -> str:
    """Return where a box lies in a picture: the part that it nearly is, or its pixels."""
    height, width = shape
    boxes = {
        name: (left * width, top * height, wide * width, tall * height)
        for name, ((top, tall), (left, wide)) in PLACES.items()
    }
    name = max(boxes, key=lambda name: shared_area(box, boxes[name]))
    if shared_area(box, boxes[name]) >= ALIKE:
        return name
    return f"the part of {box[2]}×{box[3]} px at ({box[0]}, {box[1]})"


def shared_area(box: Sequence[float], other: Sequence[float]) -> float:
    """Return the shared area of two boxes over that of both together."""
    sides = (
        min(box[axis] + box[axis + 2], other[axis] + other[axis + 2]) - max(box[axis], other[axis])
        for axis in (0, 1)
    )
    both = math.prod(max(side, 0) for side in sides)
    return both / (box[2] * box[3] + other[2] * other[3] - both)


def region_words(region: Region, first: str, shape: Shape) -> str:
    """Return what a region fits, in words, where a device fits the picture best."""
    place = "the rest" if region.is_rest else place_words(region.box, shape)
    if region.device == NO_DEVICE:
        return f"{place} carries no trace of {first} where the rest does"
    if region.is_moved and region.device == first:
        return f"{place} fits another place of {first}'s sensor"
    return f"{place} fits {region.device}"


def region_facts(composite: Composite, shape: Shape, *, most: float) -> list[dict[str, Any]]:
    """Return the regions of a picture, for JSON; ``most`` bounds the ratios, nats."""
    first = composite.regions[0].device if composite.regions else ""
    return [
        {
            "device": region.device,
            "box": list(region.box),
            "log10_lr": float(f"{min(region.llr, most) / math.log(10):.6g}"),
            "words": region_words(region, first, shape),
        }
        for region in composite.regions
    ]


def with_regions(
    facts: Mapping[str, Any], composite: Composite | None, shape: Shape, *, most: float
) -> dict[str, Any]:
    """Return an identification's answer with the regions of its picture.

    A composite's answer is of its parts, and undecided for the picture.

    Parameters
    ----------
    facts
        The answer for a whole picture.
    composite
        Its regions; None if none were looked for.
    shape
        Height and width of the picture.
    most
        Greatest log-likelihood ratio that is stated, nats.
    """
    if composite is None or not composite.regions:
        return {**facts, "regions": []}
    rows = region_facts(composite, shape, most=most)
    answer = {**facts, "regions": rows}
    if not composite.is_composite:
        return answer | {
            "warnings": [*map(_overlay, composite.regions[1:], rows[1:]), *facts["warnings"]]
        }
    words = [
        row["words"]
        for row, region in zip(rows, composite.regions, strict=True)
        if not region.is_overlay
    ]
    return answer | {
        "decision": UNDECIDED,
        "supported": [],
        "answer": f"Composite: {', '.join(words)}. {_meaning(composite)}",
        "llr": None,
        "log10_lr": None,
        "support": None,
    }


def _meaning(composite: Composite) -> str:
    """Return what a composite's regions mean for the whole picture."""
    parts = composite.regions[1:]
    unknown = [part for part in parts if part.device == NO_DEVICE and not part.is_overlay]
    of_another = (
        "What carries no trace is of another camera, or was painted, moved or blurred, as a "
        "portrait mode does. "
        if unknown
        else ""
    )
    return f"{of_another}No device is said to have taken the whole picture."


def _overlay(region: Region, row: Mapping[str, Any]) -> str:
    """Return the warning about a small part without the pattern."""
    return (
        f"{row['words']}: {region.share:.0%} of the picture, as a mark, a date or a retouched "
        "spot may be"
    )


def region_pictures(composite: Composite | None) -> dict[str, bytes]:
    """Return the map of a picture's regions, by title; nothing for a whole picture."""
    from camid.casework.figures import REGION_WORDS, region_figure
    from camid.evaluation.report.figures import png

    if composite is None or not composite.regions:
        return {}
    first, *others = composite.regions
    boxes = {
        f"{number}: {'no trace' if part.device == NO_DEVICE else part.device}": part.box
        for number, part in enumerate(others, 1)
    }
    title = f"The parts of the picture, by {first.device}'s pattern: {REGION_WORDS}"
    return {title: png(region_figure(composite.gain, composite.cell, boxes, first=first.device))}
