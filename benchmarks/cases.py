"""How often the analyst's commands are right: ``python -m benchmarks.cases [PHOTOGRAPHS]``.

PHOTOGRAPHS is a folder that camid reads; if none is named, phones are simulated. Half of each
device's photographs enrol it; some of the others are asked, as they are and after what happens to
photographs, of all devices and of those only that did not take them. Pairs of sides are verified if
asked. A table a question.
"""

import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from camid.casework.alignment import query_plane
from camid.casework.database import Fingerprints
from camid.casework.database_entry import Entry
from camid.casework.enrol import enrol
from camid.casework.entry_checks import EntryChecks, checked_ranking
from camid.casework.identify_answer import match_llr
from camid.casework.photographs import Photograph, photographs
from camid.casework.quality import Visibility, quality
from camid.casework.query import THRESHOLD, Candidate
from camid.casework.reference_population import IDENTIFICATION_FILE, Reference, shipped_reference
from camid.casework.search import rankings
from camid.casework.spread import MOST
from camid.casework.verbal_scale import DECIDED
from camid.casework.verify import verification
from camid.casework.verify_sides import turns_between
from camid.cli.errors import one_sentence
from camid.config import load_config
from camid.dataset.sources import find_files, read_headers
from camid.io.folder import Folder, absolute
from camid.runtime.cluster.session import session
from camid.runtime.ingest.simulate import simulate

SIMULATED = ["simulate.num_devices=12", "simulate.num_models=6", "simulate.num_foreground=8"]
Pixels = NDArray[np.uint8]


class Sized(NamedTuple):
    """A photograph's file, and the height and width of its pixels."""

    path: str
    shape: tuple[int, int]


Sides = tuple[list[Sized], list[Sized]]
"""Two sets of a device's photographs."""
Asked = tuple[str, NDArray[np.float32], Visibility]
"""A photograph's device, its plane and what it can show."""


def as_jpeg(image: Pixels, quality: int) -> Pixels:
    """Return an image encoded and decoded."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def resized(image: Pixels, scale: float) -> Pixels:
    """Return an image made smaller, as a program would."""
    height, width = (round(scale * side) for side in image.shape[:2])
    made = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    return as_jpeg(np.asarray(made), 95)


VARIANTS: dict[str, Callable[[Pixels], Pixels]] = {
    "as they are": lambda image: image,
    "turned by 90°": lambda image: np.ascontiguousarray(np.rot90(image)),
    "cropped by 60–160 px a side": lambda image: image[100:-160, 60:-120],
    "resized to 70 %": lambda image: resized(image, 0.7),
    "JPEG quality 70": lambda image: as_jpeg(image, 70),
}


@dataclass(frozen=True)
class Some:
    """The entries of a database that are of some devices."""

    database: Fingerprints
    devices: frozenset[str]

    def entries(self) -> list[Entry]:
        return [entry for entry in self.database.entries() if entry.device in self.devices]

    def pattern(self, entry: Entry) -> NDArray[np.float32]:
        return self.database.pattern(entry)

    def checks(self, candidate: Candidate) -> EntryChecks:
        (entry,) = (one for one in self.entries() if one.name == candidate.entry)
        return EntryChecks.of(self.database.sums(entry))


@dataclass
class Counts:
    """What came of one variant's questions."""

    asked: int = 0
    refused: int = 0
    first: int = 0
    named: int = 0
    wrong: int = 0
    passed: int = 0
    false: int = 0

    def add(self, device: str, found: Sequence[tuple[str, float, float]]) -> None:
        """Count candidates: device, likelihood ratio and PCE, the best first."""
        self.asked += 1
        if not found:
            return
        best, llr, pce = found[0]
        self.first += best == device
        self.named += best == device and llr >= DECIDED
        self.wrong += best != device and llr >= DECIDED
        self.passed += best == device and pce >= THRESHOLD
        self.false += best != device and pce >= THRESHOLD


def files(data: str) -> dict[str, list[str]]:
    """Return the photographs of each device, in order."""
    found: dict[str, list[str]] = {}
    for record in read_headers(find_files(data), min_side=1, max_megapixels=250):
        if record.status == "ok":
            found.setdefault(record.device, []).append(record.path)
    return {device: sorted(some) for device, some in sorted(found.items())}


def questions(
    asked: dict[str, list[str]], change: Callable[[Pixels], Pixels], counts: Counts
) -> Iterator[Asked]:
    """Yield devices and their changed images, as they are compared, and what these can show."""
    for device, some in asked.items():
        for one in photographs(some):
            image = change(one.rgb) if isinstance(one, Photograph) else None
            graded = quality(image) if image is not None else None
            if image is None or graded is None or graded.reason:
                counts.refused += 1
            else:
                yield device, query_plane(image), graded.visibility


def identified(
    database: Fingerprints, asked: dict[str, list[str]], name: str, budget: int, told: Reference
) -> tuple[Counts, Counts]:
    """Return what came of one variant: of all devices, and of all but the one."""
    every, others = Counts(), Counts()
    devices = frozenset(asked)
    halves = [frozenset(sorted(devices)[k::2]) for k in (0, 1)]
    made = list(questions(asked, VARIANTS[name], every))
    groups = [(every, devices, made)]
    groups += [(others, devices - half, [one for one in made if one[0] in half]) for half in halves]
    for counts, some, group in groups:
        gallery = Some(database, some)
        found = rankings([plane for _, plane, _ in group], gallery, budget=budget, most=MOST)
        for (device, plane, visibility), ranking in zip(group, found, strict=True):
            checked = checked_ranking(ranking, plane, visibility, gallery.checks, told)
            rows = [(c.device, match_llr(c, told), c.pce) for c in checked.candidates]
            counts.add(device, rows)
    return every, others


def verifications(paths: dict[str, list[str]], number: int) -> dict[str, Counter[str]]:
    """Return how often each decision is of a device's two sides, and of its first and another's.

    The other device is the next that has photographs of a size that can be compared, if any has.
    """
    sides: list[Sides] = []
    for some in paths.values():
        sized = of_one_size([one for one in photographs(some) if isinstance(one, Photograph)])
        if len(sized) >= 2 * number:
            sides.append((sized[:number], sized[number : 2 * number]))
    others = [next_alike(sides, place) for place in range(len(sides))]
    pairs = {
        "one device": sides,
        "two devices": [
            (side[0], other[1]) for side, other in zip(sides, others, strict=True) if other
        ],
    }
    return {
        words: Counter(
            verification([[one.path for one in side] for side in pair])[0]["decision"]
            for pair in some
        )
        for words, some in pairs.items()
    }


def of_one_size(read: list[Photograph]) -> list[Sized]:
    """Return the photographs of the commonest size."""
    sized = [Sized(one.path, (one.rgb.shape[0], one.rgb.shape[1])) for one in read]
    shapes = Counter(one.shape for one in sized)
    return [one for one in sized if one.shape == shapes.most_common(1)[0][0]]


def next_alike(sides: list[Sides], place: int) -> Sides | None:
    """Return the two sides of the next device whose size some turn makes that of this one."""
    shape = sides[place][0][0].shape
    following = sides[place + 1 :] + sides[:place]
    return next((some for some in following if turns_between(shape, some[1][0].shape)), None)


@click.command(help=__doc__)
@click.argument("data", required=False)
@click.option("--queries", default=4, help="Photographs of a device that are asked.")
@click.option("--budget", default=3e8, help="Samples of transforms a photograph.")
@click.option("--work", help="Working folder, kept.")
@click.option("--verify", "number", default=0, help="Photographs of a side that is verified.")
def main(data: str | None, *, queries: int, budget: float, work: str | None, number: int) -> None:
    with one_sentence(), ExitStack() as stack:
        folder = Path(work or stack.enter_context(tempfile.TemporaryDirectory()))
        told = shipped_reference(IDENTIFICATION_FILE)
        if not data:
            stack.enter_context(session())
            data = str(folder / "photographs")
            simulate(Folder(absolute(data)), load_config(settings=SIMULATED).simulate, seed=1)
        paths = files(data)
        database = Fingerprints(str(folder / "fingerprints"))
        for device, some in paths.items() if queries else ():
            enrol(database, device, some[0::2])
        asked = {device: some[1::2][:queries] for device, some in paths.items()}
        table = Table(title=f"{len(paths)} devices, {data}", title_justify="left", box=SIMPLE_HEAD)
        table.add_column("photographs", no_wrap=True)
        for heading in ("asked", "refused", "rank-1", "named", "wrongly"):
            table.add_column(heading)
        for heading in ("PCE ≥ 60", "wrongly", "device left out", "named", "PCE ≥ 60"):
            table.add_column(heading)
        for name in VARIANTS if queries else ():
            every, others = identified(database, asked, name, int(budget), told)
            row = [every.asked, every.refused, every.first, every.named, every.wrong]
            row += [every.passed, every.false, others.asked, others.wrong, others.false]
            table.add_row(name, *map(str, row))
            print(name, row, flush=True)
        if queries:
            Console(width=132).print(table)
        if number:
            for words, decisions in verifications(paths, number).items():
                counts = ", ".join(f"{name} {n}" for name, n in sorted(decisions.items()))
                print(
                    f"{number}+{number}, {words}: {decisions.total()} pairs of {len(paths)} "
                    f"devices: {counts}"
                )


if __name__ == "__main__":
    main()
