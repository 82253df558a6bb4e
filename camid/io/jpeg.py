"""JPEG files, decoded without what a decoder makes up for data that are not there.

A file that was cut and ended properly is a whole one to most programs: they fill the rest with grey
or with the last row's colour, and say nothing. Here the decoder's warnings are heard, and a
progressive file has all its scans. Markers are those of ITU-T T.81.
"""

import re
from collections.abc import Iterator
from typing import IO

import numpy as np
import simplejpeg
from numpy.typing import NDArray

MOST_SEGMENTS = 4096
"""Segments of a file at most: a photograph has dozens, and hundreds with much metadata."""
MOST_SCANS = 64
"""Scans of a file at most: each takes as long as an image, and encoders write about ten."""
EXTRANEOUS = 64
"""Bytes between the last block and the end of a file that some cameras leave, at most."""

_END, _SCAN, _PROGRESSIVE = 0xD9, 0xDA, 0xC2
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7\x01])")
_PADDED = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_HARMLESS = re.compile(r"Invalid SOS parameters|Adobe color transform|JFIF major revision")
_DECODED = {"YCbCr", "RGB", "Gray"}


def is_jpeg(file: IO[bytes]) -> bool:
    """Return whether an open file begins as JPEG files do; it is at its beginning again."""
    begins = file.read(2) == b"\xff\xd8"
    file.seek(0)
    return begins


def check_segments(file: IO[bytes]) -> None:
    """Check that an open JPEG file has no more segments before its image than one would.

    The file is at its beginning again.

    Raises
    ------
    ValueError
        If it has more; programs take seconds for millions of empty ones.
    """
    place = 2
    for _ in range(MOST_SEGMENTS):
        file.seek(place)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == _SCAN:
            break
        place += 2 + int.from_bytes(head[2:], "big") if head[1] != 0xFF else 1
    else:
        raise ValueError(f"more than {MOST_SEGMENTS:,} segments before its image")
    file.seek(0)


def decoded_jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """Return the pixels of a JPEG file's first image ``(height, width, 3)``, RGB.

    None for the colours of printing (CMYK, YCCK), which are left to other decoders.

    Raises
    ------
    ValueError
        With the reason, if the file cannot be decoded, or a part of the image is not in it.
    """
    _check_scans(data)
    try:
        if simplejpeg.decode_jpeg_header(data, strict=False)[2] not in _DECODED:
            return None
    except KeyError:  # of a number of components that it has no name for
        return None
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, strict=True), np.uint8)
    except ValueError as error:
        padded = _PADDED.search(str(error))
        is_padded = padded is not None and int(padded[1]) <= EXTRANEOUS
        if not (is_padded or _HARMLESS.search(str(error))):
            raise ValueError(f"a part of the image is missing or damaged: {error}") from None
    return np.asarray(simplejpeg.decode_jpeg(data, strict=False), np.uint8)


def _check_scans(data: bytes) -> None:
    """Check that an image has not too many scans and, if progressive, each coefficient's last bit.

    Raises
    ------
    ValueError
        If it has more than :data:`MOST_SCANS`, or lacks some.
    """
    num_scans, bits = 0, dict[int, NDArray[np.int64]]()
    for marker, body in _segments(data):
        if marker == _PROGRESSIVE and len(body) >= 6:
            bits = {number: np.full(64, 99) for number in body[6 : 6 + 3 * body[5] : 3]}
        elif marker == _SCAN and body:
            num_scans += 1
            if num_scans > MOST_SCANS:
                raise ValueError(f"more than {MOST_SCANS} scans")
            end = 1 + 2 * body[0]
            if len(body) >= end + 3:
                first, last, approximation = body[end : end + 3]
                for number in set(body[1:end:2]) & bits.keys():
                    bits[number][first : last + 1] = approximation & 15
    if any(left.any() for left in bits.values()):
        raise ValueError("a part of the image is missing: the last scans of a progressive file")


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the markers of the first image, each with the bytes of its segment."""
    place = 2
    for _ in range(MOST_SEGMENTS):
        marker = _MARKER.search(data, place)
        if marker is None or marker[1][0] == _END:
            return
        start = marker.end()
        length = int.from_bytes(data[start : start + 2], "big")
        yield marker[1][0], data[start + 2 : start + length]
        place = start + max(length, 2)
    raise ValueError(f"more than {MOST_SEGMENTS:,} segments")
