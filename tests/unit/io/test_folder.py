import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from camid.casework.database import Fingerprints
from camid.casework.photographs import photographs
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


@pytest.fixture
def linked(tmp_path):
    """A folder with links to a folder and a file elsewhere."""
    (tmp_path / "elsewhere/below").mkdir(parents=True)
    (tmp_path / "elsewhere/below/kept.txt").write_bytes(b"kept")
    (tmp_path / "folder/own").mkdir(parents=True)
    (tmp_path / "folder/own/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder/file").symlink_to(tmp_path / "elsewhere/below/kept.txt")
    (tmp_path / "folder/nowhere").symlink_to("gone")
    return Folder(str(tmp_path / "folder"))


@pytest.mark.parametrize("name", ["own", "link", "file", "nowhere", "own/link", ""])
def test_a_link_is_deleted_and_nothing_behind_it(linked, tmp_path, name):
    linked.delete(name)
    assert not os.path.lexists(tmp_path / "folder" / name)
    assert (tmp_path / "elsewhere/below/kept.txt").read_bytes() == b"kept"


@pytest.mark.parametrize("name", ["link/below", "link/below/kept.txt", "own/link/below"])
def test_a_name_behind_a_link_is_not_deleted(linked, tmp_path, name):
    with pytest.raises(OSError, match="link: a link, and nothing that lies behind it is deleted"):
        linked.delete(name)
    assert (tmp_path / "elsewhere/below/kept.txt").read_bytes() == b"kept"


def test_a_folder_that_is_a_link_is_used_as_the_folder_itself(linked, tmp_path):
    linked.delete("link")
    Folder(str(tmp_path / "folder")).write("a.txt", b"a")
    (tmp_path / "other").symlink_to(tmp_path / "folder")
    Folder(str(tmp_path / "other")).delete("a.txt")
    assert not (tmp_path / "folder/a.txt").exists()


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


@pytest.fixture(params=["pipe", "linked pipe", "socket", "device"])
def endless(request, tmp_path):
    """A path at which no file with an end is."""
    path, linked = tmp_path / "x.jpg", tmp_path / "pipe"
    if request.param == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            yield path
        return
    if request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(path if request.param == "pipe" else linked)
        if request.param == "linked pipe":
            path.symlink_to(linked)
    yield path


@pytest.mark.parametrize("read", [Folder.read, Folder.open])
def test_what_has_no_end_is_not_read(endless, read):
    with pytest.raises(OSError, match="not a regular file, but a pipe, a socket or a device"):
        read(Folder(str(endless.parent)), endless.name)


def test_what_has_no_end_is_no_photograph_and_no_entry(endless):
    (refused,) = photographs([str(endless)])
    assert refused.reason.endswith("not a regular file, but a pipe, a socket or a device")
    database = Fingerprints(str(endless.parent / "db"))
    (endless.parent / "db/device=a").mkdir(parents=True)
    endless.rename(endless.parent / "db/device=a/320x320.parquet")
    ((_, reason),) = database.damaged()
    assert reason == "cannot be read: not a regular file, but a pipe, a socket or a device"
