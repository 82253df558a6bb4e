"""What identification's likelihood ratios follow from: ``… .identification OUT``.

Cameras of any kind are simulated, those that the calibration's fusion is fitted to. Half of each
one's photographs enrol it, and every other photograph is compared with all devices at the place
where it was taken. OUT gets ``identification.json``: the calibrator from the root of the energy to
log-likelihood ratios, the scores it was fitted to, and how often each grade was answered wrongly.
"""

import json
import os
import tempfile
from contextlib import ExitStack
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.shipped.calibration import FUSED, config_of
from camid.calibration import logistic_calibrator
from camid.cases.decisions import score_of
from camid.cases.enrol import enrol
from camid.cases.fingerprints import Fingerprints
from camid.cases.geometry import View, query_plane, search
from camid.cases.hypotheses import Hypothesis
from camid.cases.photographs import Photograph, photographs
from camid.cases.reference import IDENTIFICATION_FILE, Reference, quantiles
from camid.cases.words import DECIDED
from camid.commandline import print_lines
from camid.compared import Compared
from camid.config import Config
from camid.folder import Folder, absolute
from camid.records import OK
from camid.runtime.ingest import catalogued
from camid.runtime.session import session
from camid.runtime.simulation import simulate
from camid.sentences import one_sentence

MADE_OF = (
    "simulated cameras of 30 models, two of each, half of whose 13 photographs of 512×512 px each "
    "enrolled them"
)
PLACE = [Hypothesis(0, 1.0)]
"""Where photographs of the simulated cameras lie."""


class Asked(NamedTuple):
    """What one photograph scored."""

    device: int
    grade: str
    scores: NDArray[np.float64]
    """With each device's fingerprint."""


def files(config: Config) -> dict[str, list[str]]:
    """Return the photographs of each device, in order."""
    found: dict[str, list[str]] = {}
    for record in catalogued(config):
        if record.status == OK:
            found.setdefault(record.device, []).append(record.path)
    return {device: sorted(some) for device, some in sorted(found.items())}


def asked(paths: dict[str, list[str]], database: Fingerprints) -> list[Asked]:
    """Enrol the first, third, fifth … photograph of each device and compare the others."""
    for device, some in paths.items():
        enrol(database, device, some[0::2])
    entries = {entry.device: entry for entry in database.entries()}
    patterns = [View(database.pattern(entries[device])) for device in paths]
    found = []
    for number, some in enumerate(paths.values()):
        for one in photographs(some[1::2]):
            if not isinstance(one, Photograph):
                print_lines([f"{one.path}: {one.reason}"])
                continue
            query = View(query_plane(one.rgb))
            matches = [search(query, pattern, tried=PLACE) for pattern in patterns]
            scores = [score_of(match.energy) if match else 0.0 for match in matches]
            found.append(Asked(number, one.quality.grade, np.array(scores)))
    return found


def reference_of(found: list[Asked], num_devices: int) -> Reference:
    """Return what the scores tell."""
    scores = np.concatenate([one.scores for one in found])
    first = np.repeat([one.device for one in found], num_devices)
    second = np.tile(np.arange(num_devices), len(found))
    labels = (first == second).astype(np.int64)
    compared = Compared(labels=labels, first=first.astype(str), second=second.astype(str))
    made = logistic_calibrator(compared, scores)
    grades = {}
    for grade in sorted({one.grade for one in found}):
        some = [one for one in found if one.grade == grade]
        llrs = [made.llr(one.scores) for one in some]
        named = [found.max() >= DECIDED for found in llrs]
        is_own = [of.argmax() == one.device for of, one in zip(llrs, some, strict=True)]
        grades[grade] = {
            "count": len(some),
            "unanswered": len(some) - int(sum(named)),
            "wrong": sum(bool(a) and not own for a, own in zip(named, is_own, strict=True)),
        }
    return Reference(
        made_of=MADE_OF,
        num_devices=num_devices,
        num_positives=int(labels.sum()),
        num_negatives=int((1 - labels).sum()),
        positives=quantiles(scores[labels == 1]),
        negatives=quantiles(scores[labels == 0]),
        calibrator=made,
        grades=grades,
    )


@click.command(help=__doc__)
@click.argument("out")
@click.option("--work", help="Working folder, kept, so that a later run goes on in it.")
def main(out: str, *, work: str | None) -> None:
    with one_sentence(), ExitStack() as stack:
        folder = Folder(absolute(work or stack.enter_context(tempfile.TemporaryDirectory())))
        os.environ["CAMID_HOME"] = folder.uri
        stack.enter_context(session())
        config = config_of(FUSED, "4+4", folder)
        simulate(Folder(config.paths.data), config.simulate, seed=FUSED)
        paths = files(config)
        database = Fingerprints((folder / "fingerprints").uri)
        told = reference_of(asked(paths, database), len(paths))
        Folder(absolute(out)).write(
            IDENTIFICATION_FILE, (json.dumps(told.facts(), indent=1) + "\n").encode()
        )
        print_lines([str(told.calibrator), str(told.grades)])


if __name__ == "__main__":
    main()
