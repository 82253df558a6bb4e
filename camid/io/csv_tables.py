"""Tables of an output folder, as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence

from camid.io.folder import Folder


def write_csv(folder: Folder, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV; columns that a row lacks are empty."""
    folder.write(name, csv_text(rows).encode())


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def csv_rows(folder: Folder, name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file; none where there is no such file."""
    if not folder.exists(name):
        return []
    return list(csv.DictReader(io.StringIO(folder.read(name).decode(), newline="")))
