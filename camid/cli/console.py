"""Printing, waiting and the case report of the analyst's commands."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click

from camid.cli.errors import one_sentence
from camid.cli.tables import Heading, print_table
from camid.io.counts import counted
from camid.io.escaping import visible
from camid.io.secrets import redacted

T = TypeVar("T")

SHOWN = 5
"""Candidates of a photograph that are printed; JSON and report have more."""
GENERATOR = '<meta name="generator" content="camid">'
"""What every page of camid's says of itself."""
LEAST = 1e-300
"""Numbers below this may have been too small for a float."""


def _page(_: click.Context, __: click.Parameter, name: str | None) -> Path | None:
    """Return the path of a report, which is checked before any work for the report."""
    if name is None:
        return None
    path = Path(name)
    with one_sentence():
        if path.suffix.lower() not in {".html", ".htm"} or path.is_dir():
            raise ValueError(f"{name}: expected the name of an HTML file, such as case.html")
        for file, mark in ((path, GENERATOR), (path.with_suffix(".json"), '"shipped"')):
            if file.exists() and mark not in file.read_text("utf-8", "replace"):
                raise ValueError(f"{file}: is there and no report of camid's; name another page")
        path.parent.mkdir(parents=True, exist_ok=True)
    return path


reported = click.option(
    "--report",
    metavar="FILE.html",
    callback=_page,
    help="Write a case report, and JSON beside it.",
)


def echo(words: str, *, err: bool = False) -> None:
    """Print one line, in which others' text is :func:`~camid.io.escaping.visible`."""
    click.echo(visible(words), err=err)


def waited(begun: Callable[[Callable[[str], None]], Iterator[T]]) -> Iterator[T]:
    """Yield the items of ``begun``, which gets a function that shows progress on a terminal.

    The line of progress is there while the next item is made, and gone while it is printed.
    """
    status, tell = _status()
    items = begun(tell)
    while True:
        with status:
            next_items = list(islice(items, 1))
        if not next_items:
            return
        yield next_items[0]


def working(work: Callable[[Callable[[str], None]], T]) -> T:
    """Return the result of ``work``, which gets a function to show progress (:func:`waited`)."""
    status, tell = _status()
    with status:
        return work(tell)


def _status() -> tuple[Any, Callable[[str], None]]:
    """Return a status line on standard error, a context manager, and a function to change it."""
    from rich.console import Console
    from rich.markup import escape

    status = Console(stderr=True).status("reading")
    return status, lambda words: status.update(escape(visible(words)))


def print_identified(answer: Mapping[str, Any]) -> None:
    """Print the answer of a photograph or a set, and its first candidates."""
    echo(f"{_asked(answer)}: {answer['answer']}")
    candidates = answer["candidates"][:SHOWN]
    is_distinct = len({row["device"] for row in candidates}) == len(candidates)
    several = ("size",) if len(answer.get("sizes", ())) > 1 else ()
    columns = (
        "device" if is_distinct else "entry",
        *several,
        "pce",
        "ncc",
        "llr",
        "false_alarm",
        "turn",
    )
    edits = ("edit",) if any(row["edit"] for row in candidates) else ()
    rows = [{name: row[name] for name in (*columns, "scale", *edits)} for row in candidates]
    if rows:
        entries = counted(answer["searched"]["entries"], "entry", "entries")
        least = "the worst photograph" if "photographs" in answer else "the photograph"
        title = f"best of {entries}; llr in nats; {least} is of grade {answer['grade']}"
        print_named(rows, title)
    print_warnings(answer["warnings"])


def _asked(answer: Mapping[str, Any]) -> str:
    """Return the path of the photograph, or the number of a set's."""
    if "photographs" not in answer:
        return str(answer["photograph"]["path"])
    number = counted(len(answer["photographs"]), "photograph")
    left_out = f", {len(answer['left_out']):,} left out" if answer["left_out"] else ""
    return f"{number} together{left_out}"


def print_named(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Print rows of the same columns; words to the left, numbers to the right."""
    headings = [
        Heading(name.replace("_", " "), is_number=not isinstance(value, str), folds=True)
        for name, value in (rows[0] if rows else {}).items()
    ]
    cells = ([_cell(name, value) for name, value in row.items()] for row in rows)
    print_table(headings, cells, title=title)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    words = f"{value:.4g}" if isinstance(value, float) else str(value)
    if isinstance(value, float) and 0 <= value < LEAST:
        words = f"< {LEAST:g}" if name == "false_alarm" else "0"
    return words


def print_warnings(warnings: Sequence[str]) -> None:
    """Print warnings on standard error."""
    for words in warnings:
        echo(f"  {words}", err=True)


def write_report(
    place: Path,
    question: str,
    answers: Sequence[Mapping[str, Any]],
    pictures: Sequence[Mapping[str, bytes]],
    parameters: Mapping[str, Any],
    *,
    is_json: bool,
    missing: str = "",
) -> None:
    """Write the page of a case and its facts beside the page, and print both paths.

    Both are seen whole or not at all, the page last.

    Parameters
    ----------
    missing
        What the page lacks, if it was stopped; it says so.
    """
    from camid.casework.report import case_facts, case_page
    from camid.io.folder import Folder, absolute

    command = redacted(shlex.join(["camid", *sys.argv[1:]]))
    facts = case_facts(question, answers, command=command, parameters=parameters, missing=missing)
    folder, name = Folder(absolute(str(place.parent))), place.name
    folder.write(f"{place.stem}.json", (json.dumps(facts, indent=2) + "\n").encode())
    folder.write(name, case_page(facts, pictures).encode())
    echo(f"report: {place} and {place.with_suffix('.json')}", err=is_json)
