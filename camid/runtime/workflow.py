"""What pipelines do one after the other: photographs, store, results; each step only if needed."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from typing import Any, Protocol

from camid.chunking import smallest_side
from camid.config import Config, config_tree
from camid.folder import Folder
from camid.methods import chosen_methods
from camid.runtime.baselines import run_baselines
from camid.runtime.evaluation import run_evaluation
from camid.runtime.ingest import Ingested, preprocess
from camid.runtime.learning import run_siamese
from camid.runtime.output import Output, claimed, record
from camid.runtime.session import home, session
from camid.runtime.simulation import PATTERNS, simulate
from camid.runtime.stages import Clock
from camid.runtime.stream import console
from camid.splits import Split, named_split
from camid.store import DESCRIPTION, Store, is_finished, open_store, read_description

ADOPTED = ("images", "strips", "residual", "chunks")
"""Sections of the configuration that a store decides for whoever reads it."""

SIAMESE = "siamese"
"""The folder of the demo's trained network in its own."""
SIMULATED = ("photographs", "photographs.json", f"photographs{PATTERNS}", "store", SIAMESE)
"""What the demo makes in its output folder besides the baselines."""


def make_store(config: Config, *, fresh: bool = False, clock: Clock | None = None) -> Ingested:
    """Preprocess ``config.paths.data``, or what the store was made of, or simulated phones."""
    clock = clock or Clock()
    smallest_side(config)  # a filter that cannot work is known before any photograph is made
    store = Folder(config.paths.store)
    if not config.paths.data and store.exists(DESCRIPTION):
        config = _with_data(config, read_description(store)["settings"]["data"])
    if config.paths.data:
        with clock.stage("preprocess"):
            return preprocess(config, fresh=fresh)
    photographs = home() / "simulated"
    with _started(clock):
        with clock.stage("simulate"):
            _simulated(photographs, config)
        with clock.stage("preprocess"):
            return preprocess(_with_data(config, photographs.uri), fresh=fresh)


def make_recorded_store(config: Config, *, fresh: bool = False) -> Ingested:
    """Return :func:`make_store`'s, and leave configuration and counts in ``config.paths.out``."""
    done = make_store(config, fresh=fresh)
    record(config, [asdict(done)], pipeline="preprocess")
    return done


def make_baselines(config: Config, *, fresh: bool = False) -> tuple[Output, list[dict[str, Any]]]:
    """Return the output folder of the baselines and their rows, computed unless finished there."""
    return _results(run_baselines, config, fresh=fresh)


def make_evaluation(config: Config, *, fresh: bool = False) -> tuple[Output, list[dict[str, Any]]]:
    """Return the output folder of an evaluation and its rows, computed unless finished there."""
    if not _chosen(config):
        raise ValueError("nothing to judge by: name evaluate.methods or evaluate.networks")
    return _results(run_evaluation, config, fresh=fresh)


def make_siamese(config: Config, *, fresh: bool = False) -> tuple[Output, list[dict[str, Any]]]:
    """Return the output folder of a trained network of pairs and its rows, unless finished there.

    Raises
    ------
    ValueError
        If the crops of pairs and of comparisons differ, or as the steps on the way.
    """
    _chosen(config)
    if config.comparisons.crop_size != config.pairs.crop_size:
        raise ValueError(
            f"comparisons.crop_size = {config.comparisons.crop_size} and pairs.crop_size = "
            f"{config.pairs.crop_size}: a network is judged on crops of the size it is trained on"
        )
    return _results(run_siamese, config, fresh=fresh)


def _chosen(config: Config) -> Collection[str]:
    """Return the methods of an evaluation; a name that is wrong is known before any work."""
    return chosen_methods(config.evaluate.methods, config.evaluate.networks)


class _Run(Protocol):
    """What judges a store's images of a split and writes the results."""

    def __call__(
        self, config: Config, output: Output, clock: Clock, *, split: Split
    ) -> list[dict[str, Any]]: ...


def _results(run: _Run, config: Config, *, fresh: bool) -> tuple[Output, list[dict[str, Any]]]:
    """Return the output folder of a run and its rows, computed unless finished there.

    Where photographs are named, or the store at the default place is not finished, the store is
    made first.
    """
    clock = Clock()
    default = Folder((home() / "store").uri)
    unmade = config.paths.store == default.uri and not is_finished(default)
    if config.paths.data or unmade:
        _say(make_store(config, clock=clock).lines(config.paths.store))
    config = _adopting(config)
    store = open_store(config.paths.store)
    split = _split(config, store)
    scenes = list(split.scenes.get("test", ()))
    inputs: dict[str, Any] = {
        "store_digest": store.digest,
        "devices": list(split.test),
        "scenes": scenes,
    }
    if run is run_siamese:
        inputs |= {"trained": list(split.train), "validated": list(split.validation)}
    output = claimed(config, fresh=fresh, inputs=inputs)
    if not output.is_finished:
        clock.keep(output.folder)
        rows = run(config, output, clock, split=split)
        output.finish(rows)
        return output, rows
    return output, _finished_before(output)


def make_demo(config: Config, *, fresh: bool = False) -> tuple[Output, list[dict[str, Any]]]:
    """Simulate phones below ``config.paths.out``, preprocess them, run the baselines, train.

    Rows are the baselines', then those of the network of pairs and what it is compared with.

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
    output = claimed(config, fresh=fresh, parts=SIMULATED)
    if output.is_finished:
        return output, _finished_before(output)
    clock = Clock()
    clock.keep(output.folder)
    with _started(clock):
        with clock.stage("simulate"):
            _simulated(photographs, config)
        with clock.stage("preprocess"):
            done = preprocess(config)
        _say(done.lines(config.paths.store))
        split = _split(config, open_store(config.paths.store))
        rows = run_baselines(config, output, clock, split=split, pipeline="demo")
        trained = replace(config, paths=replace(paths, data="", out=(out / SIAMESE).uri))
        with clock.stage("siamese"):
            rows += make_siamese(trained)[1]
        output.finish(rows)
        return output, rows


def _finished_before(output: Output) -> list[dict[str, Any]]:
    """Say that an output folder was finished before, and return its rows."""
    _say([f"finished: {output.folder.uri} (--fresh computes it again)"])
    return output.rows()


def _split(config: Config, store: Store) -> Split:
    """Return the configured split of a store's images, and say what it lacks."""
    images = store.images()
    split = named_split(config.split, images, settings=config.splits, seed=config.seed)
    if split.missing:
        _say([f"split {split.name}: the store lacks {len(split.missing)} of its devices"])
    if split.name == "seeded" and config.splits.whole_models and split.divided:
        _say([f"split seeded: the models {', '.join(split.divided)} had to be divided"])
    return split


@contextmanager
def _started(clock: Clock) -> Iterator[None]:
    """Run on Ray; its start is a stage of its own."""
    with ExitStack() as stack:
        with clock.stage("start"):
            stack.enter_context(session())
        yield


def _say(lines: Sequence[str]) -> None:
    """Tell the user lines that may hold any path, beside the results."""
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _with_data(config: Config, data: str) -> Config:
    return replace(config, paths=replace(config.paths, data=data))


def _simulated(folder: Folder, config: Config) -> None:
    """Simulate the configured phones into ``folder``, and say so."""
    count = config.simulate.num_background + config.simulate.num_foreground
    _say(
        [
            f"simulating {config.simulate.num_devices} phones with {count} photographs each "
            f"in {folder.uri}; name your own photographs with --data"
        ]
    )
    simulate(folder, config.simulate, seed=config.seed)


def _adopting(config: Config) -> Config:
    """Return the configuration with the sections that its store was made with, and no photographs.

    Raises
    ------
    ValueError
        If the configuration states something else than the store's and than the defaults.
    """
    settings = open_store(config.paths.store).description["settings"]
    config = _with_data(config, "")  # the store is what is read
    mine, defaults = config_tree(config), config_tree(Config())
    for section in ADOPTED:
        stored = settings[section]
        if mine[section] not in (stored, defaults[section]):
            raise ValueError(
                f"{config.paths.store}: made with {section} = {stored}, "
                f"and the configuration says {mine[section]}; preprocess into another store"
            )
        config = replace(config, **{section: type(getattr(config, section))(**stored)})
    return config
