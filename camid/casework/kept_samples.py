"""Samples of images that wait on disk, whole or their middles: at most one is in memory."""

import os
import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np

from camid.casework.fingerprint_sums import Sample

CENTRE = 1024
"""Pixels a side of the middle in which images are compared."""
Window = tuple[slice, slice]


def whole(shape: tuple[int, int]) -> Window:
    """Return the window of all of an image ``(height, width)``."""
    return slice(0, shape[0]), slice(0, shape[1])


def middle(shape: tuple[int, int]) -> Window:
    """Return the middle of an image, about :data:`CENTRE` pixels a side, as far from both edges."""
    tops = [max(0, (side - CENTRE + 1) // 2) for side in shape]
    return slice(tops[0], shape[0] - tops[0]), slice(tops[1], shape[1] - tops[1])


class KeptSamples:
    """Samples in a temporary file, by name; a context manager."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.names: list[str] = []
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed by the context)

    def __enter__(self) -> "KeptSamples":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def keep(self, name: str, sample: Sample) -> None:
        """Keep a sample's window."""
        self._file.seek(0, os.SEEK_END)
        for plane in sample:
            self._file.write(np.ascontiguousarray(plane[self.window]).tobytes())
        self.names.append(name)

    def samples(self) -> Iterator[tuple[str, Sample]]:
        """Yield names and samples in order."""
        height, width = (side.stop - side.start for side in self.window)
        size = height * width
        self._file.seek(0)
        for name in self.names:
            noise = np.frombuffer(self._file.read(size), np.int8).reshape(height, width)
            weight = np.frombuffer(self._file.read(size), np.uint8).reshape(height, width)
            yield name, Sample(noise, weight)

    def clear(self) -> None:
        """Forget all samples."""
        self.names.clear()
        self._file.seek(0)
        self._file.truncate()
