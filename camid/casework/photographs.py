"""The photographs of a case: read as stored, hashed and graded, or refused with a reason."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.casework.decisions import REFUSED, UNREADABLE
from camid.casework.quality import Quality, Visibility, quality
from camid.io.folder import endless_reason
from camid.io.images import (
    HEIF_SUFFIXES,
    RAW_SUFFIXES,
    SUFFIXES,
    Header,
    header,
    pixels,
    quiet,
    unreadable_reason,
)

NAMED = SUFFIXES | RAW_SUFFIXES | HEIF_SUFFIXES
"""Suffixes of photographs in folders, which are read or refused; other files are ignored."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Photograph:
    """A photograph that was read."""

    path: str
    sha256: str
    rgb: NDArray[np.uint8]
    """``(height, width, 3)`` as stored; EXIF orientation is not applied."""
    claimed: str
    """Make and model by its EXIF."""
    processing: tuple[str, ...] = ()
    """Traces of processing by its EXIF (:class:`camid.io.images.Header`)."""
    quality: Quality

    @property
    def size(self) -> str:
        """Width and height, as ``<width>x<height>``."""
        return f"{self.rgb.shape[1]}x{self.rgb.shape[0]}"

    @property
    def visibility(self) -> Visibility:
        """What it can show of a sensor's pattern."""
        return self.quality.visibility

    def facts(self) -> dict[str, Any]:
        """Return the facts, for JSON."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "size": self.size,
            "exif_claims": self.claimed,
            "grade": self.quality.grade,
            "warnings": list(self.warnings),
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its pixels and its EXIF warn of."""
        return (*self.quality.warnings, *map(_processing_words, self.processing))


def _processing_words(trace: str) -> str:
    return (
        f"its EXIF says: {trace}; pixels that were changed or moved may hide the sensor's noise, "
        "or carry other noise that devices share"
    )


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A photograph that carries no answer."""

    path: str
    reason: str
    decision: str = REFUSED
    """``unreadable`` if the file cannot be read or decoded, else ``refused``."""

    def facts(self) -> dict[str, Any]:
        """Return the facts, for JSON."""
        return {
            "path": self.path,
            "grade": "refused",
            "decision": self.decision,
            "reason": self.reason,
        }

    @classmethod
    def unreadable(cls, path: str, error: OSError | ValueError) -> "Refused":
        """Return the refusal of a file that cannot be read or decoded."""
        return cls(path=path, reason=_reason(error), decision=UNREADABLE)


class Opened(NamedTuple):
    """A file that may be a photograph, by its header."""

    path: str
    sha256: str
    head: Header


def named(paths: Sequence[str]) -> list[str]:
    """Return the files at paths: photographs in folders too, and the matches of patterns.

    Raises
    ------
    ValueError
        If nothing is at a path.
    """
    files: list[str] = []
    for path in paths:
        place = Path(path)
        if place.is_dir():
            inside = (file for file in place.rglob("*") if file.suffix.lower() in NAMED)
            matches = sorted(str(file) for file in inside if file.is_file())
        else:
            matches = [path] if place.exists() else sorted(glob(path, recursive=True))  # noqa: PTH207 - may be absolute
        if not matches:
            problem = "a folder without photographs" if place.is_dir() else "no such file or folder"
            raise ValueError(f"{path}: {problem}")
        files += matches
    return list(dict.fromkeys(files))


def opened(path: str) -> Opened:
    """Return a file's digest and header, without its pixels.

    Raises
    ------
    ValueError
        If the file cannot be used, with the reason.
    """
    try:
        size = Path(path).stat().st_size
        if reason := endless_reason(path) or unreadable_reason(path, size):
            raise ValueError(reason)
        with quiet(), Path(path).open("rb") as stream:
            head = header(stream)
            stream.seek(0)
            return Opened(path, hashlib.file_digest(stream, "sha256").hexdigest(), head)
    except OSError as error:
        raise ValueError(_reason(error)) from None


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return str(error)


def photographs(paths: Sequence[str]) -> Iterator[Photograph | Refused]:
    """Yield the photographs of files, or their refusals, one at a time, in order."""
    for path in paths:
        try:
            yield _read(path)
        except (OSError, ValueError) as error:
            yield Refused.unreadable(path, error)


def _read(path: str) -> Photograph | Refused:
    size = Path(path).stat().st_size
    if reason := endless_reason(path) or unreadable_reason(path, size):
        raise ValueError(reason)
    with quiet(), Path(path).open("rb") as stream:
        head = header(stream)  # before its bytes are read: they may be no photograph's
        stream.seek(0)
        data = stream.read()
        rgb = pixels(data)
    graded = quality(rgb)
    if graded.reason:
        return Refused(path=path, reason=graded.reason)
    return Photograph(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        rgb=rgb,
        claimed=" ".join(part for part in (head.make, head.model) if part),
        processing=head.processing,
        quality=graded,
    )
