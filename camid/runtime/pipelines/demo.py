"""The demo: the whole path on simulated phones, in one folder."""

from dataclasses import replace

from camid.config import Config
from camid.evaluation.result_rows import ResultRow
from camid.io.folder import Folder
from camid.runtime.cluster.node_check import check_nodes
from camid.runtime.console import say
from camid.runtime.ingest.ensure_store import simulated, started
from camid.runtime.ingest.preprocess import preprocess
from camid.runtime.ingest.simulate import PATTERNS
from camid.runtime.pipelines.publish import close, keep_facts
from camid.runtime.pipelines.workflow import chosen_split, finished_before, make_cnn, make_siamese
from camid.runtime.run_folder.output import Output, claimed, output_lock
from camid.runtime.run_folder.stage_times import Clock
from camid.runtime.scoring.evaluate import BASELINES, run_evaluation
from camid.runtime.tracking.runs import begin
from camid.store.store import open_store

DEMO = "demo"
SIAMESE, CLASSIFIED = "siamese", "cnn"
"""The folders of the trained networks in the demo's own."""
SIMULATED = (
    *("photographs", "photographs.json", f"photographs{PATTERNS}", "store"),
    *(SIAMESE, CLASSIFIED),
)
"""Files and folders that the demo writes besides the baselines'."""


def make_demo(config: Config, *, fresh: bool = False) -> tuple[Output, list[ResultRow]]:
    """Simulate phones below ``config.paths.out``, preprocess them, run the baselines, train.

    Rows are the baselines', then those of the network of pairs and of the classifier, each with
    the methods that it is compared with.

    Raises
    ------
    ValueError
        If other photographs are named, or the output folder is another configuration's.
    """
    out = Folder(config.paths.out)
    photographs = out / "photographs"
    if config.paths.data not in ("", photographs.uri):
        raise ValueError("the demo simulates its photographs; `make baselines DATA=…` takes yours")
    paths = replace(config.paths, data=photographs.uri, store=(out / "store").uri)
    config = replace(config, paths=paths)
    with output_lock(config):
        return _demo(config, fresh=fresh)


def _demo(config: Config, *, fresh: bool) -> tuple[Output, list[ResultRow]]:
    """Simulate, preprocess, run the baselines and train, all below the output folder."""
    paths, out = config.paths, Folder(config.paths.out)
    photographs = Folder(paths.data)
    output = claimed(config, fresh=fresh, parts=SIMULATED)
    clock = Clock()
    clock.keep(output.folder)
    if output.is_finished:
        close(output, config, clock)
        return output, finished_before(output)
    check_nodes(config.paths)
    begin(output.folder, config, pipeline=DEMO)
    with started(clock):
        with clock.stage("simulate"):
            simulated(photographs, config)
        with clock.stage("preprocess"):
            ingested = preprocess(config)
        say(*ingested.lines(config.paths.store))
        store = open_store(config.paths.store)
        split = chosen_split(config, store)
        keep_facts(output.folder, store, split, pipeline=DEMO)
        rows = run_evaluation(config, output, clock, split=split, evaluate=BASELINES)
        siamese_config = replace(config, paths=replace(paths, data="", out=(out / SIAMESE).uri))
        with clock.stage("siamese"):
            rows += [row.in_part(SIAMESE) for row in make_siamese(siamese_config)[1]]
        cnn_config = _of_patches(siamese_config, (out / CLASSIFIED).uri)
        with clock.stage("cnn"):
            rows += [row.in_part(CLASSIFIED) for row in make_cnn(cnn_config)[1]]
        output.finish(rows)
        close(output, config, clock)
        return output, rows


def _of_patches(config: Config, out: str) -> Config:
    """Return the demo's configuration of its classifier: a short training, fewer methods."""
    return replace(
        config,
        paths=replace(config.paths, out=out),
        evaluate=replace(config.evaluate, methods=("lukas", "li", "classical")),
        patches=replace(config.patches, per_image=128, validation_per_image=32),
        training=replace(config.training, batch_size=4 * config.training.batch_size),
    )
