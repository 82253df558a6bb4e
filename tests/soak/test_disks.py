"""A disk that is full: one sentence, and the same command goes on when there is room."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.runtime.conftest import contents
from tests.test_pipelines import SMALL, pipeline

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk"),
]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, and a function that gives it another size, KiB."""
    place = tmp_path / "disk"
    place.mkdir()

    def sized(kibibytes: int) -> Path:
        how = "remount," if place.is_mount() else ""
        options = ["-t", "tmpfs", "-o", f"{how}size={kibibytes}k"]
        subprocess.run(["mount", *options, "tmpfs", str(place)], check=True)
        return place

    yield sized
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_under_mlflow_is_one_sentence_and_the_same_command_goes_on(
    small_disk, tmp_path
):
    home = small_disk(300)
    refused = pipeline("demo", *SMALL, "--out", str(tmp_path / "out"), home=home)
    assert refused.returncode == 2, refused.stderr
    assert "database or disk is full" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr
    small_disk(100_000)
    done = pipeline("demo", *SMALL, "--out", str(tmp_path / "out"), home=home)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(small_disk, tmp_path):
    """Full while photographs are written, then while the store is, then never."""
    for kibibytes in (600, 2600):
        out = small_disk(kibibytes) / "out"
        refused = pipeline("demo", *SMALL, "--out", str(out), home=tmp_path)
        assert refused.returncode == 2, refused.stderr
        said = [line for line in refused.stderr.splitlines() if line.startswith("camid: ")]
        assert len(said) == 1
        assert "cannot be written: no space left on device; make room and run again" in said[0]
        assert str(out) in said[0]
        assert "Traceback" not in refused.stderr
        assert not list(out.rglob("*.part"))
    small_disk(200_000)
    done = pipeline("demo", *SMALL, "--out", str(out), home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (out / "results.json").exists()


def test_a_store_on_another_mount_has_the_same_chunks(small_disk, tmp_path):
    """Nothing can be renamed from one file system to another."""
    mount = small_disk(100_000)
    assert mount.stat().st_dev != tmp_path.stat().st_dev
    for store in (tmp_path / "store", mount / "store"):
        data = ["--data", str(tmp_path / "simulated")] if store.parent == mount else []
        done = pipeline("preprocess", *SMALL, *data, "--store", str(store), home=tmp_path)
        assert done.returncode == 0, done.stderr
    assert contents(mount / "store") == contents(tmp_path / "store")
