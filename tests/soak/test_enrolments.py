"""Enrolment that is killed, again and again, ends with the bytes of an undisturbed one."""

import random
import subprocess
import sys

import pytest

from camid.casework.database import Fingerprints
from camid.casework.growing_entry import KEPT_EVERY
from camid.config import Simulate
from camid.dataset.simulate import phones

pytestmark = pytest.mark.soak

NUM = 3 * KEPT_EVERY + 2
SETTINGS = Simulate(num_devices=1, num_models=1, sizes=((384, 320),), portraits=0.0)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    (phone,) = phones(SETTINGS, seed=3)
    for number in range(NUM):
        (folder / f"{number:02d}.jpg").write_bytes(phone.photograph("background", number))
    return folder


def enrolment(photographs, database):
    command = "from camid.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", command, "enrol", "mine", str(photographs), "--db", str(database)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2))])
def test_kill_9_of_an_enrolment_loses_a_few_photographs_and_changes_no_byte(
    photographs, tmp_path, seed, number
):
    choice, database = random.Random(f"{seed} {number}"), Fingerprints(str(tmp_path / "db"))
    kept = 0
    while kept < NUM - KEPT_EVERY:
        process = enrolment(photographs, database.uri)
        begun = kept + choice.randint(KEPT_EVERY + 1, 2 * KEPT_EVERY)
        words = [process.stderr.readline() for _ in range(min(begun, NUM))]
        assert all(f"of {NUM}" in line for line in words)
        process.kill()
        process.communicate()
        entries = database.entries()
        assert not database.damaged()
        now = entries[0].num_images if entries else 0
        assert now >= kept + KEPT_EVERY
        kept = now
    said, _ = enrolment(photographs, database.uri).communicate()
    assert sorted(path.suffix for path in (tmp_path / "db/device=mine").iterdir()) == [
        "",
        ".parquet",
    ]
    assert f"{NUM - kept} accepted, {kept} skipped" in said
    whole = Fingerprints(str(tmp_path / "whole"))
    enrolment(photographs, whole.uri).communicate()
    (entry,) = whole.entries()
    assert entry.num_images == NUM
    assert whole.folder.read(entry.file) == database.folder.read(entry.file)
