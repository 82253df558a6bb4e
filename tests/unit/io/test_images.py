import io

import numpy as np
import pytest
from PIL import Image

from camid.io.images import header, pixels, unreadable_reason
from camid.prnu.luminance import grey

GRADIENT = np.arange(40 * 60 * 3, dtype=np.uint32).reshape(40, 60, 3).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_recorded_and_never_applied(kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    image = Image.fromarray(GRADIENT)
    lossless = {"lossless": True} if kind == "WEBP" else {}
    plain = pixels(encoded(image, kind, **lossless))
    data = encoded(image, kind, exif=exif, **lossless)
    head = header(io.BytesIO(data))
    assert (head.width, head.height, head.orientation) == (60, 40, orientation)
    np.testing.assert_array_equal(pixels(data), plain)


def test_lossless_pixels_come_back_as_they_were():
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(GRADIENT), "PNG")), GRADIENT)


def test_grey_images_have_three_equal_planes():
    plane = GRADIENT[:, :, 0]
    found = pixels(encoded(Image.fromarray(plane), "PNG"))
    np.testing.assert_array_equal(found, np.repeat(plane[:, :, None], 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_samples_keep_their_upper_eight(kind):
    deep = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    found = pixels(encoded(Image.fromarray(deep), kind))
    np.testing.assert_array_equal(found[:, :, 0], deep >> 8)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK"])
def test_every_colour_mode_becomes_rgb(mode):
    image = Image.fromarray(GRADIENT).convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    found = pixels(encoded(image, kind))
    assert (found.shape, found.dtype) == ((40, 60, 3), np.uint8)


def test_a_truncated_file_has_a_header_and_no_pixels():
    data = encoded(Image.fromarray(GRADIENT), "JPEG", quality=95)
    cut = data[: len(data) * 2 // 3]
    assert header(io.BytesIO(cut)).width == 60
    with pytest.raises(ValueError, match="cannot be decoded: a part of the image is missing"):
        pixels(cut)


def test_what_is_no_image_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="not an image in one of the formats JPEG, PNG, TIFF"):
        header(io.BytesIO(b"camera" * 100))
    bomb = encoded(Image.new("1", (3000, 3000)), "PNG")
    with pytest.raises(ValueError, match="3000x3000 px is beyond the limit of 8 megapixels"):
        header(io.BytesIO(bomb), max_megapixels=8)


def test_make_model_and_lens_are_read_without_padding():
    exif = Image.Exif()
    exif[271], exif[272] = "Aurora\x00 ", "A1\n"
    exif.get_ifd(0x8769)[0xA434] = "f/1.8"
    head = header(io.BytesIO(encoded(Image.fromarray(GRADIENT), "JPEG", exif=exif)))
    assert (head.make, head.model, head.lens) == ("Aurora", "A1", "f/1.8")


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        ("a.JPG", 10, ""),
        ("a.jpg", 0, "empty file (0 bytes)"),
        ("a.mp4", 10, "a video (.mp4)"),
        ("a.DNG", 10, "a raw file (.dng), which is not read; develop it to TIFF or JPEG"),
        ("a.heic", 9, "a HEIF file (.heic), which is not read; convert it to JPEG at full quality"),
        ("README", 10, "not a photograph that is read (no suffix)"),
    ],
)
def test_a_name_tells_what_cannot_be_a_photograph(name, size, reason):
    assert unreadable_reason(name, size) == reason


def test_grey_of_grey_is_the_same():
    plane = np.full((5, 5, 3), 117, np.uint8)
    np.testing.assert_allclose(grey(plane), 117, rtol=1e-6)


@pytest.mark.parametrize(
    ("software", "shot", "expected"),
    [
        ("Adobe Photoshop 25.0 (Macintosh)", {}, ("written by Adobe Photoshop 25.0 (Macintosh)",)),
        ("GIMP 2.10", {0xA404: 2.0}, ("written by GIMP 2.10", "digital zoom 2")),
        ("", {0xA401: 8}, ("portrait mode",)),
        ("HDR+ 1.0.345618096zd", {0xA404: 1.0, 0xA401: 1}, ()),
        ("17.5.1", {0xA404: 0.0}, ()),
    ],
)
def test_traces_of_processing_are_read_from_exif(software, shot, expected):
    exif = Image.Exif()
    exif[0x0131] = software
    exif.get_ifd(0x8769).update(shot)
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "JPEG", exif=exif)
    buffer.seek(0)
    assert header(buffer).processing == expected


def test_a_focal_length_is_read_and_a_broken_one_is_none():
    for value, expected in ((5.4, 5.4), (0.0, 0.0)):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x920A] = value
        buffer = io.BytesIO()
        Image.new("RGB", (64, 48)).save(buffer, "JPEG", exif=exif)
        buffer.seek(0)
        assert header(buffer).focal_length == expected
