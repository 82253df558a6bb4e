"""Composites and whole pictures: ``python -m benchmarks.regions [PHOTOGRAPHS]``.

PHOTOGRAPHS is a folder that camid reads; if none is named, phones are simulated. Some photographs
of most devices enrol them; others are asked about whole, and with a part of another photograph in
them: of another enrolled device, of a device that is not enrolled, or of another place of the same
device's. How often is the part told, with its device? A table by the part's size, and how often
whole photographs are called composites.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.artefacts import ENROLLED, enrolled, images
from benchmarks.cases import as_jpeg, files
from camid.casework.alignment import query_plane
from camid.casework.binarized import Patterns
from camid.casework.composite import Composite, Finder
from camid.casework.decisions import NO_DEVICE
from camid.casework.entry_checks import EntryChecks, checked_ranking
from camid.casework.identify_answer import match_llr
from camid.casework.quality import quality
from camid.casework.reference_population import IDENTIFICATION_FILE, shipped_reference
from camid.casework.region_answer import shared_area
from camid.casework.regions import Box
from camid.casework.search import identify
from camid.casework.spread import MOST
from camid.cli.errors import one_sentence
from camid.cli.tables import Heading, print_table
from camid.config import load_config
from camid.io.folder import Folder, absolute
from camid.runtime.cluster.session import session
from camid.runtime.ingest.simulate import simulate

Pixels = NDArray[np.uint8]
SIMULATED = [
    "simulate.num_devices=16",
    "simulate.num_models=8",
    "simulate.num_foreground=8",
    "simulate.sizes=[[768,512]]",
    "simulate.portraits=0",
]
QUALITY = 95
"""Of the JPEG that a spliced picture is written with."""
MOVED = 24
"""Pixels by which a part from elsewhere lies elsewhere at least."""
SIZES: Mapping[str, tuple[float, float]] = {
    "half": (1, 1 / 2),
    "quarter in a corner": (1 / 2, 1 / 2),
    "quarter": (1 / 2, 1 / 2),
    "eighth": (1 / 2, 1 / 4),
    "sixteenth": (1 / 4, 1 / 4),
}
"""Height and width of a part, as shares of the picture's."""
STRANGER, ELSEWHERE = "a stranger", "the same device, from elsewhere"
SOURCES = ("another enrolled device", STRANGER, ELSEWHERE)
OUTCOMES = ("no device", "right", "in part", "missed", "wrong device")
"""``right``: the part told where it is, with its device; ``in part``: a part told, but not where it
is or not with its device; ``missed``: the picture said to be one device's."""
WHOLE_OUTCOMES = ("no device", "whole", "small part", "composite")
CHANGES: Mapping[str, Callable[[Pixels], Pixels]] = {
    "as they are": lambda image: image,
    "JPEG quality 75": partial(as_jpeg, quality=75),
}


@dataclass(frozen=True)
class Asked:
    """A picture, and what it is made of."""

    image: Pixels
    device: str
    """The device of the picture around the part."""
    other: str = ""
    """The device of the part, or :data:`NO_DEVICE` for a stranger's."""
    box: Box = (0, 0, 0, 0)


def drawn_box(size: str, shape: Sequence[int], rng: np.random.Generator) -> Box:
    """Return a part's left, top, width and height, of even numbers; corners for a corner's."""
    shares = SIZES[size] if rng.random() < 0.5 else SIZES[size][::-1]
    (top, height), (left, width) = (
        _drawn_side(side, share, rng, is_end="corner" in size or size == "half")
        for side, share in zip(shape, shares, strict=True)
    )
    return left, top, width, height


def _drawn_side(
    side: int, share: float, rng: np.random.Generator, *, is_end: bool
) -> tuple[int, int]:
    """Return where a part begins along a side, and its length."""
    length = round(share * side) // 2 * 2
    start = int(rng.integers(2)) * (side - length) if is_end else rng.integers(side - length + 1)
    return int(start), length


def spliced(image: Pixels, other: Pixels, box: Box, *, start: tuple[int, int]) -> Pixels:
    """Return an image with another's part in a box, which began there at a row and a column."""
    left, top, width, height = box
    row, column = start
    made = image.copy()
    made[top : top + height, left : left + width] = other[
        row : row + height, column : column + width
    ]
    return as_jpeg(made, QUALITY)


def elsewhere(box: Box, shape: Sequence[int], rng: np.random.Generator) -> tuple[int, int]:
    """Return the row and column of another place of a box's size, some pixels away at least."""
    left, top, width, height = box
    while True:
        row, column = (
            int(rng.integers(side - own + 1))
            for side, own in zip(shape, (height, width), strict=True)
        )
        if max(abs(row - top), abs(column - left)) >= MOVED:
            return row, column


def outcome(asked: Asked, found: Composite | None) -> str:
    """Return what came of a question with a part."""
    if found is None:
        return "no device"
    if not found.regions:
        return "missed"
    first, *parts = found.regions
    devices = {first.device, *(part.device for part in parts)} - {NO_DEVICE}
    if devices - {asked.device, asked.other}:
        return "wrong device"
    # whichever of both has the picture's larger evidence is told first
    is_other_way = first.device == asked.other != asked.device
    sought = asked.device if is_other_way else asked.other
    for part in parts:
        is_there = shared_area(part.box, asked.box) >= 0.5 or is_other_way
        if is_there and part.device == sought:
            return "right"
    return "in part"


class Bench:
    """Enrolled devices, photographs of them and of strangers, and what is found in pictures."""

    def __init__(
        self,
        devices: Mapping[str, Sequence[str]],
        *,
        num_strangers: int,
        num_queries: int,
        budget: int,
    ) -> None:
        self.queries: dict[str, list[Pixels]] = {}
        self.strangers: list[Pixels] = []
        known: dict[str, NDArray[np.float32]] = {}
        checks: dict[str, EntryChecks] = {}
        for number, (name, paths) in enumerate(devices.items()):
            own = list(images(paths))
            num_enrolled = min(ENROLLED, len(own) // 2)
            if number < num_strangers:
                self.strangers += own[num_enrolled:][-num_queries:]
            else:
                sums = enrolled(own[:num_enrolled])
                known[name], checks[name] = sums.pattern(), EntryChecks.of(sums)
                self.queries[name] = own[num_enrolled:][-num_queries:]
        self.gallery, self.budget = Patterns(known), budget
        reference = shipped_reference(IDENTIFICATION_FILE)
        self.llr = partial(match_llr, reference=reference)
        self.check = partial(
            checked_ranking, checks=lambda one: checks[one.device], reference=reference
        )

    def found(self, image: Pixels) -> Composite | None:
        """Return the regions of a picture, None if no device is supported."""
        plane = query_plane(image)
        finder = Finder(
            plane=plane,
            rgb=image,
            gallery=self.gallery,
            llr=self.llr,
            check=self.check,
            budget=self.budget,
            most=MOST,
        )
        ranking = identify(plane, self.gallery, budget=0, num_candidates=None, most=MOST)
        return finder.composite(self.check(ranking, plane, quality(image).visibility))

    def asked(self, size: str, source: str, *, seed: int) -> Iterator[Asked]:
        """Yield spliced pictures, one of each query that a photograph of its size can be put in."""
        rng = np.random.default_rng(seed)
        for device, own in self.queries.items():
            for number, image in enumerate(own):
                pool = self._pool(source, device, number, image.shape)
                box = drawn_box(size, image.shape[:2], rng)
                start = box[1], box[0]
                if source == ELSEWHERE:
                    start = elsewhere(box, image.shape[:2], rng)
                if pool:
                    other, part = pool[rng.integers(len(pool))]
                    yield Asked(spliced(image, part, box, start=start), device, other, box)

    def _pool(
        self, source: str, device: str, number: int, shape: tuple[int, ...]
    ) -> list[tuple[str, Pixels]]:
        """Return devices and photographs that a part may be of."""
        if source == STRANGER:
            pool = [(NO_DEVICE, image) for image in self.strangers]
        elif source == ELSEWHERE:
            own = self.queries[device]
            pool = [(device, own[number - 1])] if len(own) > 1 else []
        else:
            pool = [
                (other, image)
                for other, some in self.queries.items()
                if other != device
                for image in some
            ]
        return [(other, image) for other, image in pool if image.shape == shape]


def whole_row(bench: Bench, change: Callable[[Pixels], Pixels]) -> list[int]:
    """Return how whole photographs fare: asked, no device, whole, small part, composite."""
    counts: Counter[str] = Counter()
    for device, some in bench.queries.items():
        for number, image in enumerate(some):
            found = bench.found(change(image))
            if found is None:
                counts["no device"] += 1
            elif not found.regions:
                counts["whole"] += 1
            else:
                print(f"{device}, {number} from the last {len(some)}: {found.regions[1:]}")
                counts["composite" if found.is_composite else "small part"] += 1
    return [counts.total(), *(counts[name] for name in WHOLE_OUTCOMES)]


def part_row(bench: Bench, size: str, source: str) -> list[int]:
    """Return how spliced pictures fare: asked, then each of the outcomes."""
    seed = 100 * list(SIZES).index(size) + SOURCES.index(source)
    asked = bench.asked(size, source, seed=seed)
    counts = Counter(outcome(one, bench.found(one.image)) for one in asked)
    return [counts.total(), *(counts[name] for name in OUTCOMES)]


@click.command(help=__doc__)
@click.argument("photographs", required=False)
@click.option("--queries", default=4, help="Photographs of each device that are asked about.")
@click.option("--strangers", default=4, help="Devices that are not enrolled.")
@click.option("--strength", default=0.007, help="Of simulated patterns.")
@click.option("--seed", default=1, help="Of simulated phones.")
@click.option("--budget", default=3e8, help="Samples of transforms for a part without a device.")
@click.option("--splices/--whole", "has_splices", default=True, help="Or whole pictures alone.")
def main(
    photographs: str | None,
    *,
    queries: int,
    strangers: int,
    strength: float,
    seed: int,
    budget: float,
    has_splices: bool,
) -> None:
    with one_sentence(), ExitStack() as stack:
        if photographs:
            data = absolute(photographs)
        else:
            data = f"{stack.enter_context(tempfile.TemporaryDirectory())}/simulated"
            config = load_config(settings=[*SIMULATED, f"simulate.pattern_strength={strength}"])
            with session():
                simulate(Folder(data), config.simulate, seed=seed)
        devices = files(data)
        bench = Bench(devices, num_strangers=strangers, num_queries=queries, budget=int(budget))
        title = f"{len(bench.queries)} devices enrolled, {strangers} not, {data}"
        rows: list[list[object]] = [
            [name, *whole_row(bench, change)] for name, change in CHANGES.items()
        ]
        _table(["whole photographs", "asked", *WHOLE_OUTCOMES], rows, title=title)
        if has_splices:
            rows = [
                [size, source, *part_row(bench, size, source)]
                for source in SOURCES
                for size in SIZES
            ]
            _table(["part", "of", "asked", *OUTCOMES], rows, title=title)


def _table(names: Sequence[str], rows: Sequence[Sequence[object]], *, title: str) -> None:
    headings = [
        Heading(name, is_number=not isinstance(value, str), min_width=5)
        for name, value in zip(names, rows[0], strict=True)
    ]
    print_table(headings, rows, title=title)


if __name__ == "__main__":
    main()
