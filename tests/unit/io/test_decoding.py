"""Files are decoded in a process that can be ended."""

import io
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
from PIL import Image

from camid.io.decoding import decoded_apart
from camid.io.images import decoded_here, pixels

NUM_PIXELS = 250.0


@pytest.fixture
def picture(rng):
    """Return a noisy picture as a file of a format."""

    def saved(form: str, size=(40, 30)) -> bytes:
        file, noise = io.BytesIO(), rng.integers(0, 256, (*size[::-1], 3), np.uint8)
        Image.fromarray(noise).save(file, form)
        return file.getvalue()

    return saved


def decoder() -> psutil.Process:
    (child,) = [c for c in psutil.Process().children() if "_serve" in " ".join(c.cmdline())]
    return child


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "GIF"])
def test_another_process_gives_the_same_pixels_or_reason(picture, form):
    data = picture(form)

    def outcome(decoded):
        try:
            return decoded(data, max_megapixels=NUM_PIXELS).tolist()
        except ValueError as error:
            return str(error)

    assert outcome(decoded_apart) == outcome(decoded_here)


def test_the_process_is_kept_for_the_next_file(picture):
    decoded_apart(picture("PNG"), max_megapixels=NUM_PIXELS)
    first = decoder().pid
    with pytest.raises(ValueError, match="not an image"):
        decoded_apart(b"no image", max_megapixels=NUM_PIXELS)
    decoded_apart(picture("TIFF"), max_megapixels=NUM_PIXELS)
    assert decoder().pid == first


def test_a_process_that_does_not_answer_is_ended_and_the_next_file_is_decoded(picture):
    decoded_apart(picture("PNG"), max_megapixels=NUM_PIXELS)
    stuck = decoder()
    stuck.send_signal(signal.SIGSTOP)
    with pytest.raises(ValueError, match=r"not decoded within 0\.5 s"):
        decoded_apart(picture("PNG"), max_megapixels=NUM_PIXELS, seconds=0.5)
    assert not stuck.is_running()
    assert decoded_apart(picture("PNG"), max_megapixels=NUM_PIXELS).shape == (30, 40, 3)


def test_a_process_that_was_killed_is_begun_anew(picture):
    decoded_apart(picture("PNG"), max_megapixels=NUM_PIXELS)
    decoder().kill()
    assert decoded_apart(picture("PNG"), max_megapixels=NUM_PIXELS).shape == (30, 40, 3)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_who_asks(picture, number, tmp_path):
    (tmp_path / "a.png").write_bytes(picture("PNG"))
    code = (
        "import os, pathlib, sys, time; from camid.io.images import pixels;"
        "pixels(pathlib.Path(sys.argv[1]).read_bytes()); print('ready', flush=True); time.sleep(99)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as asking:
        assert asking.stdout.readline() == b"ready\n"
        (child,) = psutil.Process(asking.pid).children()
        asking.send_signal(number)
        asking.wait()
        gone, left = psutil.wait_procs([child], timeout=10)
    assert gone
    assert not left


def test_a_script_without_a_guard_decodes(picture, tmp_path):
    """The process runs nothing of the program that asks."""
    (tmp_path / "a.png").write_bytes(picture("PNG"))
    (tmp_path / "script.py").write_text(
        "import pathlib; from camid.io.images import pixels\n"
        "print(pixels((pathlib.Path(__file__).parent / 'a.png').read_bytes()).shape)\n"
    )
    command = [sys.executable, str(tmp_path / "script.py")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "(30, 40, 3)\n"


def test_bytes_far_beyond_the_pixels_are_no_photograph(picture):
    data = picture("PNG")
    with pytest.raises(ValueError, match="bytes for 40x30 px, which no photograph is"):
        pixels(data + bytes(2**28 + 16 * 40 * 30))
