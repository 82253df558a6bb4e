"""Entries that others made: whatever their facts say, commands list, refuse and remove them."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from camid.casework.database import Fingerprints
from camid.casework.database_check import REPLACED, problems
from camid.casework.entry_facts import LONGEST, name_problem
from camid.casework.fingerprint_sums import EnrolledImage, Sample, Sums
from camid.cli import main

SIDE = 256
KEY = b"camid.fingerprint"


def sums(seed):
    rng, made = np.random.default_rng(seed), Sums.empty(SIDE, SIDE)
    for number in range(4):
        noise = rng.integers(-20, 20, (SIDE, SIDE)).astype(np.int8)
        image = EnrolledImage(sha256=f"{number:064x}", name=f"{number}.jpg", content="0f" * 32)
        made = made.plus(image, Sample(noise, np.full((SIDE, SIDE), 128, np.uint8)))
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A database of two devices, ``a`` and ``b``."""
    folder = tmp_path_factory.mktemp("whole")
    for seed, device in enumerate("ab"):
        Fingerprints(str(folder)).write(device, sums(seed))
    return folder


@pytest.fixture
def database(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "db")
    return Fingerprints(str(tmp_path / "db"))


def resealed(database, change, *, columns=None):
    """Change the facts of the entry of ``a``, and seal them again."""
    (name,) = [name for name in database.folder.files() if "=a/" in name]
    path = Path(database.uri) / name
    table = pq.read_table(path)
    facts = json.loads(table.schema.metadata[KEY])
    del facts["seal"]
    changed = change(facts)
    facts = facts if changed is None else changed
    if isinstance(facts, dict):
        text = json.dumps(facts, sort_keys=True)
        facts["seal"] = hashlib.sha256(text.encode()).hexdigest()
    text = facts if isinstance(facts, str) else json.dumps(facts)
    table = columns(table) if columns else table
    pq.write_table(table.replace_schema_metadata({KEY: text}), path)
    return name


FIELDS = (
    *("schema_version", "device", "make", "model", "lens", "width", "height", "sha256s"),
    *("split_half", "warnings", "contents", "images", "step", "noise_step"),
    *("pattern_digest", "sums_digest"),
)
VALUES = {
    "null": None,
    "list": [[1]],
    "number": -7,
    "float": 1e400,
    "text": "x" * 100_000,
    "object": {"a": {}},
    "true": True,
}


def run(*words):
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def is_listed(database, name):
    """Return whether an entry is listed as damaged, while the other one serves."""
    (entry,) = database.entries()
    assert entry.device == "b"
    ((damaged, reason),) = database.damaged()
    assert damaged == name
    assert reason
    assert len(reason) < 1000
    listed = run("list", "--db", database.uri)
    assert (listed.exit_code, name in listed.output) == (0, True), listed.output
    return True


@pytest.mark.parametrize("field", FIELDS)
def test_a_fact_that_is_missing_is_damage(database, field):
    def change(facts):
        del facts[field]

    if field == "contents":  # entries of before had none
        resealed(database, change)
        assert len(database.entries()) == 2
    else:
        assert is_listed(database, resealed(database, change))


OTHER_TYPES = [
    (field, value)
    for field in FIELDS
    for value in VALUES.values()
    if (field, value) != ("split_half", None)  # of an entry whose halves are not both there
    and not (field in {"make", "model", "lens"} and isinstance(value, str))
]


@pytest.mark.parametrize(("field", "value"), OTHER_TYPES)
def test_a_fact_of_another_type_is_damage(database, field, value):
    assert is_listed(database, resealed(database, lambda facts: facts.update({field: value})))


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["images"][0].update(turn=90),
        lambda facts: facts["images"][0].update(sha256="g" * 64),
        lambda facts: facts["images"][0].update(name=3),
        lambda facts: facts["images"].reverse(),
        lambda facts: facts.update(images=[], sha256s=[]) or facts.update(images=[1]),
        lambda facts: facts.update(sha256s=facts["sha256s"][:-1]),
        lambda facts: facts.update(contents=facts["contents"][:-1]),
        lambda facts: facts.update(width=SIDE * 2, height=SIDE // 2),
        lambda facts: facts.update(width=10**12),
        lambda facts: facts.update(device="b"),
        lambda facts: facts.update(device="a\x1b[31m"),
        lambda facts: facts.update(device="a\u202e"),
        lambda _: "[" * 100_000,
        lambda _: '{"a":' * 100_000,
        lambda _: "[]",
        lambda _: "",
        lambda _: '{"schema_version": 1, "seal": 1}',
    ],
)
def test_facts_that_do_not_fit_are_damage(database, change):
    assert is_listed(database, resealed(database, change))


@pytest.mark.parametrize(
    "columns",
    [
        lambda table: table.drop_columns("pattern"),
        lambda table: table.slice(0, 10),
        lambda table: table.rename_columns(["x", *table.column_names[1:]]),
        lambda table: table.set_column(0, "pattern", table["products_0"]),
    ],
)
def test_columns_that_do_not_fit_are_damage(database, columns):
    assert is_listed(database, resealed(database, lambda _: None, columns=columns))


def test_a_damaged_entry_is_removed_and_leaves_the_others(database):
    resealed(database, lambda facts: facts.update(width="x"))
    assert run("remove", "a", "--db", database.uri).exit_code == 0
    assert [entry.device for entry in database.entries()] == ["b"]
    assert database.damaged() == []


def test_a_pattern_that_was_replaced_and_sealed_again_is_told(database, tmp_path):
    other = Fingerprints(str(tmp_path / "other"))
    entry = other.write("a", sums(7))
    theirs = pq.read_table(tmp_path / "other" / entry.file)
    digest = json.loads(theirs.schema.metadata[KEY])["pattern_digest"]
    resealed(
        database,
        lambda facts: facts.update(pattern_digest=digest),
        columns=lambda table: table.set_column(0, "pattern", theirs["pattern"]),
    )
    assert len(database.entries()) == 2
    told = [sentence for sentence in problems(database) if REPLACED in sentence]
    assert told == [f"a/256x256: {REPLACED}"]


@pytest.mark.parametrize(
    "name", ["", " ", "a ", " a", "a\n", "a\x1b[1m", "a\u202eb", "\u200b", "x" * (LONGEST + 1)]
)
def test_names_that_look_like_others_are_no_devices(name):
    assert name_problem(name)


@pytest.mark.parametrize("name", ["a", "Zoë's phone", "日本", "a/b", "x" * LONGEST])
def test_other_names_are(name):
    assert name_problem(name) == ""
