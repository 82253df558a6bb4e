import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from camid.io.folder import Folder, absolute
from tests.unit.conftest import as_nobody


def test_paths_become_absolute_and_addresses_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b") == str(tmp_path / "b")
    assert absolute("s3://bucket/store/") == "s3://bucket/store"
    odd = absolute("s3://bucket/My 100% é#1+/x?endpoint_override=a:9")
    assert odd == "s3://bucket/My%20100%25%20%C3%A9%231+/x?endpoint_override=a:9"
    assert absolute(odd) == odd
    with pytest.raises(ValueError, match="got an empty string"):
        absolute("")


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_what_is_written_is_read_back(tmp_path, scheme):
    folder = Folder(f"{scheme}{tmp_path}/new")
    assert not folder.exists()
    assert folder.files() == []
    folder.write("a/b.txt", b"one")
    folder.write("a/c.txt", lambda sink: sink.write(b"three"))
    assert folder.files() == ["a/b.txt", "a/c.txt"]
    assert (folder.read("a/b.txt"), folder.size("a/c.txt")) == (b"one", 5)
    assert (folder / "a").exists("c.txt")
    folder.delete("a/b.txt")
    folder.delete("a/b.txt")
    folder.delete("a")
    assert folder.files() == []


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    folder = Folder(str(tmp_path))
    folder.write("a.txt", b"old")

    def fails(sink):
        sink.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.write("a.txt", fails)
    assert folder.files() == ["a.txt"]
    assert folder.read("a.txt") == b"old"


def test_a_folder_that_cannot_be_listed_stands_for_what_is_in_it():
    with TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        for name in ("open/1.jpg", "closed/2.jpg"):
            Folder(place).write(name, b"x")
        (Path(place) / "closed").chmod(0)
        with as_nobody():
            assert Folder(place).files() == ["closed", "open/1.jpg"]
            with pytest.raises(ValueError, match="a folder where a file is expected; see its perm"):
                Folder(place).size("closed")
        (Path(place) / "closed").chmod(0o755)


def test_a_file_s_change_is_never_before_its_modification(tmp_path):
    folder = Folder(str(tmp_path))
    folder.write("a.txt", b"x")
    os.utime(tmp_path / "a.txt", (1, 1))
    assert folder.modified("a.txt") == 10**9 < folder.changed("a.txt")
    with pytest.raises(FileNotFoundError, match="b.txt"):
        folder.modified("b.txt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        Folder(str(tmp_path)).size("nothing")


@pytest.mark.parametrize(
    "root",
    ["/data/a b", "s3://bucket/päth", "s3://b/x?endpoint_override=127.0.0.1%3A9&scheme=http", "/"],
)
@pytest.mark.parametrize("name", ["1.jpg", "a b/ü#1%41?.jpg"])
def test_an_address_is_taken_apart_into_what_it_was_made_of(root, name):
    folder, last = Folder.at(Folder(root).address(name))
    if "/" in name:
        assert last == name.rsplit("/", 1)[1]
        assert folder.uri == Folder(root).address(name.rsplit("/", 1)[0])
    else:
        assert (folder.uri, last) == (root, name)
