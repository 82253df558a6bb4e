"""Questions on the classifier, a training each: ``python -m benchmarks.classifier [PHOTOGRAPHS]``.

PHOTOGRAPHS is a folder or table that camid reads; if none is named, phones are simulated and only
the first rows trained. All rows tell the same devices apart by the same images: from patches of
32 px or the whole piece of 640, of pixels or residuals, of pieces that are cut from the middle of
photographs or of photographs made as small. Beside each stands what correlation makes of the same
photographs. Results are printed, a table a row, and kept in the working folder.
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
from camid.evaluation.columns import CLASSIFIER_TABLE
from camid.io.folder import Folder, absolute
from camid.runtime.cluster.session import session
from camid.runtime.ingest.ensure_store import make_store
from camid.runtime.ingest.simulate import simulate
from camid.runtime.pipelines.workflow import make_cnn
from camid.store.store import is_finished

PIXELS, RESIDUALS = "residual.filter=none", "residual.filter=lukas"
RESIZED = "strips.prepare=resize"
WHOLE = ("patches.size=0", "training.batch_size=16", "patches.per_strip=1")
ROWS = {
    "ghosh2021": ["classifier.network=ghosh2021", PIXELS],
    "deep, residuals": ["classifier.network=deep", RESIDUALS],
    "ghosh2021, residuals": ["classifier.network=ghosh2021", RESIDUALS],
    "deep": ["classifier.network=deep", PIXELS],
    "freire2019": ["classifier.network=freire2019", PIXELS],
    "freire2019, residuals": ["classifier.network=freire2019", RESIDUALS],
    "ghosh2021, whole": ["classifier.network=ghosh2021", PIXELS, *WHOLE],
    "ghosh2021, whole, residuals": ["classifier.network=ghosh2021", RESIDUALS, *WHOLE],
    "ghosh2021, resized": ["classifier.network=ghosh2021", PIXELS, RESIZED],
    "ghosh2021, resized, residuals": ["classifier.network=ghosh2021", RESIDUALS, RESIZED],
    "deep, resized": ["classifier.network=deep", PIXELS, RESIZED],
    "deep, resized, residuals": ["classifier.network=deep", RESIDUALS, RESIZED],
    "ghosh2021, whole, resized": ["classifier.network=ghosh2021", PIXELS, RESIZED, *WHOLE],
}
QUICK = ("ghosh2021", "deep, residuals")
"""What is trained on simulated phones where nothing else is asked for."""
ALWAYS = [
    *("training.batch_size=256", "training.micro_batches=4", "training.warmup_steps=50"),
    *("training.num_steps=600", "training.validate_every=100", "comparisons.num_pairs=60"),
]
SIMULATED = ["simulate.sizes=[[768,768]]", "simulate.pattern_strength=0.007"]


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is trained and judged, in which working folder."""

    work: Folder
    data: str
    given: Sequence[str]
    """Settings of every row."""

    def run(self, rows: Sequence[str]) -> None:
        """Train and judge one row after the other."""
        for row in rows:
            _, found = make_cnn(self._config(row))
            asked = [r for r in found if (r.kind, r.negatives) == ("classifier", "all")]
            title = f"{row}: {' '.join(ROWS[row])}"
            print_rows(asked, (*CLASSIFIER_TABLE, "auc"), title=title)

    def _config(self, row: str) -> Config:
        geometry = ["strips.size=640", "strips.layout=centre"]
        config = load_config(settings=[*geometry, *ALWAYS, *ROWS[row], *self.given])
        kind = f"{config.residual.filter}-{config.strips.prepare}"
        store, residuals = (
            (self.work / f"store-{name}").uri for name in (kind, f"lukas-{config.strips.prepare}")
        )
        paths = replace(config.paths, data=self.data, store=store)
        if not is_finished(Folder(store)):
            print_lines(make_store(replace(config, paths=paths)).lines(store))
        out = (self.work / f"rows/{row.replace(', ', '-')}").uri
        paths = replace(paths, data="", residuals=residuals, out=out)
        return replace(config, paths=paths)


@click.command(help=__doc__)
@click.argument("photographs", required=False)
@click.option("--work", help="Working folder, kept, so that a later run goes on in it.")
@click.option("--rows", default="", help=f"Of {'; '.join(ROWS)}; else all.")
@click.option("--set", "given", multiple=True, metavar="SECTION.FIELD=VALUE")
def main(photographs: str | None, *, work: str | None, rows: str, given: tuple[str, ...]) -> None:
    with one_sentence(), ExitStack() as stack:
        chosen = [row.strip() for row in rows.split(";") if row.strip()]
        chosen = chosen or list(ROWS if photographs else QUICK)
        if unknown := [row for row in chosen if row not in ROWS]:
            raise ValueError(f"no row {unknown[0]!r}; there are {'; '.join(ROWS)}")
        folder = absolute(work or stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["CAMID_HOME"] = folder
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        questions = Questions(
            work=Folder(folder),
            data=absolute(photographs or f"{folder}/photographs"),
            given=given,
        )
        stack.enter_context(session())
        if not photographs:
            config = load_config(settings=SIMULATED)
            simulate(Folder(questions.data), config.simulate, seed=config.seed)
        questions.run(chosen)


if __name__ == "__main__":
    main()
