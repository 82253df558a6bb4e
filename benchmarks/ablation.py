"""What each step of the classical stack is worth: ``python -m benchmarks.ablation [PHOTOGRAPHS]``.

PHOTOGRAPHS is a folder that camid reads; if none is named, phones are simulated and only a few
methods and conditions taken. The product's own evaluation judges methods where half of a device's
images are compared with one, 4+4 and 1+1 images, each at crops of several sizes. Results are
printed, a table a condition, and appended to ablation.csv in the working folder.
"""

import csv
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import click
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from camid.cli.errors import one_sentence
from camid.cli.pipeline import print_lines
from camid.comparison.methods import METHODS, chosen_methods
from camid.config import load_config
from camid.io.folder import Folder, absolute
from camid.io.output_layout import DIFFERENCES
from camid.runtime.cluster.session import session
from camid.runtime.ingest.ensure_store import make_store
from camid.runtime.ingest.simulate import simulate
from camid.runtime.pipelines.workflow import make_evaluation

Row = dict[str, Any]

CROPS = {
    "whole": (0, 1),
    "1x128": (128, 1),
    "40x128": (128, 40),
    "1x256": (256, 1),
    "1x512": (512, 1),
}
"""Pixels a side of the crops, 0 for whole strips; and their number."""
LISTS = {
    "half+1": ["evaluate.comparisons=gallery-crops"],
    "4+4": ["comparisons.num_images=[4,4]"],
    "1+1": ["comparisons.num_images=[1,1]"],
}
ALWAYS = ["comparisons.same_model=0.5"]
CONDITIONS = [f"{images}-{crops}" for images in LISTS for crops in CROPS]
CONDITIONS.remove("half+1-40x128")
SIMULATED = ["num_background=4", "num_foreground=16", "pattern_strength=0.007"]
"""Phones that differ from the demo's: with few backgrounds, half of all images enrols a device."""
QUICK_CONDITIONS = ["4+4-1x128", "4+4-whole", "1+1-1x512"]
QUICK_METHODS = ["lukas", "unblocked", "weighted", "classical"]
"""What is taken of simulated phones where nothing else is asked for."""
BASELINE = "lukas"
CSV = "ablation.csv"
COLUMNS = (
    *("condition", "seed", "method", "images", "crop_size", "num_crops", "negatives", "split"),
    *("num_devices", "num_positives", "num_negatives", "eer", "eer_low", "eer_high", "auc"),
    *("auc_low", "auc_high", "difference_value", "difference_low", "difference_high"),
    "difference_verdict",
)
"""Of ``ablation.csv``; the difference is the EER's to the baseline's."""


def strip_size(condition: str) -> int:
    """Return the pixels a side of the strips that hold a condition's crops."""
    return max(256, CROPS[condition.split("-")[1]][0])


def settings(condition: str) -> list[str]:
    """Return how a condition's comparison list is made, as settings of the configuration."""
    images, crops = condition.split("-")
    size, number = CROPS[crops]
    listed = [f"comparisons.crop_size={size}", f"comparisons.num_crops=[{number}]", *LISTS[images]]
    if condition == "half+1-whole":
        listed.append("evaluate.comparisons=gallery")
    return [*ALWAYS, *listed]


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """What is evaluated, in which working folder."""

    work: Folder
    data: str
    methods: Sequence[str]
    seeds: Sequence[int]
    split: str
    num_pairs: int
    fresh: bool

    def run(self, conditions: Sequence[str]) -> None:
        """Make the stores that the conditions need; evaluate and print one after the other."""
        for size in sorted(set(map(strip_size, conditions))):
            chosen = [name for name in conditions if strip_size(name) == size]
            try:
                store = self._store(size)
            except ValueError as error:
                print_lines([f"{', '.join(chosen)}: left out: {error}"])
                continue
            for condition in chosen:
                try:
                    self._print(condition, [self._rows(condition, store, s) for s in self.seeds])
                except ValueError as error:
                    print_lines([f"{condition}: left out: {error}"])

    def _store(self, size: int) -> str:
        """Return the address of the photographs' store of strips of one size, made if needed."""
        config = load_config(settings=[f"strips.size={size}"])
        uri = (self.work / f"strips-{size}").uri
        paths = replace(config.paths, data=self.data, store=uri)
        print_lines(make_store(replace(config, paths=paths)).lines(uri))
        return uri

    def _rows(self, condition: str, store: str, seed: int) -> list[Row]:
        """Return the rows of one seed's list, evaluated unless they are there, and append them."""
        methods = f"evaluate.methods={json.dumps(self.methods)}"
        number = f"comparisons.num_pairs={self.num_pairs}"
        stated = [f"seed={seed}", f"split={json.dumps(self.split)}", methods, number]
        config = load_config(settings=[*settings(condition), *stated])
        digest = hashlib.sha256("\n".join(stated).encode()).hexdigest()[:8]
        out = self.work / f"evaluations/{condition}-seed-{seed}-{digest}"
        paths = replace(config.paths, store=store, out=out.uri)
        output, judged = make_evaluation(replace(config, paths=paths), fresh=self.fresh)
        differences = {
            (found["method"], found["negatives"]): {
                f"difference_{key}": found[key] for key in ("value", "low", "high", "verdict")
            }
            for found in json.loads(output.folder.read(DIFFERENCES))
            if found["figure"] == "eer"
        }
        rows = [
            {"condition": condition, "seed": seed}
            | row.flat()
            | differences.get((row.method, row.negatives), {})
            for row in judged
        ]
        self._append(rows)
        return rows

    def _append(self, rows: Sequence[Row]) -> None:
        """Append rows to the table in the working folder, those that are not there yet."""
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        old = self.work.read(CSV).decode() if self.work.exists(CSV) else ""
        lines = dict.fromkeys([*old.splitlines(), *text.getvalue().splitlines()])
        self.work.write(CSV, "".join(f"{line}\n" for line in lines).encode())

    def _print(self, condition: str, seeds: Sequence[Sequence[Row]]) -> None:
        """Print a condition's table of the rows of each seed."""
        first = seeds[0][0]
        title = (
            f"{condition}: {first['images']} images, {first['num_devices']} devices, "
            f"{first['num_positives']} + {first['num_negatives']} comparisons"
        )
        caption = f"intervals and differences of seed {self.seeds[0]}, other figures are means"
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.caption = caption if len(seeds) > 1 else None
        against = f"EER − {self.methods[0]}'s"
        for heading in ("method", "EER", "95 %", "AUC", "same model", against, ""):
            table.add_column(heading, no_wrap=heading != "EER")
        for method in dict.fromkeys([*self.methods, *(row["method"] for row in seeds[0])]):
            rows = [row for found in seeds for row in found if row["method"] == method]
            if rows:
                table.add_row(method, *_cells(rows))
            else:
                print_lines([f"{condition}: no scores of {method}"])
        Console(width=110).print(table)


def _cells(rows: Sequence[Row]) -> list[str]:
    """Return a method's cells: means over the seeds, interval and difference of the first."""
    every = [row for row in rows if row["negatives"] == "all"]
    hard = [row["eer"] for row in rows if row["negatives"] == "same-model"]
    rates = [f"{row['eer']:.3f}" for row in every]
    first = every[0]
    difference = "{difference_value:+.3f} ({difference_low:+.3f} to {difference_high:+.3f})"
    return [
        f"{np.mean([row['eer'] for row in every]):.3f}"
        + (f" ({' '.join(rates)})" if len(rates) > 1 else ""),
        f"{first['eer_low']:.3f}–{first['eer_high']:.3f}",
        f"{np.mean([row['auc'] for row in every]):.3f}",
        f"{np.mean(hard):.3f}" if hard else "",
        difference.format(**first) if "difference_value" in first else "",
        first.get("difference_verdict", ""),
    ]


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


@click.command(help=__doc__)
@click.argument("photographs", required=False)
@click.option("--work", help="Working folder, kept, so that a later run goes on in it.")
@click.option(
    "--conditions",
    default="",
    help=f"Of {', '.join(CONDITIONS)}; else all.",
)
@click.option("--methods", default="", help=f"Of {', '.join(METHODS)}; else all.")
@click.option("--seeds", default="1", help="Of the lists, such as 1,2,3.")
@click.option("--split", default="all", help="Name or YAML file of a split of devices.")
@click.option(
    "--baseline",
    default=BASELINE,
    help="Taken too; the first of all, in the README's order, is what others are held against.",
)
@click.option("--pairs", "num_pairs", default=1000, help="Comparisons of a list.")
@click.option("--fresh", is_flag=True, help="Evaluate anew instead of going on.")
def main(
    photographs: str | None,
    *,
    work: str | None,
    conditions: str,
    methods: str,
    seeds: str,
    split: str,
    baseline: str,
    num_pairs: int,
    fresh: bool,
) -> None:
    with one_sentence(), ExitStack() as stack:
        chosen = _names(conditions) or (CONDITIONS if photographs else QUICK_CONDITIONS)
        if unknown := [name for name in chosen if name not in CONDITIONS]:
            raise ValueError(f"no condition {unknown[0]!r}; there are {', '.join(CONDITIONS)}")
        named = _names(methods) or ([*METHODS] if photographs else QUICK_METHODS)
        folder = absolute(work or stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["CAMID_HOME"] = folder
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        ablation = Ablation(
            work=Folder(folder),
            data=absolute(photographs or f"{folder}/photographs"),
            methods=list(chosen_methods([baseline, *named])),
            seeds=[load_config(settings=[f"seed={seed}"]).seed for seed in _names(seeds)],
            split=absolute(split) if split.endswith((".yaml", ".yml")) else split,
            num_pairs=num_pairs,
            fresh=fresh,
        )
        stack.enter_context(session())
        if not photographs:
            config = load_config(settings=[f"simulate.{setting}" for setting in SIMULATED])
            simulate(Folder(ablation.data), config.simulate, seed=config.seed)
        ablation.run(chosen)


if __name__ == "__main__":
    main()
