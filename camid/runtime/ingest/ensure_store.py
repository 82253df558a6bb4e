"""Stores that pipelines read: made of photographs or of simulated phones where they are missing."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace

from camid.config import Config, Residual
from camid.io.folder import Folder
from camid.io.output_layout import RESULTS
from camid.runtime.cluster.node_check import check_nodes
from camid.runtime.cluster.session import home, session
from camid.runtime.console import say
from camid.runtime.ingest.preprocess import Ingested, preprocess
from camid.runtime.ingest.simulate import simulate
from camid.runtime.run_folder.output import replaced
from camid.runtime.run_folder.stage_times import Clock
from camid.store.make_chunk import smallest_side
from camid.store.store import DESCRIPTION, Store, is_finished, open_store, read_description


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
    with started(clock):
        with clock.stage("simulate"):
            simulated(photographs, config)
        with clock.stage("preprocess"):
            return preprocess(_with_data(config, photographs.uri), fresh=fresh)


def make_recorded_store(config: Config, *, fresh: bool = False) -> Ingested:
    """Return :func:`make_store`'s, and leave configuration and counts in ``config.paths.out``."""
    check_nodes(config.paths)
    done = make_store(config, fresh=fresh)
    output = replaced(config, pipeline="preprocess")
    output.folder.write(RESULTS, (json.dumps([asdict(done)], indent=2) + "\n").encode())
    return done


def naming_residuals(config: Config) -> Config:
    """Return the configuration with the place of the residuals that methods need besides pixels."""
    store = open_store(config.paths.store)
    place = ""
    if store.description["samples"]["dtype"] != "int8" and config.evaluate.methods:
        folder, name = Folder.at(store.folder.uri)
        place = config.paths.residuals or folder.address(f"{name}-residuals")
    return replace(config, paths=replace(config.paths, residuals=place))


def make_residuals(config: Config, clock: Clock) -> None:
    """Make the store of residuals of the same strips, if it is named and missing.

    Raises
    ------
    ValueError
        If the photographs are no longer those of the store of pixels.
    """
    paths = config.paths
    if not paths.residuals:
        return
    store, other = open_store(paths.store), Folder(paths.residuals)
    if not is_finished(other) or not _pair(store, open_store(other.uri)):
        settings = store.description["settings"]
        made = replace(config, residual=Residual(), seed=settings["seed"])
        made = replace(made, paths=replace(paths, data=settings["data"], store=other.uri))
        say(*make_store(made, clock=clock).lines(other.uri))
    if not _pair(store, open_store(other.uri)):
        raise ValueError(
            f"{other.uri}: not of the same strips and photographs as {paths.store}, which may have "
            "changed; preprocess anew, or set evaluate.methods=[]"
        )


def _pair(one: Store, other: Store) -> bool:
    """Return whether a store of residuals is of the strips and photographs of another."""
    same = one.description["settings"]["strips"] == other.description["settings"]["strips"]
    is_whole = {r.sha256 for r in one.images()} <= {r.sha256 for r in other.images()}
    return bool(same) and is_whole and other.description["samples"]["dtype"] == "int8"


@contextmanager
def started(clock: Clock) -> Iterator[None]:
    """Run on Ray; its start is a stage of its own."""
    with ExitStack() as stack:
        with clock.stage("start"):
            stack.enter_context(session())
        yield


def simulated(folder: Folder, config: Config) -> None:
    """Simulate the configured phones into ``folder``, and say so."""
    count = config.simulate.num_background + config.simulate.num_foreground
    say(
        f"simulating {config.simulate.num_devices} phones with {count} photographs each "
        f"in {folder.uri}; name your own photographs with --data"
    )
    simulate(folder, config.simulate, seed=config.seed)


def _with_data(config: Config, data: str) -> Config:
    return replace(config, paths=replace(config.paths, data=data))
