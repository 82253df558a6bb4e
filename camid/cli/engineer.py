"""The engineer's commands: synthetic cameras, what a store will take, and what one holds."""

import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import click
import pyarrow.compute as pc

from camid.cli.console import echo
from camid.cli.errors import one_sentence
from camid.cli.pipeline import print_facts, print_lines
from camid.config import load_config
from camid.dataset.records import OK, ImageRecord, chunk_name
from camid.io.counts import counted, tally
from camid.io.folder import Folder, absolute
from camid.runtime.cluster.session import home
from camid.runtime.console import tracked
from camid.store.chunk_plan import chunks_of
from camid.store.index import num_strips
from camid.store.store import Store, open_store
from camid.store.verify import Problem, problems, source_problems

DAMAGED = 1
WHY = "rejected (manifest.parquet says why)"


@click.command("simulate")
@click.argument("folder")
@click.option("--seed", default=1, show_default=True, help="Same seed, same bytes.")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="e.g. num_devices=8")
def simulate_command(folder: str, seed: int, settings: tuple[str, ...]) -> None:
    """Write photographs of synthetic phones to FOLDER, with SOCRatES's names and EXIF."""
    with one_sentence():
        config = load_config(settings=[f"seed={seed}", *(f"simulate.{s}" for s in settings)])
        from camid.runtime.cluster.session import session
        from camid.runtime.ingest.simulate import simulate

        place = Folder(absolute(folder))
        with session():
            count = simulate(place, config.simulate, seed=config.seed)
        devices = config.simulate.num_devices
        written = counted(count, "photograph")
        echo(f"{place.uri}: {counted(devices, 'device')}, {written} written now")


@click.command()
@click.option("--port", default=5000, show_default=True)
@click.option("--open/--no-open", "is_opened", default=True, help="In a browser, if there is one.")
def ui(port: int, is_opened: bool) -> None:
    """Open MLflow's pages over all runs, on this machine only, on a view of all methods."""
    from camid.runtime.tracking.client import tracking_uri
    from camid.runtime.tracking.ui import served, view_address

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # which ends the server too
    with one_sentence(), ExitStack() as stack:
        uri = tracking_uri()
        server = uri if uri.startswith("http") else stack.enter_context(served(port))
        address = view_address(server)
        echo(f"methods beside one another: {address}")
        if is_opened and sys.stdout.isatty():
            click.launch(address)


@click.command()
@click.argument("data", required=False)
@click.option("--images", type=click.IntRange(min=1), help="So many photographs instead of DATA.")
@click.option("--size", default="4000x3000", show_default=True, help="Their pixels, WIDTHxHEIGHT.")
@click.option("--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE")
def plan(data: str | None, images: int | None, size: str, settings: tuple[str, ...]) -> None:
    """Print what preprocessing DATA will take: strips, bytes, core-hours and memory.

    Headers are read, and a few photographs, with which every part of the work is timed on this
    machine; without DATA it is timed with a simulated one, by `make bench` or now.
    """
    with one_sentence():
        if (data is None) == (images is None):
            raise ValueError("expected DATA or --images, and not both")
        config = load_config(settings=settings)
        from camid.store.cost_model import (
            bill,
            chunk_shapes,
            equal_shapes,
            known_costs,
            sampled_costs,
            terms,
        )

        if images is not None:
            width, height = _sides(size)
            shapes = equal_shapes(images, height=height, width=width, config=config)
            costs = known_costs(config, home=home())
            facts = {"photographs": f"{images:,} of {width}x{height} px"}
        elif data is not None:
            from camid.runtime.ingest.preprocess import catalogued

            config = replace(config, paths=replace(config.paths, data=absolute(data)))
            records = catalogued(config)
            shapes = chunk_shapes(chunks_of(records))
            kept = [record for record in records if record.status == OK]
            if not kept:
                files = counted(len(records), "file")
                raise ValueError(f"{config.paths.data}: no photograph that can be used, of {files}")
            costs = sampled_costs(kept, config, home=home())
            facts = _photograph_facts(config.paths.data, records, kept)
        print_facts(facts | terms(bill(shapes, config, costs), costs))


def _sides(size: str) -> tuple[int, int]:
    sides = size.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise ValueError(f"expected --size WIDTHxHEIGHT such as 4000x3000, got {size!r}")
    return int(sides[0]), int(sides[1])


def _photograph_facts(
    data: str, records: Sequence[ImageRecord], kept: Sequence[ImageRecord]
) -> dict[str, str]:
    sizes = Counter(f"{record.width}x{record.height}" for record in kept).most_common()
    common = ", ".join(f"{count} of {size}" for size, count in sizes[:5])
    return {
        "photographs": f"{len(kept):,} of {counted(len(records), 'file')} in {data}",
        "devices": f"{len({record.device for record in kept})}",
        "pixel sizes": common + (f" and {len(sizes) - 5} more" if len(sizes) > 5 else ""),
    }


@click.command("compile")
def compile_command() -> None:
    """Compile camid's loops and keep them, once an installation, so that no job has to."""
    with one_sentence():
        from camid.store.cost_model import compile_loops

        compile_loops()
        _compile_case_loops()


def _compile_case_loops() -> None:
    """Compile the loops of casework by identifying and verifying a small image of noise."""
    import numpy as np

    from camid.casework.alignment import query_plane
    from camid.casework.binarized import Patterns
    from camid.casework.search import identify
    from camid.casework.verify_scores import verdict
    from camid.casework.verify_sides import STRIP

    image = np.random.default_rng(1).integers(0, 256, (STRIP, STRIP, 3)).astype(np.uint8)
    plane = query_plane(image)
    identify(plane, Patterns({"one": plane}))
    identify(plane[: STRIP // 2], Patterns({"one": plane}))
    verdict([image], [image])


@click.group()
def store() -> None:
    """Look into a strip store."""


@store.command()
@click.argument("uri", metavar="STORE")
def info(uri: str) -> None:
    """Print what STORE holds and what made it."""
    with one_sentence():
        strip_store = open_store(uri)
        images = strip_store.images()
        names = [chunk_name(device, number) for device, number in images.counted("device", "chunk")]
        layout = strip_store.description["samples"]
        rejected = len(strip_store.manifest) - len(images)
        sizes = Counter({f"{w}x{h}": n for (w, h), n in images.counted("width", "height").items()})
        print_facts(
            {
                "store": strip_store.folder.uri,
                "photographs": strip_store.description["settings"]["data"],
                "devices": len(images.counted("device")),
                "images": tally({OK: len(images), WHY: rejected}, "none"),
                "kinds": ", ".join(f"{n} {k}" for (k,), n in images.counted("kind").items()),
                "pixel sizes": ", ".join(f"{n} of {size}" for size, n in sizes.most_common(5)),
                "chunks": strip_store.description["num_chunks"],
                "row groups": strip_store.description["num_row_groups"],
                "strips": num_strips(strip_store.index),
                "bytes": f"{sum(strip_store.folder.size(name) for name in names):,}",
                "samples": f"{layout['dtype']} {tuple(layout['shape'])}, step {layout['step']:g}",
                "filter": ", ".join(f"{k}={v}" for k, v in layout["filter"].items()),
                "seed": strip_store.description["settings"]["seed"],
                "plan digest": strip_store.description["plan_digest"],
                "content digest": strip_store.digest,
            }
        )


@store.command()
@click.argument("uri", metavar="STORE")
@click.option("--sources", is_flag=True, help="Also name photographs that are gone or changed.")
@click.option("--repair", "mend", is_flag=True, help="Make what is damaged again, and only that.")
def verify(uri: str, sources: bool, mend: bool) -> None:
    """Read all of STORE back and name every chunk that is missing, damaged or out of place."""
    with one_sentence():
        strip_store = open_store(uri)
        total = strip_store.description["num_chunks"]
        checks = tracked(problems(strip_store), description="verify", unit="chunks", total=total)
        wrong = [problem for problem in checks if problem]
        for problem in wrong:
            echo(str(problem), err=True)
        changed = _changed_sources(strip_store) if sources else []
        chunks, found = counted(total, "chunk"), counted(len(wrong), "problem")
        gone = f"; {counted(len(changed), 'photograph')} gone or changed" if sources else ""
        echo(f"{strip_store.folder.uri}: {chunks}, {found}{gone}")
        if (wrong or changed) and mend:
            from camid.runtime.ingest.repair import repair

            print_lines(repair(strip_store, [*wrong, *changed]))
        elif wrong or changed:
            echo("the same command with --repair makes anew what is named above")
            sys.exit(DAMAGED)


def _changed_sources(strip_store: Store) -> list[Problem]:
    """Return and print the problems of chunks whose photographs are gone or changed."""
    total = pc.sum(pc.not_equal(strip_store.manifest.column("sha256"), "")).as_py() or 0
    checks = tracked(
        source_problems(strip_store), description="photographs", unit="files", total=total
    )
    changed = [problem for problem in checks if problem]
    for problem in changed:
        echo(str(problem), err=True)
    return changed


COMMANDS = {
    "compile": compile_command,
    "plan": plan,
    "simulate": simulate_command,
    "store": store,
    "ui": ui,
}
"""Commands by name."""
