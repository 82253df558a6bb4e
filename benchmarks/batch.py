"""Many photographs against many entries, alone and by Ray: ``python -m benchmarks.batch``.

Phones are simulated, each enrolled with some photographs and asked of one more; every tenth is
asked of without being enrolled. Whole photographs alone are looked for. Both ways answer alike.
One process answers half of the photographs, and another all: more of them take no more memory.
"""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from camid.casework.database import Fingerprints
from camid.casework.decisions import RESERVED
from camid.casework.enrol import enrol
from camid.casework.identify import answers
from camid.casework.identify_answer import Answer
from camid.cli.errors import one_sentence
from camid.config import load_config
from camid.dataset.sources import find_files, read_headers
from camid.io.folder import Folder, absolute
from camid.runtime.cluster.session import session
from camid.runtime.ingest.simulate import simulate
from camid.runtime.scoring.identify_many import answers_by_ray

STRANGER = 10
"""One phone of so many is not enrolled."""
SETTINGS = ["simulate.sizes=[[512,384]]", "simulate.portraits=0", "simulate.num_foreground=1"]


def simulated(folder: Path, number: int, num_images: int) -> dict[str, tuple[list[str], list[str]]]:
    """Return the photographs of each phone that enrol it and that are asked."""
    settings = [f"simulate.num_devices={number}", f"simulate.num_background={num_images}"]
    config = load_config(settings=[*SETTINGS, *settings, f"simulate.num_models={number // 2}"])
    with session():
        simulate(Folder(absolute(str(folder))), config.simulate, seed=1)
    found: dict[str, tuple[list[str], list[str]]] = {}
    for record in read_headers(find_files(str(folder)), min_side=1, max_megapixels=250):
        sides = found.setdefault(record.device, ([], []))
        sides[record.kind == "foreground"].append(record.path)
    return found


class Alone(NamedTuple):
    """What one process made of some photographs."""

    decisions: list[str]
    seconds: float
    memory: float
    """The most that it held, MB."""


def timed(found: Iterator[Answer]) -> tuple[list[str], float]:
    """Return answers' decisions, and the seconds that they took."""
    started = time.perf_counter()
    decisions = [answer["decision"] for answer, _ in found]
    return decisions, time.perf_counter() - started


def peak_memory() -> float:
    """Return the most memory that the process has held so far, MB."""
    # a new process takes over the ru_maxrss of the one that started it, but not this
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def answered(database: str, paths: list[str]) -> Alone:
    """Return what this process makes of photographs once loops are compiled."""
    fingerprints = Fingerprints(database)
    next(answers(fingerprints, paths[:1], budget=0))
    return Alone(*timed(answers(fingerprints, paths, budget=0)), peak_memory())


def answered_apart(database: str, paths: list[str]) -> Alone:
    """Return what a new process makes of them, which does nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(answered, database, paths).result()


@click.command(help=__doc__)
@click.option("--entries", "number", default=60, help="Phones.")
@click.option("--images", "num_images", default=8, help="That enrol a phone.")
def main(number: int, num_images: int) -> None:
    with one_sentence(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        phones = simulated(folder / "photographs", number, num_images)
        database = Fingerprints(str(folder / "fingerprints"))
        started = time.perf_counter()
        known = [device for place, device in enumerate(sorted(phones)) if place % STRANGER]
        for device in known:
            enrol(database, device, phones[device][0])
        enrolling = time.perf_counter() - started
        asked = {path: device for device, (_, some) in phones.items() for path in some}
        paths = list(asked)
        half = answered_apart(database.uri, paths[: len(paths) // 2])
        alone = answered_apart(database.uri, paths)
        by_ray, seconds = timed(answers_by_ray(database, paths, budget=0))
    assert by_ray == alone.decisions
    pairs = list(zip(asked.values(), alone.decisions, strict=True))
    wrong = sum(decision not in RESERVED | {device} for device, decision in pairs)
    mine = sum(decision == device for device, decision in pairs)
    title = f"{len(asked):,} photographs of 512×384 px, {len(known):,} entries"
    table = Table("", "", title=title, title_justify="left", box=SIMPLE_HEAD, show_header=False)
    table.add_row("of enrolled devices, named", f"{mine} of {sum(d in known for d, _ in pairs)}")
    table.add_row("named wrongly", str(wrong))
    table.add_row("one process, seconds", f"{alone.seconds:.1f}")
    table.add_row("Ray, its start included, seconds", f"{seconds:.1f}")
    table.add_row(
        f"a process of {len(half.decisions):,} photographs held at most, MB", f"{half.memory:.0f}"
    )
    table.add_row(
        f"a process of {len(paths):,} photographs held at most, MB", f"{alone.memory:.0f}"
    )
    table.add_row(
        "enrolment, milliseconds a photograph", f"{1e3 * enrolling / len(known) / num_images:.0f}"
    )
    Console().print(table)


if __name__ == "__main__":
    main()
