"""What no sensor makes, and answers: ``python -m benchmarks.artefacts [PHOTOGRAPHS]``.

PHOTOGRAPHS is a folder that camid reads; if none is named, phones are simulated. Every kind of
artefact is added to all photographs of all devices. Of each device some photographs make its
pattern; the others are compared, as identification compares whole photographs, with the patterns of
all devices: how often is another device supported, and the own one? Edited photographs are compared
with patterns of plain ones. A table; a ratio of ten or more is support.
"""

import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
from camid.dataset.simulate.artefacts import EDITS, SHARED, Artefact, turned
from camid.dataset.sources import find_files, read_headers
from camid.io.folder import Folder, absolute
from camid.io.images import pixels
from camid.prnu.cleaning import cleaned
from camid.runtime.cluster.session import session
from camid.runtime.ingest.simulate import simulate

Pixels = NDArray[np.uint8]
SIMULATED = ["simulate.num_devices=12", "simulate.num_models=6", "simulate.num_foreground=8"]
ENROLLED = 12
QUALITY = 95
"""Of the JPEG that an artefact is written with."""


def plain(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph as it is."""
    return image


KINDS: Mapping[str, Artefact] = {"none": plain, **SHARED, **EDITS}


def written(image: Pixels, artefact: Artefact, number: int) -> Pixels:
    """Return a photograph with an artefact, written as JPEG and read."""
    if artefact is plain:
        return image
    file = io.BytesIO()
    Image.fromarray(artefact(image, number)).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("RGB"))


@dataclass
class Counts:
    """Comparisons of one kind of artefact, and how many were supported."""

    own: int = 0
    own_supported: int = 0
    others: int = 0
    others_supported: int = 0


def images(paths: Sequence[Path]) -> Iterator[Pixels]:
    """Yield photographs of the commonest size of a device's."""
    read = [pixels(path.read_bytes()) for path in paths]
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
    devices: Mapping[str, Sequence[Path]], artefact: Artefact, *, num_queries: int
) -> Counts:
    """Return how photographs with an artefact fare among devices whose photographs have it too."""
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
    reference, counts = shipped_reference(IDENTIFICATION_FILE), Counts()
    for device, photograph in asked:
        plane = query_plane(photograph)
        for name, plane_of in known.items():
            budget = BUDGET if artefact is turned else 0
            ranking = identify(plane, Patterns({name: plane_of}), budget=budget, most=MOST)
            best = [match_llr(match, reference) for match in ranking.candidates[:1]]
            supported = any(llr >= DECIDED for llr in best)
            if name == device:
                counts = replace(
                    counts, own=counts.own + 1, own_supported=counts.own_supported + supported
                )
            else:
                counts = replace(
                    counts,
                    others=counts.others + 1,
                    others_supported=counts.others_supported + supported,
                )
    return counts


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
        devices: dict[str, list[Path]] = {}
        files = find_files(data)
        for record in read_headers(files, min_side=256, max_megapixels=100):
            if record.status == "ok":
                devices.setdefault(record.device, []).append(Path(record.path))
        chosen = dict(list(devices.items())[: num_devices or None])
        rows = []
        for kind in [name for name in kinds.split(",") if name] or KINDS:
            found = counted(chosen, KINDS[kind], num_queries=queries)
            rows.append(
                (
                    kind,
                    f"{found.own_supported} of {found.own}",
                    f"{found.others_supported} of {found.others}",
                )
            )
        headings = [
            Heading("artefact"),
            Heading("own device supported", is_number=True),
            Heading("another supported", is_number=True),
        ]
        print_table(headings, rows, title=f"{len(chosen)} devices, {data}")


if __name__ == "__main__":
    main()
