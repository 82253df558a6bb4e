"""Tables of an output folder, as CSV.

Spreadsheets take a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula: where text of
others, such as a device's name, does so, an apostrophe stands before it.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence

from camid.io.digested import read_digested, write_digested
from camid.io.escaping import visible
from camid.io.folder import Folder

_FORMULA = re.compile(r"'*[=+\-@]")


def write_csv(folder: Folder, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV, with its digest; columns that a row lacks are empty."""
    write_digested(folder, name, csv_text(rows).encode())


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def csv_rows(folder: Folder, name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file; none where there is no such file.

    Raises
    ------
    ValueError
        If the file is not as it was written.
    """
    if not folder.exists(name):
        return []
    rows = csv.DictReader(io.StringIO(read_digested(folder, name).decode(), newline=""))
    return [{key: _text(cell) for key, cell in row.items()} for row in rows]


def _cell(value: object) -> object:
    """Return a value as a cell: text without what programs act on."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if _FORMULA.match(text) else text


def _text(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
