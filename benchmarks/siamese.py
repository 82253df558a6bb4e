"""The study's open questions, a training each: ``python -m benchmarks.siamese [PHOTOGRAPHS]``.

PHOTOGRAPHS is a folder or table that camid reads; if none is named, phones are simulated and only
the first rows trained. Each row differs in one thing from the first: the extractor, what the store
was filtered with, negatives, images a side. Its network is judged on devices that no row trains or
validates on, beside plain and better correlation at the same crops; then with 1+1 to 8+8 images.
Results are printed, a table a row, and kept in the working folder.
"""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import click

from camid.cli.errors import one_sentence
from camid.cli.pipeline import print_lines, print_rows
from camid.config import Config, load_config
from camid.evaluation.columns import LIST_TABLE
from camid.io.folder import Folder, absolute
from camid.io.output_layout import SIAMESE
from camid.runtime.cluster.session import session
from camid.runtime.ingest.ensure_store import make_store
from camid.runtime.ingest.simulate import simulate
from camid.runtime.pipelines.workflow import make_evaluation, make_siamese

ROWS = {
    "small": [],
    "report": ["siamese.extractor=report", "training.learning_rate=0.001"],
    "report-code": [
        *("siamese.extractor=report-code", "siamese.dropout=0.3"),
        "training.learning_rate=0.001",
    ],
    "residual": ["siamese.extractor=residual"],
    "same-model": ["pairs.same_model=0.5"],
    "any-position": ["pairs.negatives=any-position"],
    "one-pair-a-read": ["pairs.per_row_group=1"],
    "slower": ["training.learning_rate=0.001"],
    "any-number": ["pairs.num_images=[[1,8],[1,8]]"],
    "one-image": ["pairs.num_images=[1,1]"],
    "report2021": ["residual.filter=report2021"],
    "pixels": ["residual.filter=none"],
}
QUICK = ("small", "any-number")
"""What is trained on simulated phones where nothing else is asked for."""
TESTED = ("small", "any-number", "one-image")
"""Rows whose networks are judged with other numbers of images."""
NUMBERS = (1, 2, 4, 8)
ALWAYS = [
    *("training.batch_size=32", "training.micro_batches=4", "training.warmup_steps=50"),
    *("training.validate_every=50", "training.learning_rate=0.01"),
]


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is trained and judged, in which working folder."""

    work: Folder
    data: str
    split: str
    given: Sequence[str]
    """Settings of every row."""

    def run(self, rows: Sequence[str]) -> None:
        """Train and judge one row after the other."""
        for row in rows:
            config = self._config(*ROWS[row])
            output, found = make_siamese(self._placed(config, row))
            print_rows(found, LIST_TABLE, title=f"{row}: {' '.join(ROWS[row])}")
            if row in TESTED:
                self._numbers(row, output.folder.address(SIAMESE))

    def _numbers(self, row: str, network: str) -> None:
        """Judge a network with several numbers of images a side."""
        for count in NUMBERS:
            sides = f"comparisons.num_images=[{count},{count}]"
            config = self._config(*ROWS[row], sides, f"evaluate.networks=[{network}]")
            _, found = make_evaluation(self._placed(config, f"{row}-{count}+{count}"))
            every = [judged for judged in found if judged.negatives == "all"]
            print_rows(every, LIST_TABLE, title=f"{row}, {count}+{count} images")

    def _config(self, *settings: str) -> Config:
        config = load_config(settings=[f"split={self.split}", *ALWAYS, *self.given, *settings])
        if config.residual.filter == "none":
            config = replace(config, evaluate=replace(config.evaluate, methods=()))
        store = (self.work / f"store-{config.residual.filter}").uri
        config = replace(config, paths=replace(config.paths, data=self.data, store=store))
        if not Folder(store).exists("store.json"):
            print_lines(make_store(config).lines(store))
        return config

    def _placed(self, config: Config, name: str) -> Config:
        paths = replace(config.paths, data="", out=(self.work / f"rows/{name}").uri)
        return replace(config, paths=paths)


@click.command(help=__doc__)
@click.argument("photographs", required=False)
@click.option("--work", help="Working folder, kept, so that a later run goes on in it.")
@click.option("--rows", default="", help=f"Of {', '.join(ROWS)}; else all.")
@click.option("--split", default="seeded", help="Name or YAML file of a split of devices.")
@click.option("--set", "given", multiple=True, metavar="SECTION.FIELD=VALUE")
def main(
    photographs: str | None, *, work: str | None, rows: str, split: str, given: tuple[str, ...]
) -> None:
    with one_sentence(), ExitStack() as stack:
        chosen = [row for row in rows.split(",") if row] or list(ROWS if photographs else QUICK)
        if unknown := [row for row in chosen if row not in ROWS]:
            raise ValueError(f"no row {unknown[0]!r}; there are {', '.join(ROWS)}")
        folder = absolute(work or stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["CAMID_HOME"] = folder
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        questions = Questions(
            work=Folder(folder),
            data=absolute(photographs or f"{folder}/photographs"),
            split=absolute(split) if split.endswith((".yaml", ".yml")) else split,
            given=given,
        )
        stack.enter_context(session())
        if not photographs:
            config = load_config(settings=["simulate.pattern_strength=0.007"])
            simulate(Folder(questions.data), config.simulate, seed=config.seed)
        questions.run(chosen)


if __name__ == "__main__":
    main()
