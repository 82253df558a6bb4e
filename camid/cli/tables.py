"""Tables in a terminal."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from camid.io.escaping import visible


class Heading(NamedTuple):
    """A column's title, which may be of several lines."""

    words: str
    is_number: bool = False
    """Whether cells are aligned to the right."""
    folds: bool = False
    """Whether long cells wrap onto several lines; otherwise no cell does."""
    min_width: int = 0


def print_table(
    headings: Sequence[Heading],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    gap: int = 1,
) -> None:
    """Print a table; cells may hold any text.

    Parameters
    ----------
    gap
        Blanks between columns, in addition to one.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=escape(visible(title)) or None,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, gap, 0, 0),
    )
    for heading in headings:
        table.add_column(
            heading.words,
            justify="right" if heading.is_number else "left",
            no_wrap=not heading.folds,
            overflow="fold" if heading.folds else "ellipsis",
            min_width=heading.min_width or None,
        )
    for row in rows:
        table.add_row(*(escape(visible(str(cell))) for cell in row))
    Console().print(table)
