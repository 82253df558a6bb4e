"""Whatever is done to a file's bytes, it is read or refused in a sentence, soon and in memory."""

import json
import subprocess
import sys

import pytest

from tests.commands import ROOT
from tests.soak.fuzzing import KINDS, MOST_SECONDS

pytestmark = pytest.mark.soak

COUNT = 65
"""Mutations of each kind: 2,000 in all."""
MANY = 10 * COUNT


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_read_or_refused(kind, tmp_path, seed):
    check(kind, tmp_path, first=1_000_000 * seed, count=COUNT)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutated_files_are_read_or_refused(kind, tmp_path, seed):
    check(kind, tmp_path, first=1_000_000 * seed + COUNT, count=MANY)


def check(kind, root, *, first, count):
    command = [sys.executable, "-m", "tests.soak.fuzzing", kind, str(root), str(first), str(count)]
    limit = MOST_SECONDS * count
    with (root / "out").open("w+") as out, (root / "err").open("w+") as err:
        code = subprocess.run(
            command, cwd=ROOT, stdout=out, stderr=err, timeout=limit, check=False
        ).returncode
    lines = [json.loads(line) for line in (root / "out").read_text().splitlines()]
    faults = [line for line in lines if "fault" in line]
    assert code == 0, (lines[-1:], (root / "err").read_text()[-2000:])
    assert not faults
    counts = lines[-1]["counts"]
    assert counts["read"] + counts["refused"] == count
    print(kind, counts)
