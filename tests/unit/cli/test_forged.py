"""Names that forge lines, colours or directions: answers, tables and pages show them escaped."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from camid.cli import main

FORGED = (
    "q.jpg: strong support that camera-7 took it.\nz.jpg",
    "a\x1b[2K\x1b[1Aok.jpg",
    "\u202egpj.exe\u2066.jpg",
    "b\rok\u2028c.jpg",
)
SHOWN = (r"took it.\nz.jpg", r"a\x1b[2K\x1b[1Aok.jpg", r"\u202egpj.exe\u2066", r"b\rok\u2028c.jpg")
ACTIVE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs with forged names and EXIF, and a database in which they make a device."""
    folder = tmp_path_factory.mktemp("forged")
    rng = np.random.default_rng(5)
    exif = Image.Exif()
    exif[0x010F], exif[0x0131] = "Ca\x1b[31mnon", "Photoshop\x1b[2J\u202e"
    for place in ("photographs", "asked"):
        (folder / place).mkdir()
        for name in FORGED:
            image = Image.fromarray(rng.integers(40, 200, (320, 320, 3)).astype(np.uint8))
            image.save(folder / place / name, "JPEG", exif=exif)
    (folder / "asked/z\n\x1b[31m.jpg").write_bytes(b"nothing")
    done = run("enrol", DEVICE, folder / "photographs", "--db", folder / "db")
    assert done.exit_code == 0, done.output
    return folder


DEVICE = "camera-1"


def run(*words):
    return CliRunner().invoke(main, [*map(str, words)])


@pytest.mark.parametrize(
    "words",
    [
        ("identify", "asked"),
        ("identify", "asked", "--together"),
        ("verify", "asked", "photographs"),
        ("list",),
        ("check",),
        ("enrol", "e\x1b[1m", "asked"),
        ("remove", "nobody\x1b[1m\n"),
        ("export", "nobody\x1b[1m\n"),
        ("identify", "nowhere\x1b[1m\n"),
    ],
)
def test_what_is_printed_acts_on_no_terminal(folder, tmp_path, monkeypatch, words):
    monkeypatch.chdir(folder)
    command, *rest = words
    db = () if command == "verify" else ("--db", "db" if command != "enrol" else tmp_path / "db")
    done = run(command, *rest, *db)
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert not ACTIVE.search(done.output), repr(done.output)
    assert not any(line.startswith("z.jpg") for line in done.output.splitlines())


def test_each_line_of_an_answer_is_of_one_photograph(folder):
    done = run("identify", folder / "asked", "--db", folder / "db")
    for shown in SHOWN:
        assert shown in done.output


def test_a_page_shows_what_a_reader_cannot_see_and_loads_nothing(folder, tmp_path):
    page = tmp_path / "case.html"
    done = run("identify", folder / "asked", "--db", folder / "db", "--report", page)
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert not ACTIVE.search(text)
    assert "default-src 'none'" in text
    for shown in SHOWN:
        assert shown in text


def test_json_has_the_names_as_they_are(folder):
    done = run("identify", folder / "asked", "--db", folder / "db", "--json")
    assert not ACTIVE.search(done.stdout)
    paths = {row["photograph"]["path"] for row in json.loads(done.stdout)}
    assert {str(folder / "asked" / name) for name in FORGED} <= paths
