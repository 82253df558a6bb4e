import hashlib
import os
from pathlib import Path

import pytest

from camid.dataset.records import ImageRecord
from camid.store.source_changes import CHANGED, GONE, SLACK_SECONDS, changes

SLACK = SLACK_SECONDS * 10**9


@pytest.fixture
def record(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"first")
    sha256 = hashlib.sha256(b"first").hexdigest()
    return ImageRecord(image_id="1.jpg", path=str(tmp_path / "1.jpg"), sha256=sha256)


def test_equal_bytes_are_no_change_whatever_their_times(record):
    os.utime(record.path, (1, 1))
    assert list(changes([record, record], made=[0, 0])) == ["", ""]


def test_bytes_of_the_same_size_are_a_change_though_the_time_was_set_back(record):
    path, before = Path(record.path), Path(record.path).stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    written = path.stat().st_ctime_ns
    assert list(changes([record], made=[written])) == [CHANGED]
    assert list(changes([record])) == [CHANGED]


def test_a_photograph_much_older_than_its_chunk_is_not_read(record):
    path = Path(record.path)
    path.write_bytes(b"other")
    written = path.stat().st_ctime_ns
    assert list(changes([record], made=[written + 2 * SLACK])) == [""]
    assert list(changes([record], made=[written + SLACK // 2])) == [CHANGED]


def test_what_is_gone_or_cannot_be_read_says_so(record, tmp_path):
    Path(record.path).unlink()
    assert list(changes([record])) == [GONE]
    Path(record.path).mkdir()
    (said,) = changes([record])
    assert said.startswith("cannot be read: ")
