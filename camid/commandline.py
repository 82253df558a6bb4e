"""What every pipeline's command line shares: options, one-sentence errors, printed results."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Protocol

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from camid.config import Config, load_config
from camid.folder import Folder
from camid.report import AGAINST, REPORT
from camid.runtime.session import placed
from camid.runtime.stages import stage_line, stage_seconds

USER_ERROR = 2
INTERRUPTED = 130

BASELINES = {
    "method": "method",
    "images": "images",
    "negatives": "negatives",
    "eer": "EER",
    "auc": "AUC",
    "rank1": "rank-1",
    "single_threshold_eer": "EER*",
    "single_threshold_auc": "AUC*",
}
"""Columns of a printed table of baselines, and their titles."""
EVALUATION = {
    "method": "method",
    "num_crops": "crops",
    "negatives": "negatives",
    "eer": "EER (95 %)",
    "auc": "AUC",
    "cllr": "Cllr",
    "rank1": "rank-1",
    "single_threshold_eer": "EER*",
    "study_crossing": "study\nEER",
    "study_eer": "study\nsays",
}
"""Columns of a printed table of an evaluation; with names of ten letters it is 80 wide."""
INTERVALS = ("eer",)
WORDS = ("method", "negatives")

CONVENTION = "* by one threshold, as the study's Table 1 (50+1 images) has it: EER* + AUC* = 1"

console = Console()


class Work(Protocol):
    """A pipeline: what it does with its resolved configuration."""

    __doc__: str | None

    def __call__(self, config: Config, *, fresh: bool) -> None:
        """Do the work and print its results."""


def pipeline(name: str, *defaults: str) -> Callable[[Work], click.Command]:
    """Make a pipeline's command of a function of the resolved configuration and ``fresh``.

    ``defaults`` are ``section.field=value`` where the pipeline's own differ from all others'.

    Mistakes of the user and of their data end with one sentence and exit code 2.
    """

    def command(run: Work) -> click.Command:
        @click.command(name, help=run.__doc__, context_settings={"show_default": True})
        @click.argument("file", required=False)
        @click.option("--data", help="Folder of photographs, or a table of them; path or address.")
        @click.option("--store", help="Strip store; path or address.")
        @click.option("--out", help="Folder for results; path or address.")
        @click.option("--config", "named", help="YAML file of differences; the same as FILE.")
        @click.option("--split", help="Name or YAML file of a split of devices, or 'all'.")
        @click.option("--fresh", is_flag=True, help="Start anew instead of going on.")
        @click.option("--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE")
        @wraps(run)
        def main(
            file: str | None,
            named: str | None,
            settings: tuple[str, ...],
            fresh: bool,
            **options: str | None,
        ) -> None:
            with one_sentence():
                if file and named:
                    raise ValueError(f"two configurations named: {file} and {named}")
                paths = ("data", "store", "out")
                stated = [
                    f"{f'paths.{key}' if key in paths else key}={json.dumps(value)}"
                    for key, value in options.items()
                    if value is not None
                ]
                given = [*settings, *stated]
                config = load_config(file or named, settings=given, defaults=defaults)
                run(placed(config, pipeline=name), fresh=fresh)

        return main

    return command


@contextmanager
def one_sentence() -> Iterator[None]:
    """End the program with one sentence where a user's mistake or a full disk ends the work."""
    try:
        yield
    except (ValueError, OSError) as error:
        click.echo(f"camid: {' '.join(str(error).split())}", err=True)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        click.echo("camid: stopped; the same command goes on where it was", err=True)
        sys.exit(INTERRUPTED)


def print_results(
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str,
    folder: str,
    columns: Mapping[str, str] = BASELINES,
) -> None:
    """Print result rows as a table, times, and where everything lies."""
    print_table(rows, title=title, columns=columns)
    output = Folder(folder)
    if seconds := stage_seconds(output):
        print_lines([stage_line(seconds)])
    print_lines([f"Figures and scores: {folder}    Compare runs: make ui"])
    if output.exists(REPORT):
        print_lines([f"Report: {output.address(REPORT)}"])


def print_table(
    rows: Sequence[Mapping[str, Any]], *, title: str, columns: Mapping[str, str] = BASELINES
) -> None:
    """Print result rows as a table, figures to four places, or to three with intervals."""
    table = Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    shown = {key: heading for key, heading in columns.items() if any(key in row for row in rows)}
    if {row.get("num_crops") for row in rows} == {"all"}:
        del shown["num_crops"]
    for key, heading in shown.items():
        justify: JustifyMethod = "left" if key in WORDS else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(row, key) for key in shown))
    console.print(table)
    if "single_threshold_eer" in shown:
        print_lines([CONVENTION])


def _cell(row: Mapping[str, Any], key: str) -> str:
    """Return a figure to four places, or to three where there are intervals to show."""
    value = row.get(key, "")
    if key == "negatives":
        return str(AGAINST.get(value, value))
    if not isinstance(value, float):
        return f"{value}"
    if "eer_low" not in row:
        return f"{value:.4f}"
    if key in INTERVALS:
        return f"{value:.3f} ({row[f'{key}_low']:.2f}–{row[f'{key}_high']:.2f})"
    return f"{value:.3f}"


def print_lines(lines: Sequence[str]) -> None:
    """Print lines that may hold any path."""
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, a line each."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(name, escape(str(value)))
    console.print(table)
