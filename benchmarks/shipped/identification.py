"""What identification's likelihood ratios follow from: ``… .identification OUT``.

Cameras of any kind are simulated, those that the calibration's fusion is fitted to. Half of each
one's photographs enrol it, and every other photograph is compared with all devices at the place
where it was taken. OUT gets ``identification.json``: the calibrator from the root of the energy to
log-likelihood ratios, the scores it was fitted to, those of two devices of one model apart, and by
grade what ``camid identify`` answers: of all devices, and of all but the photograph's own. Its
place is not known there: every turn and entry is tried and counted, and so are parts, by default
within the command's own budget.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Some
from benchmarks.shipped.calibration import FUSED, config_of
from camid.casework.alignment import View, query_plane, search
from camid.casework.database import Fingerprints
from camid.casework.database_entry import Entry
from camid.casework.decisions import NONE_SUPPORTED
from camid.casework.digest_cache import refresh
from camid.casework.enrol import enrol
from camid.casework.identify_answer import match_llr, score_of
from camid.casework.photographs import Photograph, photographs
from camid.casework.query import Ranking
from camid.casework.reference_population import IDENTIFICATION_FILE, Reference, quantiles
from camid.casework.search import BUDGET, rankings
from camid.casework.transforms import Hypothesis
from camid.casework.verbal_scale import DECIDED
from camid.cli.errors import one_sentence
from camid.cli.pipeline import print_lines
from camid.config import Config
from camid.dataset.records import OK
from camid.evaluation.calibration import logistic_calibrator
from camid.evaluation.labels import Compared
from camid.io.folder import Folder, absolute
from camid.runtime.cluster.session import session
from camid.runtime.console import tracked
from camid.runtime.ingest.preprocess import catalogued
from camid.runtime.ingest.simulate import simulate

MADE_OF = (
    "simulated cameras of 30 models, two of each, half of whose 13 photographs of 512×512 px each "
    "enrolled them"
)
PLACE = [Hypothesis(0, 1.0)]
"""Where photographs of the simulated cameras lie."""


class Asked(NamedTuple):
    """What came of one photograph."""

    device: str
    grade: str
    scores: NDArray[np.float64]
    """With each device's fingerprint, at the place where it was taken."""
    ranking: Ranking
    """Of all devices."""
    others: Ranking
    """Of all but its own."""


def files(config: Config) -> dict[str, list[str]]:
    """Return the photographs of each device, in order."""
    found: dict[str, list[str]] = {}
    for record in catalogued(config):
        if record.status == OK:
            found.setdefault(record.device, []).append(record.path)
    return {device: sorted(some) for device, some in sorted(found.items())}


def enrolled(paths: dict[str, list[str]], database: Fingerprints) -> list[Entry]:
    """Enrol the first, third, fifth … photograph of each device and return the entries."""
    for device, some in paths.items():
        enrol(database, device, some[0::2])
    refresh(database, database.folder)
    entries = {entry.device: entry for entry in database.entries()}
    return [entries[device] for device in paths]


def asked(
    paths: dict[str, list[str]], entries: Sequence[Entry], database: Fingerprints, budget: int
) -> list[Asked]:
    """Compare the other photographs of each device."""
    patterns = [View(database.pattern(entry)) for entry in entries]
    ranked = partial(rankings, folder=database.folder, budget=budget)
    found = []
    for device, some in tracked(
        paths.items(), description="identify", unit="devices", total=len(paths)
    ):
        taken = []
        for one in photographs(some[1::2]):
            if isinstance(one, Photograph):
                taken.append(one)
            else:
                print_lines([f"{one.path}: {one.reason}"])
        planes = [query_plane(one.rgb) for one in taken]
        others = Some(database, frozenset(paths) - {device})
        rows = zip(taken, planes, ranked(planes, database), ranked(planes, others), strict=True)
        for one, plane, ranking, rest in rows:
            query = View(plane)
            matches = [search(query, pattern, tried=PLACE) for pattern in patterns]
            scores = np.array([score_of(match.energy) if match else 0.0 for match in matches])
            found.append(Asked(device, one.quality.grade, scores, ranking, rest))
    return found


def reference_of(found: list[Asked], entries: Sequence[Entry]) -> Reference:
    """Return what the scores and the answers tell."""
    devices = np.array([entry.device for entry in entries])
    models = dict(zip(devices, [(entry.make, entry.model) for entry in entries], strict=True))
    scores = np.concatenate([one.scores for one in found])
    first = np.repeat([one.device for one in found], len(devices))
    second = np.tile(devices, len(found))
    labels = (first == second).astype(np.int64)
    are_alike = np.array([models[a] == models[b] for a, b in zip(first, second, strict=True)])
    siblings = scores[are_alike & (labels == 0)]
    told = Reference(
        made_of=MADE_OF,
        num_devices=len(devices),
        num_positives=int(labels.sum()),
        num_negatives=int((1 - labels).sum()),
        positives=quantiles(scores[labels == 1]),
        negatives=quantiles(scores[labels == 0]),
        same_model=quantiles(siblings),
        num_same_model=len(siblings),
        calibrator=logistic_calibrator(Compared(labels=labels, first=first, second=second), scores),
    )
    return replace(told, grades=grades_of(found, told))


def grades_of(found: list[Asked], told: Reference) -> dict[str, dict[str, int]]:
    """Return by grade how many photographs had no answer and a wrong one."""
    grades = {}
    for grade in sorted({one.grade for one in found}):
        some = [one for one in found if one.grade == grade]
        answers = [(one.device, named(one.ranking, told)) for one in some]
        grades[grade] = {
            "count": len(some),
            "unanswered": sum(answer == NONE_SUPPORTED for _, answer in answers),
            "wrong": sum(answer not in {NONE_SUPPORTED, device} for device, answer in answers),
            "stranger_count": len(some),
            "stranger_named": sum(named(one.others, told) != NONE_SUPPORTED for one in some),
        }
    return grades


def named(ranking: Ranking, told: Reference) -> str:
    """Return the device that the command names, or none."""
    answers = (one.device for one in ranking.candidates if match_llr(one, told) >= DECIDED)
    return next(answers, NONE_SUPPORTED)


@click.command(help=__doc__)
@click.argument("out")
@click.option("--work", help="Working folder, kept, so that a later run goes on in it.")
@click.option("--budget", default=BUDGET, help="Samples of transforms a photograph.")
def main(out: str, *, work: str | None, budget: int) -> None:
    with one_sentence(), ExitStack() as stack:
        folder = Folder(absolute(work or stack.enter_context(tempfile.TemporaryDirectory())))
        os.environ["CAMID_HOME"] = folder.uri
        stack.enter_context(session())
        config = config_of(FUSED, "4+4", folder)
        simulate(Folder(config.paths.data), config.simulate, seed=FUSED)
        paths = files(config)
        database = Fingerprints((folder / "fingerprints").uri)
        entries = enrolled(paths, database)
        told = reference_of(asked(paths, entries, database, budget), entries)
        Folder(absolute(out)).write(
            IDENTIFICATION_FILE, (json.dumps(told.facts(), indent=1) + "\n").encode()
        )
        print_lines([str(told.calibrator), str(told.grades)])


if __name__ == "__main__":
    main()
