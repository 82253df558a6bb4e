"""What sets of photographs add to single ones: ``python -m benchmarks.sets``.

Cameras are simulated, two of each model; the first of each model is enrolled in one database, the
second in another. Each one's other photographs are asked alone and in sets, of the database that
has it and of the one that has its model's other camera: strangers' sets should be supported no more
often than a likelihood ratio of ten allows. A stranger's photograph is put into each set, too.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from camid.casework.database import Fingerprints
from camid.casework.enrol import enrol
from camid.casework.identify_set import answer_together
from camid.casework.photograph_set import STRANGER
from camid.cli.errors import one_sentence
from camid.config import Simulate
from camid.dataset.simulate import phones

NUM_ENROLLED = 10


def written(folder: Path, settings: Simulate, number: int) -> dict[str, list[str]]:
    """Write photographs of each phone and return their paths."""
    paths: dict[str, list[str]] = {}
    for phone in phones(settings, seed=11):
        (folder / phone.device).mkdir(parents=True)
        for image in range(NUM_ENROLLED + number):
            path = folder / phone.device / f"{image:03d}.jpg"
            path.write_bytes(phone.photograph("foreground", image + 1))
            paths.setdefault(phone.device, []).append(str(path))
    return paths


def sets(paths: dict[str, list[str]], size: int) -> Iterator[tuple[str, list[str]]]:
    """Yield devices and disjoint sets of their photographs."""
    for device, some in paths.items():
        for start in range(NUM_ENROLLED, len(some) - size + 1, size):
            yield device, some[start : start + size]


def supported(database: Fingerprints, files: Sequence[str], budget: int) -> list[str]:
    """Return the devices that an answer supports."""
    answer, _ = answer_together(database, files, budget=budget)
    return list(answer["supported"])


def left_out(database: Fingerprints, files: Sequence[str]) -> set[str]:
    """Return the photographs that do not fit a set."""
    answer, _ = answer_together(database, files, budget=0)
    return {row["path"] for row in answer["left_out"] if row["reason"] == STRANGER}


@click.command(help=__doc__)
@click.option("--models", "num_models", default=12, show_default=True)
@click.option("--photographs", "number", default=16, show_default=True, help="Asked, of a camera.")
@click.option("--strength", default=0.004, show_default=True, help="Of the pattern.")
@click.option("--side", default=448, show_default=True, help="Pixels of the longer side.")
@click.option("--budget", default=0.0, show_default=True, help="Samples of transforms of a set.")
def main(num_models: int, number: int, strength: float, side: int, budget: float) -> None:
    settings = Simulate(
        num_devices=2 * num_models,
        num_models=num_models,
        sizes=((side, side * 6 // 7),),
        portraits=0,
        pattern_strength=strength,
        pattern_spread=0.3,
    )
    with one_sentence(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = written(folder / "photographs", settings, number)
        devices = list(paths)
        halves = [devices[:num_models], devices[num_models:]]
        databases = [Fingerprints(str(folder / f"db-{place}")) for place in (0, 1)]
        for database, half in zip(databases, halves, strict=True):
            for device in half:
                enrol(database, device, paths[device][:NUM_ENROLLED])
        table = Table(
            "photographs of a set",
            "sets",
            "own camera supported",
            "another beside it",
            "own left out of the database: supported",
            "a stranger in the set is told",
            "own photographs taken for a stranger's",
            title=f"{len(devices)} simulated cameras of {num_models} models",
            title_justify="left",
            box=SIMPLE_HEAD,
        )
        for size in (1, 2, 4, 8, 16):
            if size > number:
                break
            counts = [0] * 6
            for device, files in sets(paths, size):
                place = device in halves[1]
                own = supported(databases[place], files, int(budget))
                alien = paths[devices[devices.index(device) - 1]][-1]
                strange = left_out(databases[place], [*files, alien]) if size > 1 else set()
                counts[0] += 1
                counts[1] += device in own
                counts[2] += bool({*own} - {device})
                counts[3] += bool(supported(databases[1 - place], files, int(budget)))
                counts[4] += alien in strange
                counts[5] += len(strange - {alien})
            table.add_row(str(size), *map(str, counts))
        Console().print(table)


if __name__ == "__main__":
    main()
