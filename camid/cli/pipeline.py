"""Command line of the pipelines: options, one-sentence errors, printed results."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Protocol

import click
from rich.console import Console

from camid.cli.errors import one_sentence
from camid.cli.tables import Heading, print_table
from camid.config import Config, load_config
from camid.evaluation.bootstrap import FEWEST
from camid.evaluation.columns import COLUMNS, against
from camid.evaluation.result_rows import DifferenceRow, ResultRow
from camid.evaluation.search_summary import read_search
from camid.io.counts import counted, tally
from camid.io.escaping import visible
from camid.io.folder import Folder
from camid.io.output_layout import CONFIG, REPORT, TRIALS_PICTURE, TRIALS_TABLE, WINNER
from camid.runtime.cluster.session import placed
from camid.runtime.run_folder.stage_times import stage_line, stage_seconds
from camid.training.search_space import told_value
from camid.training.trials import figure_words, read_trials

SHOWN_FIELDS = 4
"""Fields of a search that its table has room for: those that mattered most."""

FEW = f"no interval: of fewer than {FEWEST} devices, which do not tell how others would fare"
UNDECIDED = "undecided: the interval holds 0, or there are too few devices for one"
CONVENTION = "* by one threshold, as the study's Table 1 (50+1 images) has it: EER* + AUC* = 1"

console = Console()


class Work(Protocol):
    """A pipeline's work on its resolved configuration."""

    __doc__: str | None

    def __call__(self, config: Config, *, fresh: bool) -> None:
        """Do the work and print its results."""


def pipeline(name: str, *defaults: str, file: str | None = None) -> Callable[[Work], click.Command]:
    """Make a pipeline's command from a function of the resolved configuration and ``fresh``.

    Mistakes of the user and of their data end with one sentence and exit code 2.

    Parameters
    ----------
    defaults
        ``section.field=value`` where the pipeline's defaults differ from all others'.
    file
        The configuration file if the user names none.
    """
    default_file = file

    def command(run: Work) -> click.Command:
        @click.command(name, help=run.__doc__, context_settings={"show_default": True})
        @click.argument("file", required=False)
        @click.option("--data", help="Folder of photographs, or a table of them; path or address.")
        @click.option("--store", help="Strip store; path or address.")
        @click.option("--out", help="Folder for results; path or address.")
        @click.option("--config", "named", help="YAML file of differences; the same as FILE.")
        @click.option("--split", help="Name or YAML file of a split of devices, or 'all'.")
        @click.option("--fresh", is_flag=True, help="Start anew instead of going on.")
        @click.option("--resume", is_flag=True, help="Go on with what --out holds, as it was told.")
        @click.option("--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE")
        @wraps(run)
        def main(
            file: str | None,
            named: str | None,
            settings: tuple[str, ...],
            fresh: bool,
            resume: bool,
            **options: str | None,
        ) -> None:
            with one_sentence():
                if file and named:
                    raise ValueError(f"two configurations named: {file} and {named}")
                config_file = file or named or default_file
                if resume:
                    if file or named or fresh:
                        raise ValueError("--resume takes the configuration from --out alone")
                    config_file = _resumed(options["out"], pipeline=name)
                paths = ("data", "store", "out")
                option_settings = [
                    f"{f'paths.{key}' if key in paths else key}={json.dumps(value)}"
                    for key, value in options.items()
                    if value is not None
                ]
                overrides = [*settings, *option_settings]
                config = load_config(config_file, settings=overrides, defaults=defaults)
                run(placed(config, pipeline=name), fresh=fresh)

        return main

    return command


def _resumed(out: str | None, *, pipeline: str) -> str:
    """Return the address of the configuration in an output folder."""
    config = load_config(settings=[f"paths.out={json.dumps(out or '')}"])
    folder = Folder(placed(config, pipeline=pipeline).paths.out)
    if not folder.exists(CONFIG):
        raise ValueError(f"{folder.uri}: nothing to go on with; start without --resume")
    return folder.address(CONFIG)


def print_results(
    rows: Sequence[ResultRow], columns: Sequence[str], *, title: str, folder: str
) -> None:
    """Print result rows as a table, times, and the addresses of all output."""
    print_rows(rows, columns, title=title)
    output = Folder(folder)
    if seconds := stage_seconds(output):
        print_lines([stage_line(seconds)])
    print_lines([f"Figures and scores: {folder}    Compare runs: make ui"])
    if output.exists(REPORT):
        print_lines([f"Report: {output.address(REPORT)}"])


def print_rows(rows: Sequence[ResultRow], columns: Sequence[str], *, title: str) -> None:
    """Print columns of result rows, figures to four places, or to three with intervals.

    The first figure's intervals are printed. Columns that no row has are left out.
    """
    flat = [row.flat() for row in rows]
    with_interval = next(name for name in columns if COLUMNS[name].is_metric)
    shown = [name for name in columns if any(row.get(name) is not None for row in flat)]
    headings = [Heading("method")]
    for name in shown:
        words = COLUMNS[name].heading or COLUMNS[name].title
        interval = " (95 %)" if name == with_interval else ""
        headings.append(Heading(f"{words}{interval}", is_number=name != "negatives"))
    cells = [
        (row["method"], *(_cell(row, name, is_interval=name == with_interval) for name in shown))
        for row in flat
    ]
    print_table(headings, cells, title=title, gap=0)
    if "single_threshold_eer" in shown:
        print_lines([CONVENTION])
    if any("eer" in row and "eer_low" not in row and row.get("num_devices") for row in flat):
        print_lines([FEW])


def print_search(output: Folder, *, again: str, figure: str) -> None:
    """Print a search's trials, the best first, the time saved, and the fields that mattered.

    Parameters
    ----------
    again
        The pipeline that trains the winner again.
    figure
        The validation figure that trials are compared by.
    """
    search = read_search(output)
    importances: dict[str, float] = search["importances"]
    trials = sorted(read_trials(output), key=lambda trial: -trial.best(figure).get(figure, 0.0))
    shown = list(importances)[:SHOWN_FIELDS]
    best = f"best {figure_words(figure)}"
    names = ("trial", "", "steps", best, *(field.rpartition(".")[2] for field in shown))
    headings = [
        Heading(name, is_number=name in {"steps", best}, folds=True, min_width=len(name))
        for name in names
    ]
    cells = []
    for trial in trials:
        row = trial.best(figure)
        score = f"{row[figure]:.3f}" if row else ""
        values = [told_value(trial.values[field]) for field in shown]
        cells.append((trial.number, trial.state, trial.step, score, *values))
    print_table(headings, cells, title="Trials")
    minutes, saved = search["seconds"] / 60, search["seconds_saved"] / 60
    ends = tally({"stopped early": search["stopped"], "failed": search["failed"]}, "")
    counts = counted(search["trials"], "trial"), ends
    shares = ", ".join(f"{field} {share:.0%}" for field, share in importances.items())
    print_lines(
        [
            *(f"trial {trial.number} failed: {trial.reason}" for trial in trials if trial.reason),
            f"{', '.join(filter(None, counts))}: "
            f"{search['steps']:,} of {search['steps_of_all']:,} steps, "
            f"{minutes:.0f} minutes of training instead of about {minutes + saved:.0f}",
            f"What mattered (a forest's fit to {counted(len(trials), 'trial')}): {shares}",
            f"All they drew: {output.address(TRIALS_TABLE)}    {output.address(TRIALS_PICTURE)}",
            f"The winner again: python pipelines/{again}.py {output.address(WINNER)}",
        ]
    )


def _interval(row: DifferenceRow) -> str:
    if row.low is None or row.high is None:
        return "too few devices"
    return f"{row.low:+.2f} … {row.high:+.2f}"


def print_differences(rows: Sequence[DifferenceRow], *, folder: Folder) -> None:
    """Print methods' differences with intervals and verdicts, and the report's address."""
    names = ("method", "than", "negatives", "", "difference (95 %)", "verdict")
    headings = [Heading(name, is_number=name.startswith("difference")) for name in names]
    cells = [
        (
            row.method,
            row.baseline,
            against(row.negatives),
            row.figure.upper(),
            f"{row.value:+.3f} ({_interval(row)})",
            row.verdict,
        )
        for row in rows
        if row.figure in {"eer", "auc"} and row.negatives in {"all", "same-model"}
    ]
    print_table(headings, cells, title="Differences, paired by devices")
    print_lines(
        [UNDECIDED, f"Report: {folder.address(REPORT)}"],
    )


def _cell(row: Mapping[str, Any], name: str, *, is_interval: bool) -> str:
    """Return a figure to four places, or to three where there are intervals to show."""
    value = row.get(name, "")
    if name in {"num_crops", "negatives"}:
        return COLUMNS[name].form(value)
    if not isinstance(value, float):
        return f"{value}"
    if "eer_low" not in row:
        return f"{value:.4f}"
    if is_interval and f"{name}_low" in row:
        return f"{value:.3f} ({row[f'{name}_low']:.2f}–{row[f'{name}_high']:.2f})"
    return f"{value:.3f}"


def print_lines(lines: Sequence[str]) -> None:
    """Print lines that may hold any path."""
    for line in lines:
        console.print(visible(line), soft_wrap=True, markup=False, highlight=False)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, one pair per line."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(name, escape(visible(str(value))))
    console.print(table)
