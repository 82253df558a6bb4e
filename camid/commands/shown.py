"""What the analyst's commands share: what they print, how they wait, and the case report."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click

from camid.sentences import one_sentence

T = TypeVar("T")


def _page(_: click.Context, __: click.Parameter, name: str | None) -> Path | None:
    """Return the place of a report; a wrong one is told before the work for it."""
    if name is None:
        return None
    place = Path(name)
    with one_sentence():
        if place.suffix.lower() not in {".html", ".htm"}:
            raise ValueError(f"{name}: expected the name of an HTML file, such as case.html")
        place.parent.mkdir(parents=True, exist_ok=True)
    return place


reported = click.option(
    "--report",
    metavar="FILE.html",
    callback=_page,
    help="Write a case report, and JSON beside it.",
)


def waited(begun: Callable[[Callable[[str], None]], Iterator[T]]) -> Iterator[T]:
    """Yield what ``begun`` does, given what to tell how far it is with: a line on a terminal.

    The line is there while the next item is made, and gone while it is printed.
    """
    from rich.console import Console

    status = Console(stderr=True).status("reading")
    items = begun(status.update)
    while True:
        with status:
            some = list(islice(items, 1))
        if not some:
            return
        yield some[0]


def print_identified(answer: Mapping[str, Any]) -> None:
    """Print the answer of a photograph, and its first candidates."""
    click.echo(f"{answer['photograph']['path']}: {answer['answer']}")
    columns = ("device", "pce", "ncc", "llr", "false_alarm", "turn", "scale")
    rows = [{name: row[name] for name in columns} for row in answer["candidates"][:5]]
    if rows:
        print_table(rows, f"candidates, grade {answer['grade']}")
    print_warnings(answer["warnings"])


def print_table(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Print rows of the same columns; words to the left, numbers to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD)
    for name in rows[0] if rows else ():
        is_text = isinstance(rows[0][name], str)
        table.add_column(name.replace("_", " "), justify="left" if is_text else "right")
    for row in rows:
        table.add_row(*(escape(_cell(value)) for value in row.values()))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_warnings(warnings: Sequence[str]) -> None:
    """Print what to look at, on standard error."""
    for words in warnings:
        click.echo(f"  {words}", err=True)


def write_report(
    place: Path,
    question: str,
    answers: Sequence[Mapping[str, Any]],
    pictures: Sequence[Mapping[str, bytes]],
    parameters: Mapping[str, Any],
    *,
    file: str,
    is_json: bool,
) -> None:
    """Write the page of a case, and its facts beside it, and say where.

    Parameters
    ----------
    file
        The shipped reference that likelihood ratios are of.
    """
    from camid.cases.case_report import case_facts, case_page
    from camid.cases.reference import shipped_reference

    told = shipped_reference(file)
    facts = case_facts(
        question,
        answers,
        command=shlex.join(["camid", *sys.argv[1:]]),
        parameters=parameters,
        reference=f"{told.num_devices} devices: {told.made_of}; {told.num_positives:,} comparisons "
        f"of one device and {told.num_negatives:,} of two",
    )
    place.write_text(case_page(facts, pictures), "utf-8")
    place.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    click.echo(f"report: {place} and {place.with_suffix('.json')}", err=is_json)
