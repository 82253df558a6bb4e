"""Result rows: the figures of a method on comparisons of one condition, and their differences."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from camid.io.digested import damaged, first_fault, read_json, write_json
from camid.io.folder import Folder
from camid.io.output_layout import DIFFERENCES, RESULTS

Kind = Literal["gallery", "pairs", "classifier"]
"""Kind of comparisons: queries with every enrolled device, drawn pairs of sides, or photographs
with the devices that a classifier was trained on."""


BY_IMAGE = "images"
"""Split of a classifier's rows: images are dealt, not devices."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Condition of the comparisons that figures are of."""

    kind: Kind
    images: str = ""
    """On the first side + on the second, such as ``50+1``."""
    crop_size: int | None
    """Pixels a side of the windows that are compared; None for whole strips."""
    num_crops: int | None
    """Windows of a comparison at most; None for all."""
    negatives: str
    """Which comparisons of two devices count: ``all``, or those of a kind."""
    split: str
    """Name of the split whose devices are tested."""


@dataclass(frozen=True, kw_only=True)
class ResultRow(Condition):
    """Figures of one method on the comparisons of one condition."""

    method: str
    figures: Mapping[str, float] = field(default_factory=dict)
    """By name; ``…_low`` and ``…_high`` are the ends of a figure's 95 % interval."""
    study_images: str = ""
    """Images on both sides where the study states the figures ``study_…``; else empty."""
    part: str = ""
    """Folder below the output folder that the row belongs to; empty for the folder itself."""

    def with_figures(self, figures: Mapping[str, float]) -> Self:
        """Return the row with further figures."""
        return replace(self, figures={**self.figures, **figures})

    def in_part(self, part: str) -> Self:
        """Return the row as part of an output folder that encloses its own."""
        return replace(self, part="/".join(filter(None, (part, self.part))))

    def flat(self) -> dict[str, Any]:
        """Return fields and figures by name, side by side."""
        values = asdict(self)
        figures = values.pop("figures")
        method = {"method": values.pop("method")}
        filled = {key: value for key, value in values.items() if value != ""}
        return {**method, **filled, **figures}

    @classmethod
    def of_flat(cls, flat: Mapping[str, Any]) -> Self:
        """Return the row that :meth:`flat` flattened."""
        names = {entry.name for entry in fields(cls)} - {"figures"}
        figures = {key: value for key, value in flat.items() if key not in names}
        return cls(**{key: flat[key] for key in flat if key in names}, figures=figures)


@dataclass(frozen=True, kw_only=True)
class DifferenceRow(Condition):
    """A figure of one method less that of another, paired by resampled devices."""

    method: str
    baseline: str
    figure: str
    value: float
    low: float | None
    """End of the 95 % interval; None, as ``high``, of too few devices."""
    high: float | None
    verdict: str
    """On the first method: ``better``, ``worse``, or ``undecided`` where the interval holds 0, or
    there is none."""
    of_method: float
    """The figure itself."""
    of_baseline: float

    def flat(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def read_rows(folder: Folder) -> list[ResultRow]:
    """Return the result rows of an output folder; empty if it is unfinished.

    Raises
    ------
    ValueError
        If they are not as they were written.
    """
    if not folder.exists(RESULTS):
        return []
    try:
        rows = [
            ResultRow.of_flat(flat) for flat in read_json(folder, RESULTS, list[dict[str, Any]])
        ]
        TypeAdapter(list[ResultRow]).validate_python([vars(row) for row in rows])
    except TypeError as error:
        raise damaged(folder, RESULTS, str(error)) from None
    except ValidationError as error:
        raise damaged(folder, RESULTS, first_fault(error)) from None
    return rows


def read_differences(folder: Folder) -> list[DifferenceRow]:
    """Return the differences of an output folder's methods; empty if there are none.

    Raises
    ------
    ValueError
        If they are not as they were written.
    """
    return read_json(folder, DIFFERENCES, list[DifferenceRow]) if folder.exists(DIFFERENCES) else []


def write_differences(folder: Folder, rows: Iterable[DifferenceRow]) -> None:
    """Write differences of an output folder's methods."""
    write_json(folder, DIFFERENCES, [row.flat() for row in rows])


def write_rows(folder: Folder, rows: Iterable[ResultRow]) -> None:
    """Write rows as the results of an output folder, which is then finished."""
    write_json(folder, RESULTS, [row.flat() for row in rows])
