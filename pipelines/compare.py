"""Runs → is one method better than another?: ``python pipelines/compare.py RUN RUN``."""

import json

import click

from camid.cli.errors import one_sentence
from camid.cli.pipeline import print_differences
from camid.config import load_config
from camid.runtime.cluster.session import placed
from camid.runtime.pipelines.compare import make_comparison


@click.command("compare")
@click.argument("runs", nargs=-1)
@click.option(
    "--than",
    default="",
    help="Method of the first run that all are compared with; by default its first.",
)
@click.option("--out", default="", help="Folder for results; path or address.")
@click.option("--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE")
def main(runs: tuple[str, ...], than: str, out: str, settings: tuple[str, ...]) -> None:
    """Compare the methods of RUNS, output folders or ids of MLflow's runs, on what they share."""
    with one_sentence():
        config = load_config(settings=[*settings, f"paths.out={json.dumps(out)}"])
        output, rows = make_comparison(placed(config, pipeline="compare"), runs, than=than)
        print_differences(rows, folder=output.folder)


if __name__ == "__main__":
    main()
