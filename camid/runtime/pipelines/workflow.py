"""Workflows of the pipelines: make a store, then results, each step only if needed."""

from contextlib import ExitStack
from functools import partial
from typing import Any, Protocol

from camid.config import Config, Evaluate
from camid.dataset.splits import Split, named_split
from camid.evaluation.result_rows import ResultRow
from camid.io.folder import Folder
from camid.io.output_layout import RESULTS
from camid.runtime.cluster.node_check import check_nodes
from camid.runtime.cluster.resources import node_resources
from camid.runtime.cluster.session import home, session
from camid.runtime.console import say
from camid.runtime.ingest.ensure_store import make_residuals, make_store, naming_residuals
from camid.runtime.pipelines.check_settings import check_settings
from camid.runtime.pipelines.publish import close, keep_facts
from camid.runtime.run_folder.output import Output, claimed, output_lock
from camid.runtime.run_folder.stage_times import Clock
from camid.runtime.scoring.evaluate import BASELINES, run_evaluation
from camid.runtime.scoring.prepare_list import prepared_list
from camid.runtime.tracking.runs import begin
from camid.runtime.training.train import worker_cpus
from camid.runtime.training.train_and_evaluate import run_pairs
from camid.runtime.training.train_classifier import prepare_cnn, run_cnn
from camid.store.settings import adopted
from camid.store.store import Store, is_finished, open_store
from camid.training.pair_task import PairTask
from camid.training.pairnet_task import StackTask
from camid.training.patch_task import PatchTask
from camid.training.tasks import Task


def make_baselines(config: Config, *, fresh: bool = False) -> tuple[Output, list[ResultRow]]:
    """Return the output folder of the baselines and their rows, computed unless finished there."""
    run = partial(run_evaluation, evaluate=BASELINES)
    return _results(run, config, fresh=fresh, pipeline="baselines", evaluate=BASELINES)


def make_evaluation(config: Config, *, fresh: bool = False) -> tuple[Output, list[ResultRow]]:
    """Return the output folder of an evaluation and its rows, computed unless finished there.

    Networks of MLflow's registry, such as ``models:/siamese@best``, are judged in their current
    versions.
    """
    from camid.runtime.tracking.registry import with_networks

    return _results(run_evaluation, with_networks(config), fresh=fresh, pipeline="evaluate")


def make_siamese(config: Config, *, fresh: bool = False) -> tuple[Output, list[ResultRow]]:
    """Return the output folder of a Siamese network and its rows, trained unless finished there.

    Raises
    ------
    ValueError
        If crops of pairs do not fill those of comparisons, or as raised by the steps.
    """
    return _trained_pairs(PairTask, config, fresh=fresh, pipeline="train_siamese")


def make_pairnet(config: Config, *, fresh: bool = False) -> tuple[Output, list[ResultRow]]:
    """Return the output folder of a pair network and its rows, trained unless finished there.

    Raises
    ------
    ValueError
        If crops of pairs are not aligned with JPEG's blocks, the store holds pixels, or as raised
        by the steps.
    """
    return _trained_pairs(StackTask, config, fresh=fresh, pipeline="train_pairnet")


def make_cnn(config: Config, *, fresh: bool = False) -> tuple[Output, list[ResultRow]]:
    """Return the output folder of a trained classifier and its rows, computed unless finished."""
    return _results(run_cnn, config, fresh=fresh, pipeline="train_cnn", trained=PatchTask)


def make_siamese_search(config: Config, *, fresh: bool = False) -> tuple[Output, list[ResultRow]]:
    """Return the output folder of a search over networks of pairs, and the rows of the winner."""
    return _results(
        _searched_siamese, config, fresh=fresh, pipeline="tune_siamese", trained=PairTask
    )


def make_cnn_search(config: Config, *, fresh: bool = False) -> tuple[Output, list[ResultRow]]:
    """Return the output folder of a search over classifiers, and the rows of the winner."""
    return _results(_searched_cnn, config, fresh=fresh, pipeline="tune_cnn", trained=PatchTask)


def _searched_siamese(
    config: Config, output: Output, clock: Clock, *, split: Split
) -> list[ResultRow]:
    """Search, then judge the winner once, on devices that no trial has seen."""
    from camid.runtime.tuning.search import searched

    prepared_list(config, output, split=split)  # fails before hours of training
    with session():
        winner_config = searched(PairTask, config, output, clock, split=split)
        return run_pairs(winner_config, output, clock, split=split, kind=PairTask)


def _searched_cnn(config: Config, output: Output, clock: Clock, *, split: Split) -> list[ResultRow]:
    """Search, then judge the winner once, on images that no trial has seen."""
    from camid.runtime.tuning.search import searched

    task = PatchTask(config=config, store=config.paths.store, split=split)
    prepare_cnn(task, output.folder)
    with session():
        winner_config = searched(PatchTask, config, output, clock, split=split)
        winner_config = naming_residuals(winner_config)
        make_residuals(winner_config, clock)
        return run_cnn(winner_config, output, clock, split=split)


def _trained_pairs(
    kind: type[PairTask], config: Config, *, fresh: bool, pipeline: str
) -> tuple[Output, list[ResultRow]]:
    """Return the output folder and rows of a network of pairs, trained unless finished there."""
    run = partial(run_pairs, kind=kind)
    return _results(run, config, fresh=fresh, pipeline=pipeline, trained=kind)


TUNE = "tune_"
"""Beginning of the names of pipelines that search."""


class _Run(Protocol):
    """A function that judges methods on a store's split and writes the results."""

    def __call__(
        self, config: Config, output: Output, clock: Clock, *, split: Split
    ) -> list[ResultRow]: ...


def _results(
    run: _Run,
    config: Config,
    *,
    fresh: bool,
    pipeline: str,
    trained: type[Task] | None = None,
    evaluate: Evaluate | None = None,
) -> tuple[Output, list[ResultRow]]:
    """Return the output folder of a run and its rows, computed unless finished there.

    If photographs are named, or the default store is not finished, the store is made first.

    Parameters
    ----------
    evaluate
        Comparisons and methods, if not those of the configuration.
    """
    clock = Clock()
    default_store = Folder((home() / "store").uri)
    is_unmade = config.paths.store == default_store.uri and not is_finished(default_store)
    is_made = not config.paths.data and not is_unmade
    checked_config = adopted(config) if is_made else config
    check_settings(checked_config, evaluate or config.evaluate, trained=trained)
    with ExitStack() as stack:
        stack.enter_context(output_lock(config))
        if not Folder(config.paths.out).exists(RESULTS):
            check_nodes(config.paths)
            if trained:  # fails before hours of work if Ray lacks processors
                stack.enter_context(session())
                worker_cpus(config.training, node_resources())
        if config.paths.data or is_unmade:
            say(*make_store(config, clock=clock).lines(config.paths.store))
        config = adopted(config)
        if trained is PatchTask:
            config = naming_residuals(config)
        store = open_store(config.paths.store)
        split = chosen_split(config, store)
        inputs = _inputs(store, split, is_trained=trained is not None)
        output = claimed(config, fresh=fresh, inputs=inputs)
        if not output.is_finished:
            begin(output.folder, config, pipeline=pipeline)
            keep_facts(output.folder, store, split, pipeline=pipeline)
            clock.keep(output.folder)
            if trained is PatchTask:
                PatchTask(config=config, store=config.paths.store, split=split).check()
                make_residuals(config, clock)
            rows = run(config, output, clock, split=split)
            output.finish(rows)
        else:
            clock.keep(output.folder)
            rows = finished_before(output)
        close(output, config, clock, searched=trained if pipeline.startswith(TUNE) else None)
    return output, rows


def _inputs(store: Store, split: Split, *, is_trained: bool) -> dict[str, Any]:
    """Return the inputs that a run's results depend on besides its configuration."""
    inputs: dict[str, Any] = {
        "store_digest": store.digest,
        "devices": list(split.test),
        "scenes": list(split.scenes.get("test", ())),
    }
    if is_trained:
        inputs |= {"trained": list(split.train), "validated": list(split.validation)}
    return inputs


def finished_before(output: Output) -> list[ResultRow]:
    """Print that an output folder is already finished, and return its rows."""
    say(f"finished: {output.folder.uri} (--fresh computes it again)")
    return output.rows()


def chosen_split(config: Config, store: Store) -> Split:
    """Return the configured split of a store's images; print missing devices."""
    images = store.images()
    split = named_split(config.split, images, settings=config.splits, seed=config.seed)
    if split.missing:
        say(f"split {split.name}: the store lacks {len(split.missing)} of its devices")
    if split.name == "seeded" and config.splits.whole_models and split.divided:
        say(f"split seeded: the models {', '.join(split.divided)} had to be divided")
    return split
