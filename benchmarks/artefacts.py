"""What no sensor makes, and answers: ``python -m benchmarks.artefacts [PHOTOGRAPHS]``.

PHOTOGRAPHS is a folder that camid reads; if none is named, phones are simulated. Every kind of
artefact is added to all photographs of all devices. Of each device some photographs make its
pattern; the others are compared, as identification compares whole photographs, with the patterns of
all devices: how often is another device supported, and the own one? Edited photographs are compared
with patterns of plain ones. A table; a ratio of ten or more is support.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import SIMULATED, as_jpeg, files
from camid.casework.alignment import Plane, query_plane
from camid.casework.binarized import Patterns
from camid.casework.fingerprint_sums import Half, Sample
from camid.casework.identify_answer import match_llr
from camid.casework.reference_population import IDENTIFICATION_FILE, shipped_reference
from camid.casework.search import BUDGET, identify
from camid.casework.spread import MOST
from camid.casework.verbal_scale import DECIDED
from camid.cli.errors import one_sentence
from camid.cli.tables import Heading, print_table
from camid.config import load_config
from camid.dataset.simulate.artefacts import EDITS, LOSSLESS, SHARED, Artefact, turned
from camid.io.folder import Folder, absolute
from camid.io.images import pixels
from camid.prnu.cleaning import cleaned
from camid.runtime.cluster.session import session
from camid.runtime.ingest.simulate import simulate

Pixels = NDArray[np.uint8]
ENROLLED = 12
QUALITY = 95
"""Of the JPEG that an artefact is written with."""


def plain(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph as it is."""
    return image


KINDS: Mapping[str, Artefact] = {"none": plain, **SHARED, **LOSSLESS, **EDITS}


def written(image: Pixels, artefact: Artefact, number: int) -> Pixels:
    """Return a photograph with an artefact, written as JPEG, if that keeps it, and read."""
    made = artefact(image, number)
    is_exact = artefact is plain or artefact in LOSSLESS.values()
    return made if is_exact else as_jpeg(made, QUALITY)


@dataclass
class Counts:
    """Comparisons of photographs with patterns, and how many were supported."""

    compared: int = 0
    supported: int = 0

    def add(self, llrs: Sequence[float]) -> None:
        """Count a comparison by the log-likelihood ratio of its best candidate, if there is one."""
        self.compared += 1
        self.supported += any(llr >= DECIDED for llr in llrs)

    def __str__(self) -> str:
        return f"{self.supported} of {self.compared}"


def images(paths: Sequence[str]) -> Iterator[Pixels]:
    """Yield photographs of the commonest size of a device's."""
    read = [pixels(Path(path).read_bytes()) for path in paths]
    shapes = [image.shape for image in read]
    common = max(set(shapes), key=shapes.count)
    yield from (image for image in read if image.shape == common)


def pattern(photographs: Sequence[Pixels]) -> Plane:
    """Return the pattern of some photographs, as an enrolment makes it."""
    total: Half | None = None
    for photograph in photographs:
        half = Sample.of(photograph).half()
        total = half if total is None else total.plus(half)
    if total is None:
        raise ValueError("a device without photographs has no pattern")
    return cleaned(total.pattern(), whiten=True)


def counted(
    devices: Mapping[str, Sequence[str]], artefact: Artefact, *, num_queries: int
) -> tuple[Counts, Counts]:
    """Return how photographs with an artefact fare with their own device, and with the others.

    The devices' photographs have it too, if it is no edit.
    """
    known: dict[str, Plane] = {}
    asked: list[tuple[str, Pixels]] = []
    is_edit = artefact in EDITS.values()
    for device, paths in devices.items():
        own = list(images(paths[: ENROLLED + num_queries]))
        queries, enrolled = own[:num_queries], own[num_queries:]
        known[device] = pattern(
            [e if is_edit else written(e, artefact, n) for n, e in enumerate(enrolled)]
        )
        asked += [(device, written(q, artefact, 100 + n)) for n, q in enumerate(queries)]
    reference = shipped_reference(IDENTIFICATION_FILE)
    own_counts, other_counts = Counts(), Counts()
    budget = BUDGET if artefact is turned else 0
    for device, photograph in asked:
        plane = query_plane(photograph)
        for name, known_pattern in known.items():
            ranking = identify(plane, Patterns({name: known_pattern}), budget=budget, most=MOST)
            counts = own_counts if name == device else other_counts
            counts.add([match_llr(match, reference) for match in ranking.candidates[:1]])
    return own_counts, other_counts


@click.command(help=__doc__)
@click.argument("photographs", required=False)
@click.option("--kinds", default="", help=f"Of {', '.join(KINDS)}; else all.")
@click.option("--queries", default=2, help="Photographs of each device that are asked about.")
@click.option("--devices", "num_devices", default=0, help="The first so many; 0 for all.")
def main(photographs: str | None, *, kinds: str, queries: int, num_devices: int) -> None:
    with one_sentence(), tempfile.TemporaryDirectory() as place:
        if photographs:
            data = absolute(photographs)
        else:
            data = f"{place}/simulated"
            config = load_config(settings=SIMULATED)
            with session():
                simulate(Folder(data), config.simulate, seed=config.seed)
        names = [name for name in kinds.split(",") if name] or list(KINDS)
        if unknown := [name for name in names if name not in KINDS]:
            raise ValueError(f"no artefact {unknown[0]!r}; there are {', '.join(KINDS)}")
        devices = dict(list(files(data).items())[: num_devices or None])
        rows = [
            (name, *map(str, counted(devices, KINDS[name], num_queries=queries))) for name in names
        ]
        headings = [
            Heading("artefact"),
            Heading("own device supported", is_number=True),
            Heading("another supported", is_number=True),
        ]
        print_table(headings, rows, title=f"{len(devices)} devices, {data}")


if __name__ == "__main__":
    main()
