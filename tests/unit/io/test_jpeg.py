"""JPEG files: what is not in them is not made up, and no file takes long for its size."""

import io

import numpy as np
import pytest
from PIL import Image

from camid.io.images import header, pixels
from camid.io.jpeg import MOST_SCANS, MOST_SEGMENTS

WIDTH, HEIGHT = 400, 300


def smooth_noise(height, width):
    """Return pixels with noise on a gradient, as photographs have them."""
    rng = np.random.default_rng(4)
    light = np.linspace(30, 220, height)[:, None, None] + np.linspace(-20, 20, width)[:, None]
    return np.clip(light + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


def jpeg(**options):
    levels = smooth_noise(HEIGHT, WIDTH)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def scans(data):
    """Return where the scans of a file begin."""
    return [place for place in range(len(data)) if data[place : place + 2] == b"\xff\xda"]


KINDS = {
    "sequential": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 3},
    "whole colours": {"subsampling": 0},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_whole_files_have_pillow_s_pixels(options):
    data = jpeg(**options)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(pixels(data), np.asarray(image))


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_other_colours_have_pillow_s_pixels(mode):
    file = io.BytesIO()
    Image.fromarray(smooth_noise(HEIGHT, WIDTH)).convert(mode).save(file, "JPEG")
    with Image.open(file) as image:
        np.testing.assert_array_equal(pixels(file.getvalue()), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_a_file_that_was_cut_and_ended_properly_is_refused(options, share):
    data = jpeg(**options)
    begun = scans(data)[0] + 20
    cut = data[: begun + round(share * (len(data) - begun))] + b"\xff\xd9"
    assert header(io.BytesIO(cut)).width == WIDTH
    with pytest.raises(ValueError, match="cannot be decoded: a part of the image is missing"):
        pixels(cut)


@pytest.mark.parametrize("kept", [1, 2, -1])
def test_a_progressive_file_without_its_last_scans_is_refused(kept):
    data = jpeg(progressive=True)
    with pytest.raises(ValueError, match="missing: the last scans of a progressive file"):
        pixels(data[: scans(data)[kept]] + b"\xff\xd9")


@pytest.mark.parametrize("height", [65_500, 20_000, 2 * HEIGHT])
def test_more_rows_than_are_there_are_refused(height):
    data = bytearray(jpeg())
    place = data.find(b"\xff\xc0") + 5
    data[place : place + 2] = height.to_bytes(2, "big")
    with pytest.raises(ValueError, match="is missing|which no photograph is"):
        pixels(bytes(data))


def test_lost_pieces_within_the_file_are_refused():
    data = jpeg(restart_marker_blocks=3)
    first = data.find(b"\xff\xd3", len(data) // 2)
    second = data.find(b"\xff\xd3", first + 2)
    for damaged in (data[: first - 300] + data[first:], data[:first] + data[second:]):
        with pytest.raises(ValueError, match="a part of the image is missing"):
            pixels(damaged)
    zeros = jpeg()
    zeros = zeros[: len(zeros) // 2] + bytes(3000) + zeros[len(zeros) // 2 + 3000 :]
    with pytest.raises(ValueError, match="missing or damaged"):
        pixels(zeros)


def test_what_follows_the_image_is_no_part_of_it():
    data = jpeg()
    for after in (b"x" * 1000, jpeg(progressive=True), bytes(9)):
        np.testing.assert_array_equal(pixels(data + after), pixels(data))
    np.testing.assert_array_equal(pixels(data[:-2] + bytes(30) + data[-2:]), pixels(data))


def test_too_many_scans_are_refused():
    data = jpeg(progressive=True)
    last = scans(data)[-1]
    bomb = data[:last] + data[last:-2] * (MOST_SCANS + 1) + data[-2:]
    with pytest.raises(ValueError, match=f"more than {MOST_SCANS} scans"):
        pixels(bomb)


@pytest.mark.parametrize("number", [MOST_SEGMENTS, 1_000_000])
def test_too_many_segments_are_refused(number):
    data = jpeg()
    bomb = data[:2] + b"\xff\xef\x00\x02" * number + data[2:]
    for read in (lambda: header(io.BytesIO(bomb)), lambda: pixels(bomb)):
        with pytest.raises(ValueError, match=f"more than {MOST_SEGMENTS:,} segments"):
            read()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_many_pixels_in_few_bytes_are_refused(kind):
    file = io.BytesIO()
    Image.new("1" if kind == "PNG" else "RGB", (9000, 9000)).save(file, kind, lossless=True)
    with pytest.raises(ValueError, match="9000x9000 px in [0-9,]+ bytes, which no photograph is"):
        header(file)
