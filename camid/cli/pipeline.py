"""Command line of the pipelines: options, one-sentence errors, printed results."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Protocol

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from camid.cli.errors import one_sentence
from camid.config import Config, load_config
from camid.evaluation.report.page import AGAINST
from camid.io.folder import Folder
from camid.io.output_layout import CONFIG, REPORT, SEARCH, TRIALS_PICTURE, TRIALS_TABLE, WINNER
from camid.runtime.cluster.session import placed
from camid.runtime.run_folder.stage_times import stage_line, stage_seconds
from camid.training.search_space import told_value
from camid.training.trials import figure_words, read_trials

BASELINES = {
    "method": "method",
    "images": "images",
    "negatives": "negatives",
    "eer": "EER (95 %)",
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
CLOSED_SET = {
    "method": "method",
    "rank1": "rank-1 (95 %)",
    "model_accuracy": "model",
    "top5": "top-5",
    "vote_accuracy": "by vote",
    "patch_accuracy": "patches",
    "eer": "EER",
    "unknown_accepted": "unknown\naccepted",
}
"""Columns of a printed table of a classifier and what it is compared with."""
INTERVAL = "95 %"
"""Part of a column's title that makes it show intervals."""
WORDS = ("method", "negatives")
SHOWN_FIELDS = 4
"""Of a search, that its table has room for: those that mattered most."""

CONVENTION = "* by one threshold, as the study's Table 1 (50+1 images) has it: EER* + AUC* = 1"

console = Console()


class Work(Protocol):
    """A pipeline: what it does with its resolved configuration."""

    __doc__: str | None

    def __call__(self, config: Config, *, fresh: bool) -> None:
        """Do the work and print its results."""


def pipeline(name: str, *defaults: str, file: str | None = None) -> Callable[[Work], click.Command]:
    """Make a pipeline's command of a function of the resolved configuration and ``fresh``.

    Mistakes of the user and of their data end with one sentence and exit code 2.

    Parameters
    ----------
    defaults
        ``section.field=value`` where the pipeline's own differ from all others'.
    file
        The configuration where none is named.
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
                chosen = file or named or default_file
                if resume:
                    if file or named or fresh:
                        raise ValueError("--resume takes the configuration from --out alone")
                    chosen = _resumed(options["out"], pipeline=name)
                paths = ("data", "store", "out")
                stated = [
                    f"{f'paths.{key}' if key in paths else key}={json.dumps(value)}"
                    for key, value in options.items()
                    if value is not None
                ]
                given = [*settings, *stated]
                config = load_config(chosen, settings=given, defaults=defaults)
                run(placed(config, pipeline=name), fresh=fresh)

        return main

    return command


def _resumed(out: str | None, *, pipeline: str) -> str:
    """Return the address of the configuration that an output folder belongs to."""
    config = load_config(settings=[f"paths.out={json.dumps(out or '')}"])
    folder = Folder(placed(config, pipeline=pipeline).paths.out)
    if not folder.exists(CONFIG):
        raise ValueError(f"{folder.uri}: nothing to go on with; start without --resume")
    return folder.address(CONFIG)


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
        shown.pop("num_crops", None)
    for key, heading in shown.items():
        justify: JustifyMethod = "left" if key in WORDS else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(row, key, heading) for key, heading in shown.items()))
    console.print(table)
    if "single_threshold_eer" in shown:
        print_lines([CONVENTION])


def print_search(output: Folder, *, again: str, figure: str) -> None:
    """Print a search's trials, the best first, what stopping them saved, and what mattered.

    Parameters
    ----------
    again
        The pipeline that trains the winner once more.
    figure
        Of a validation, by which trials are compared.
    """
    told = json.loads(output.read(SEARCH))
    mattered: dict[str, float] = told["importances"]
    trials = sorted(read_trials(output), key=lambda trial: -trial.best(figure).get(figure, 0.0))
    shown = list(mattered)[:SHOWN_FIELDS]
    table = Table(
        title="Trials", title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    best = f"best {figure_words(figure)}"
    for heading in ("trial", "", "steps", best, *(field.rpartition(".")[2] for field in shown)):
        justify: JustifyMethod = "right" if heading in {"steps", best} else "left"
        table.add_column(heading, justify=justify, min_width=len(heading))
    for trial in trials:
        row = trial.best(figure)
        cells = (trial.number, trial.state, trial.step, f"{row[figure]:.3f}" if row else "")
        table.add_row(*map(str, cells), *(escape(told_value(trial.values[f])) for f in shown))
    console.print(table)
    minutes, saved = told["seconds"] / 60, told["seconds_saved"] / 60
    shares = ", ".join(f"{field} {share:.0%}" for field, share in mattered.items())
    print_lines(
        [
            *(f"trial {trial.number} failed: {trial.reason}" for trial in trials if trial.reason),
            f"{told['trials']} trials, {told['stopped']} stopped early, {told['failed']} failed: "
            f"{told['steps']:,} of {told['steps_of_all']:,} steps, "
            f"{minutes:.0f} minutes of training instead of about {minutes + saved:.0f}",
            f"What mattered (a forest's fit to {len(trials)} trials): {shares}",
            f"All they drew: {output.address(TRIALS_TABLE)}    {output.address(TRIALS_PICTURE)}",
            f"The winner again: python pipelines/{again}.py {output.address(WINNER)}",
        ]
    )


def print_differences(rows: Sequence[Mapping[str, Any]], *, folder: Folder) -> None:
    """Print differences of methods with their intervals and verdicts, and where all lies."""
    table = Table(
        title="Differences, paired by devices",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in ("method", "than", "negatives", "", "difference (95 %)", "verdict"):
        is_number = heading.startswith("difference")
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        if row["figure"] in {"eer", "auc"} and row["negatives"] in {"all", "same-model"}:
            table.add_row(
                escape(row["method"]),
                escape(row["baseline"]),
                AGAINST.get(row["negatives"], row["negatives"]),
                row["figure"].upper(),
                f"{row['value']:+.3f} ({row['low']:+.2f} … {row['high']:+.2f})",
                row["verdict"],
            )
    console.print(table)
    print_lines(
        ["undecided: the interval holds 0", f"Report: {folder.address(REPORT)}"],
    )


def _cell(row: Mapping[str, Any], key: str, heading: str) -> str:
    """Return a figure to four places, or to three where there are intervals to show."""
    value = row.get(key, "")
    if key == "negatives":
        return str(AGAINST.get(value, value))
    if not isinstance(value, float):
        return f"{value}"
    if "eer_low" not in row:
        return f"{value:.4f}"
    if INTERVAL in heading and f"{key}_low" in row:
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
