"""Stores that pipelines read, made from photographs or simulated phones if they are missing."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace

from camid.config import Config, Residual
from camid.io.digested import write_json
from camid.io.folder import Folder
from camid.io.output_layout import RESULTS
from camid.runtime.cluster.node_check import check_nodes
from camid.runtime.cluster.session import home, session
from camid.runtime.console import say
from camid.runtime.ingest.preprocess import Ingested, preprocess
from camid.runtime.ingest.simulate import simulate
from camid.runtime.run_folder.output import output_lock, replaced
from camid.runtime.run_folder.stage_times import Clock
from camid.store.make_chunk import smallest_side
from camid.store.store import DESCRIPTION, Store, is_finished, open_store, read_description


def make_store(config: Config, *, fresh: bool = False, clock: Clock | None = None) -> Ingested:
    """Preprocess ``config.paths.data``, else the store's photographs, else simulated phones."""
    clock = clock or Clock()
    smallest_side(config)  # rejects an impossible filter before any photograph is made
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
    """Call :func:`make_store`, and write configuration and counts to ``config.paths.out``."""
    check_nodes(config.paths)
    ingested = make_store(config, fresh=fresh)
    with output_lock(config):
        output = replaced(config, pipeline="preprocess")
        write_json(output.folder, RESULTS, [asdict(ingested)])
    return ingested


def naming_residuals(config: Config) -> Config:
    """Return the configuration with the path of the residuals that methods need besides pixels."""
    store = open_store(config.paths.store)
    residuals = ""
    if store.description["samples"]["dtype"] != "int8" and config.evaluate.methods:
        folder, name = Folder.at(store.folder.uri)
        residuals = config.paths.residuals or folder.address(f"{name}-residuals")
    return replace(config, paths=replace(config.paths, residuals=residuals))


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
    store, residuals = open_store(paths.store), Folder(paths.residuals)
    if not is_finished(residuals) or not _pair(store, open_store(residuals.uri)):
        settings = store.description["settings"]
        residual_config = replace(config, residual=Residual(), seed=settings["seed"])
        residual_config = replace(
            residual_config, paths=replace(paths, data=settings["data"], store=residuals.uri)
        )
        say(*make_store(residual_config, clock=clock).lines(residuals.uri))
    if not _pair(store, open_store(residuals.uri)):
        raise ValueError(
            f"{residuals.uri}: not of the same strips and photographs as {paths.store}, which may "
            "have changed; preprocess anew, or set evaluate.methods=[]"
        )


def _pair(store: Store, residuals: Store) -> bool:
    """Return whether a store of residuals has the strips and photographs of another store."""
    same_strips = (
        store.description["settings"]["strips"] == residuals.description["settings"]["strips"]
    )
    is_whole = {r.sha256 for r in store.images()} <= {r.sha256 for r in residuals.images()}
    return bool(same_strips) and is_whole and residuals.description["samples"]["dtype"] == "int8"


@contextmanager
def started(clock: Clock) -> Iterator[None]:
    """Run on Ray, whose start is a stage of its own."""
    with ExitStack() as stack:
        with clock.stage("start"):
            stack.enter_context(session())
        yield


def simulated(folder: Folder, config: Config) -> None:
    """Simulate the configured phones in ``folder``, and print a message."""
    count = config.simulate.num_background + config.simulate.num_foreground
    say(
        f"simulating {config.simulate.num_devices} phones with {count} photographs each "
        f"in {folder.uri}; name your own photographs with --data"
    )
    simulate(folder, config.simulate, seed=config.seed)


def _with_data(config: Config, data: str) -> Config:
    return replace(config, paths=replace(config.paths, data=data))
