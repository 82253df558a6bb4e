"""A table of photographs: CSV or parquet with at least ``path`` and ``device``."""

import io
from dataclasses import fields
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from camid.dataset.sources.placement import Placement
from camid.io.escaping import one_line
from camid.io.folder import Folder

COLUMNS = tuple(field.name for field in fields(Placement))
ANGLES = ("0", "90", "180", "270")


def rows(table: Folder) -> list[tuple[str, dict[str, str]]]:
    """Return ``(path, columns)`` for every row of the table, texts only, in the table's order.

    Raises
    ------
    ValueError
        If the table cannot be read, lacks a column, or has a column or a path twice.
    """
    data = table.read()
    try:
        content = _arrow(data, name=table.name)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{table.uri}: cannot be read as a table: {one_line(error)[:200]}"
        ) from None
    missing = [name for name in ("path", "device") if name not in content.column_names]
    if missing:
        raise ValueError(
            f"{table.uri}: expected the columns path and device, "
            f"got {', '.join(content.column_names) or 'none'}"
        )
    repeated = {name for name in content.column_names if content.column_names.count(name) > 1}
    if repeated:
        raise ValueError(f"{table.uri}: the column {min(repeated)!r} stands in it twice")
    names = [name for name in ("path", *COLUMNS) if name in content.column_names]
    records = [
        {name: "" if row[name] is None else str(row[name]) for name in names}
        for row in content.select(names).to_pylist()
    ]
    seen: set[str] = set()
    for row in records:
        if row["path"] in seen:
            raise ValueError(f"{table.uri}: {row['path']!r} stands in it twice")
        seen.add(row["path"])
    return [(row.pop("path"), row) for row in records]


def place(columns: dict[str, str]) -> Placement:
    """Return the placement that a row of the table states.

    Raises
    ------
    ValueError
        If the row has no device, or an unknown kind or angle.
    """
    if not columns["device"]:
        raise ValueError("the table names no device for it")
    kind = columns.get("kind") or "foreground"
    if kind not in {"background", "foreground"}:
        raise ValueError(f"kind is {kind!r}, expected background or foreground")
    # pandas writes a column with gaps as floats
    angle = (columns.get("angle") or "0").removesuffix(".0")
    if angle not in ANGLES:
        raise ValueError(f"angle is {columns['angle']!r}, expected {', '.join(ANGLES)} degrees")
    return Placement(**{**columns, "kind": kind, "angle": int(angle)})  # type: ignore[arg-type]


def _arrow(data: bytes, *, name: str) -> Any:
    if PurePosixPath(name).suffix.lower() in {".parquet", ".pq"}:
        return pq.read_table(io.BytesIO(data))
    types = {column: pa.string() for column in ("path", *COLUMNS)}
    options = pacsv.ConvertOptions(column_types=types)
    return pacsv.read_csv(io.BytesIO(data), convert_options=options)
