import pytest

from camid.folder import Folder, absolute


def test_paths_become_absolute_and_addresses_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b") == str(tmp_path / "b")
    assert absolute("s3://bucket/store/") == "s3://bucket/store"
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
