"""Files of outputs are read back as they were written, or named with what helps."""

import hashlib
import json
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import numpy as np
import pytest

from camid.io.array_files import arrays_bytes, arrays_of, kept_arrays
from camid.io.csv_tables import csv_rows, write_csv
from camid.io.digested import read_digested, read_json, write_digested, write_json
from camid.io.folder import Folder
from tests.mutations import mutated


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path))


@dataclass
class Kept:
    name: str
    count: int


def test_a_file_is_read_as_it_was_written_and_as_it_was_written_again(folder):
    for value in ({"a": 1.5}, {"a": 2.5}, {"b": 0.0}):
        write_json(folder, "kept.json", value)
        assert read_json(folder, "kept.json", dict[str, float]) == value


def test_sha256sum_checks_the_digests_too(folder, tmp_path):
    for content in (b"first", b"second"):
        write_digested(folder, "part/kept.bin", content)
    command = ["sha256sum", "-c", ".sha256/part/kept.bin"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_an_edited_figure_is_not_read(folder, tmp_path):
    write_json(folder, "results.json", [{"eer": 0.35}])
    (tmp_path / "results.json").write_text(json.dumps([{"eer": 0.01}]))
    with pytest.raises(ValueError, match=r"results\.json: not as it was written: .* --fresh"):
        read_json(folder, "results.json", list[dict[str, float]])


def test_a_file_without_a_digest_is_not_read(folder):
    folder.write("kept.json", b"{}")
    with pytest.raises(ValueError, match="no SHA-256 of it"):
        read_json(folder, "kept.json", dict[str, float])


def test_a_missing_file_is_missing(folder):
    write_json(folder, "kept.json", {})
    folder.delete("kept.json")
    with pytest.raises(FileNotFoundError):
        read_digested(folder, "kept.json")


@pytest.mark.parametrize("text", ["[]", '{"name": "a"}', '{"name": "a", "count": []}', "{", "1e"])
def test_a_value_of_another_type_is_named_with_its_file(folder, text):
    write_digested(folder, "kept.json", text.encode())
    with pytest.raises(ValueError, match=r"kept\.json: not as it was written: .*delete it"):
        read_json(folder, "kept.json", Kept)


def test_a_file_is_read_whole_while_another_writes_it_again_and_again(folder):
    over = Event()

    def write():
        number = 0
        while not over.is_set():
            write_json(folder, "kept.json", {"number": (number := number + 1)})

    with ThreadPoolExecutor(1) as thread:
        write_json(folder, "kept.json", {"number": 0})
        writing = thread.submit(write)
        numbers = [read_json(folder, "kept.json", dict[str, int])["number"] for _ in range(200)]
        over.set()
        writing.result()
    assert numbers == sorted(numbers)
    assert len({*numbers}) > 1


@pytest.mark.parametrize("is_before", [True, False])
def test_a_run_killed_between_file_and_digest_is_read(folder, is_before, monkeypatch):
    write_digested(folder, "kept", b"old")
    write, names = Folder.write, iter(["digest", "file", "digest"])

    def dies(self, name, content):
        if next(names) == "file" or is_before:
            if not is_before:
                write(self, name, content)
            raise KeyboardInterrupt
        write(self, name, content)

    monkeypatch.setattr(Folder, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        write_digested(folder, "kept", b"new")
    assert read_digested(folder, "kept") == (b"old" if is_before else b"new")


def test_no_mutation_of_a_table_is_read_as_other_content(folder, tmp_path):
    rows = [{"device": f"phone {n}", "eer": f"{n / 100}"} for n in range(20)]
    write_csv(folder, "rows.csv", rows)
    sound, choice = (tmp_path / "rows.csv").read_bytes(), random.Random(5)
    for _ in range(300):
        (tmp_path / "rows.csv").write_bytes(mutated(sound, choice))
        with pytest.raises(ValueError, match=r"rows\.csv: not as it was written"):
            csv_rows(folder, "rows.csv")


def test_no_mutation_of_arrays_is_read_as_other_content():
    arrays = {"sums": np.arange(60.0).reshape(3, 20), "names": np.array(["a", "bc"])}
    sound, choice = arrays_bytes(arrays), random.Random(6)
    read = arrays_of(sound)
    assert read.keys() == arrays.keys()
    assert all((read[name] == value).all() for name, value in arrays.items())
    for _ in range(300):
        with pytest.raises(ValueError, match="not as it was written"):
            arrays_of(mutated(sound, choice))


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_what_holds_no_arrays_is_named_with_its_file(folder, content):
    folder.write("part.npz", content + hashlib.sha256(content).digest())
    with pytest.raises(ValueError, match=r"part\.npz: .*; delete it and run again"):
        kept_arrays(folder, "part.npz")
