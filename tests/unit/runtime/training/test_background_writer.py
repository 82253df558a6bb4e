from threading import Event

import pytest

from camid.io.folder import Folder
from camid.runtime.training.worker import BackgroundWriter


def test_a_writer_returns_before_files_are_written_and_tells_when_they_are(tmp_path):
    may_end, told = Event(), list[bytes]()

    def tell() -> None:
        told.append((tmp_path / "a").read_bytes())
        assert may_end.wait(60)

    with BackgroundWriter(Folder(str(tmp_path))) as writer:
        writer.write({"a": b"one"}, tell)
        may_end.set()
        writer.write({"a": b"two", "b": b"more"}, tell)
        writer.wait()
    assert told == [b"one", b"two"]
    assert (tmp_path / "b").read_bytes() == b"more"


def test_leaving_a_writer_leaves_nothing_unwritten(tmp_path):
    with BackgroundWriter(Folder(str(tmp_path))) as writer:
        writer.write({"a": b"x" * 10_000_000}, lambda: None)
    assert (tmp_path / "a").stat().st_size == 10_000_000


def test_a_file_that_cannot_be_written_is_the_error_of_the_next_step(tmp_path):
    (tmp_path / "a").mkdir()
    told = []
    with BackgroundWriter(Folder(str(tmp_path))) as writer:
        writer.write({"a": b"one", "b": b"two"}, lambda: told.append("written"))
        with pytest.raises(OSError, match="a"):
            writer.write({"c": b"three"}, lambda: told.append("written"))
        with pytest.raises(OSError, match="a"):
            writer.wait()
    assert not told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
