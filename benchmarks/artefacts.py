"""What no sensor makes, and answers: ``python -m benchmarks.artefacts [PHOTOGRAPHS]``.

PHOTOGRAPHS is a folder that camid reads; if none is named, phones are simulated. Every kind of
artefact is added to all photographs of all devices. Of each device some photographs make its
pattern; the others are asked about, as identification asks of whole photographs, among the patterns
of all devices: how often is another device supported, of another model or of the same one, whose
simulated devices share a part of their pattern, and the own one? Edited photographs are asked about
among patterns of plain ones. With ``--sides N``, N photographs of each device are verified
against N others of it, and against N of the next. A table; a ratio of ten or more is support, and
what it is worth is the measured ratio: the share of own devices that reach it over that of others.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import SIMULATED, as_jpeg, files
from camid.casework.alignment import Plane, query_plane
from camid.casework.binarized import Patterns
from camid.casework.entry_checks import EntryChecks, checked_ranking
from camid.casework.fingerprint_sums import EnrolledImage, Sample, Sums
from camid.casework.identify_answer import match_llr
from camid.casework.quality import quality
from camid.casework.reference_population import IDENTIFICATION_FILE, shipped_reference
from camid.casework.search import BUDGET, identify
from camid.casework.spread import MOST
from camid.casework.verbal_scale import DECIDED
from camid.casework.verify_scores import verdict
from camid.cli.errors import one_sentence
from camid.cli.tables import Heading, print_table
from camid.config import load_config
from camid.dataset.simulate.artefacts import ARTEFACTS, EDITS, LOSSLESS, TILED, Artefact, turned
from camid.io.folder import Folder, absolute
from camid.io.images import header, pixels
from camid.runtime.cluster.session import session
from camid.runtime.ingest.simulate import simulate

Pixels = NDArray[np.uint8]
ENROLLED = 12
QUALITY = 95
"""Of the JPEG that an artefact is written with."""


def plain(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph as it is."""
    return image


KINDS: Mapping[str, Artefact] = {"none": plain, **ARTEFACTS}


def written(image: Pixels, artefact: Artefact, number: int) -> Pixels:
    """Return a photograph with an artefact, written as JPEG, if that keeps it, and read."""
    made = artefact(image, number)
    is_exact = artefact is plain or artefact in LOSSLESS.values()
    return made if is_exact else as_jpeg(made, QUALITY)


@dataclass
class Counts:
    """Photographs or sides that were asked about, and of how many a device was supported."""

    compared: int = 0
    supported: int = 0

    def add(self, llrs: Sequence[float]) -> None:
        """Count a photograph by the log-likelihood ratios of devices."""
        self.compared += 1
        self.supported += any(llr >= DECIDED for llr in llrs)

    def __str__(self) -> str:
        return f"{self.supported} of {self.compared}"

    @property
    def rate(self) -> float:
        """Share that is supported, as if one more were of each kind."""
        return (self.supported + 1) / (self.compared + 2)


def images(paths: Sequence[str]) -> Iterator[Pixels]:
    """Yield photographs of the commonest size of a device's."""
    read = [pixels(Path(path).read_bytes()) for path in paths]
    shapes = [image.shape for image in read]
    common = max(set(shapes), key=shapes.count)
    yield from (image for image in read if image.shape == common)


def enrolled(photographs: Sequence[Pixels]) -> Sums:
    """Return the sums of some photographs of one size, as an enrolment makes them."""
    height, width, _ = photographs[0].shape
    sums = Sums.empty(height, width)
    for number, photograph in enumerate(photographs):
        image = EnrolledImage(
            sha256=f"{number:064x}", name=str(number), detail=quality(photograph).visibility.detail
        )
        sums = sums.plus(image, Sample.of(photograph))
    return sums


def counted(
    devices: Mapping[str, Sequence[str]], artefact: Artefact, *, num_queries: int
) -> tuple[Counts, Counts, Counts]:
    """Return how photographs with an artefact fare with their own device, and with the others.

    With those of other models, then with those of the same one. The devices' photographs have the
    artefact too, if it is no edit.
    """
    models = {device: _model(paths[0]) for device, paths in devices.items()}
    known: dict[str, Plane] = {}
    checks: dict[str, EntryChecks] = {}
    asked: list[tuple[str, Pixels]] = []
    is_edit = artefact in {*EDITS.values(), *TILED.values()}
    for device, paths in devices.items():
        own = list(images(paths[: ENROLLED + num_queries]))
        queries, others = own[:num_queries], own[num_queries:]
        sums = enrolled([e if is_edit else written(e, artefact, n) for n, e in enumerate(others)])
        known[device], checks[device] = sums.pattern(), EntryChecks.of(sums)
        asked += [(device, written(q, artefact, 100 + n)) for n, q in enumerate(queries)]
    reference = shipped_reference(IDENTIFICATION_FILE)
    own_counts, other_counts, kin_counts = Counts(), Counts(), Counts()
    gallery = Patterns(known)
    budget = BUDGET if artefact is turned else 0
    for device, photograph in asked:
        plane, graded = query_plane(photograph), quality(photograph)
        ranking = checked_ranking(
            identify(plane, gallery, budget=budget, num_candidates=None, most=MOST),
            plane,
            graded.visibility,
            lambda candidate: checks[candidate.device],
            reference,
        )
        llrs = dict.fromkeys(known, -math.inf)
        llrs |= {one.device: match_llr(one, reference) for one in ranking.candidates}
        own_counts.add([llrs.pop(device)])
        kin = {known for known in llrs if models[known] == models[device] != ""}
        other_counts.add([llr for other, llr in llrs.items() if other not in kin])
        kin_counts.add([llrs[other] for other in kin])
    return own_counts, other_counts, kin_counts


def _model(path: str) -> str:
    """Return the make and model that a photograph states; empty where it states none."""
    with Path(path).open("rb") as file:
        head = header(file)
    return f"{head.make} {head.model}".strip()


def verified(
    devices: Mapping[str, Sequence[str]], artefact: Artefact, *, number: int
) -> tuple[Counts, Counts]:
    """Return how sides of so many photographs fare, of one device and of two of one size.

    Edits are of second sides alone.
    """
    is_edit = artefact in {*EDITS.values(), *TILED.values()}
    sides: list[tuple[list[Pixels], list[Pixels]]] = []
    for paths in devices.values():
        own = list(islice(images(paths), 2 * number))
        if len(own) == 2 * number:
            made = [written(image, artefact, n) for n, image in enumerate(own)]
            sides.append((own[:number] if is_edit else made[:number], made[number:]))
    one, two = Counts(), Counts()
    for place, (first, second) in enumerate(sides):
        others = (*sides[place + 1 :], *sides[:place])
        if first[0].shape == second[0].shape:
            one.add([verdict(first, second).llr])
        alike = [other for _, other in others if other[0].shape == first[0].shape]
        for other in alike[:1]:
            two.add([verdict(first, other).llr])
    return one, two


def chosen_devices(
    photographs: str | None, place: str, number: int
) -> tuple[str, dict[str, list[str]]]:
    """Return an address and the photographs of its first devices, simulated below a place if none.

    Parameters
    ----------
    number
        Of devices; 0 for all.
    """
    data = absolute(photographs) if photographs else f"{place}/simulated"
    if not photographs:
        config = load_config(settings=SIMULATED)
        with session():
            simulate(Folder(data), config.simulate, seed=config.seed)
    return data, dict(list(files(data).items())[: number or None])


def chosen_names(listed: str, known: Mapping[str, object]) -> list[str]:
    """Return names between commas, all that are known if there are none.

    Raises
    ------
    ValueError
        If one is not known.
    """
    names = [name for name in listed.split(",") if name] or list(known)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no {unknown[0]!r}; there are {', '.join(known)}")
    return names


@click.command(help=__doc__)
@click.argument("photographs", required=False)
@click.option("--kinds", default="", help=f"Of {', '.join(KINDS)}; else all.")
@click.option("--queries", default=2, help="Photographs of each device that are asked about.")
@click.option("--devices", "num_devices", default=0, help="The first so many; 0 for all.")
@click.option("--sides", default=0, help="Photographs a side that is verified; 0 for none.")
def main(
    photographs: str | None, *, kinds: str, queries: int, num_devices: int, sides: int
) -> None:
    with one_sentence(), tempfile.TemporaryDirectory() as place:
        data, devices = chosen_devices(photographs, place, num_devices)
        names = chosen_names(kinds, KINDS)
        rows = []
        for name in names:
            artefact = KINDS[name]
            asked_of = [counted(devices, artefact, num_queries=queries)] if queries else []
            sided = [verified(devices, artefact, number=sides)] if sides else []
            worth = [f"{own.rate / other.rate:.0f}" for own, other, *_ in (*asked_of, *sided)]
            rows.append((name, *map(str, chain(*asked_of, *sided)), *worth))
            print(*rows[-1], sep=", ", flush=True)
        asked = [
            *(["identified: own", "another", "of its model"] if queries else []),
            *([f"verified {sides}+{sides}: one device", "two"] if sides else []),
        ]
        asked += [
            f"ten of {kind} is worth"
            for kind, is_asked in (("identify", queries), ("verify", sides))
            if is_asked
        ]
        headings = [Heading("artefact"), *(Heading(words, is_number=True) for words in asked)]
        print_table(headings, rows, title=f"{len(devices)} devices, {data}")


if __name__ == "__main__":
    main()
