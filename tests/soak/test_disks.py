"""A disk that is full: one sentence, and the same command goes on when there is room."""

import subprocess
from pathlib import Path

import pytest

from tests.commands import FAINT, SMALL, pipeline
from tests.runtime.conftest import contents

pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("as_root")]


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
    small_disk, phones, tmp_path
):
    home = small_disk(300)
    options = [*SMALL, "--store", str(phones / "store"), "--out", str(tmp_path / "out")]
    refused = pipeline("baselines", *options, home=home)
    assert refused.returncode == 2, refused.stderr
    assert "database or disk is full" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr
    small_disk(100_000)
    done = pipeline("baselines", *options, home=home)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(small_disk):
    """Full while photographs are written, then while the store is, then never."""
    for kibibytes in (600, 2600):
        home = small_disk(kibibytes)
        refused = pipeline("baselines", *SMALL, home=home)
        assert refused.returncode == 2, refused.stderr
        said = [line for line in refused.stderr.splitlines() if line.startswith("camid: ")]
        assert len(said) == 1
        assert "cannot be written: no space left on device; make room and run again" in said[0]
        assert str(home) in said[0]
        assert "Traceback" not in refused.stderr
        assert not list(home.rglob("*.part"))
    small_disk(200_000)
    done = pipeline("baselines", *SMALL, home=home)
    assert done.returncode == 0, done.stderr
    assert (home / "runs/baselines/results.json").exists()


def test_a_store_on_another_mount_has_the_same_chunks(small_disk, phones, tmp_path):
    """Nothing can be renamed from one file system to another."""
    mount = small_disk(100_000)
    assert mount.stat().st_dev != phones.stat().st_dev
    options = [*FAINT, "--data", str(phones / "simulated"), "--store", str(mount / "store")]
    done = pipeline("preprocess", *options, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents(mount / "store") == contents(phones / "store")
