"""A fingerprint's file: what is read is what was written, or a sentence that names the file."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from camid.comparison.fingerprint_file import (
    FingerprintFile,
    enrolment_digest,
    fingerprint_name,
    write_fingerprint,
)
from camid.io.folder import Folder
from tests.unit.stores import Chunk

DEVICES = {"a": [Chunk(images=6)]}


@pytest.fixture
def written(store, tmp_path):
    """A folder with a fingerprint, and its patterns by position."""
    folder = Folder(str(tmp_path))
    images = tuple(store.images())
    write_fingerprint(folder, store, images)
    return folder, patterns(folder)


def patterns(folder):
    with FingerprintFile(folder, "a") as file:
        return {position: file.read(position) for position in file.positions}


def test_it_is_of_its_images(store, written):
    folder, _ = written
    with FingerprintFile(folder, "a") as file:
        assert file.digest == enrolment_digest(store, store.images())


def test_no_changed_byte_is_read_as_other_content(written):
    folder, expected = written
    data = folder.read(fingerprint_name("a"))
    rng, told = np.random.default_rng(5), list[str]()
    for _ in range(300):
        changed = bytearray(data)
        place, count = int(rng.integers(len(data))), int(rng.choice([1, 4, 64]))
        for at in range(place, min(place + count, len(data))):
            changed[at] ^= int(rng.integers(1, 256))
        folder.write(fingerprint_name("a"), bytes(changed))
        try:
            found = patterns(folder)
        except ValueError as error:
            told.append(str(error))
            continue
        assert found.keys() == expected.keys()
        for position, pattern in found.items():
            np.testing.assert_array_equal(pattern, expected[position])
    assert len(told) > 50
    assert all("device=a.parquet: not as it was written" in words for words in told)
    assert all(words.endswith("delete it and run again") for words in told)


@pytest.mark.parametrize("field", ["size", "digest", "device", "seal"])
def test_facts_that_were_changed_are_told(written, field):
    folder, _ = written
    name = fingerprint_name("a")
    table = pq.read_table(f"{folder.local_path}/{name}")
    facts = json.loads(table.schema.metadata[b"camid.pattern"])
    for changed in (facts | {field: 1}, {k: v for k, v in facts.items() if k != field}):
        metadata = {b"camid.pattern": json.dumps(changed)}
        pq.write_table(table.replace_schema_metadata(metadata), f"{folder.local_path}/{name}")
        with pytest.raises(ValueError, match="not as it was written"):
            FingerprintFile(folder, "a")
