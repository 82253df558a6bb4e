"""The photographs of a case: read as stored, hashed, graded; those that cannot be are named."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.casework.quality import Quality, quality
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
"""Of files in folders, what is taken or refused with a reason; others are no photographs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Photograph:
    """One that was read."""

    path: str
    sha256: str
    rgb: NDArray[np.uint8]
    """``(height, width, 3)`` as stored; EXIF orientation is not applied."""
    claimed: str
    """Make and model that its EXIF claims."""
    quality: Quality

    @property
    def size(self) -> str:
        """Width and height, as they are told."""
        return f"{self.rgb.shape[1]}x{self.rgb.shape[0]}"

    def facts(self) -> dict[str, Any]:
        """Return what is told of it, for JSON."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "size": self.size,
            "exif_claims": self.claimed,
            "grade": self.quality.grade,
            "warnings": list(self.quality.warnings),
        }


@dataclass(frozen=True, kw_only=True)
class Refused:
    """One that carries no answer."""

    path: str
    reason: str

    def facts(self) -> dict[str, Any]:
        """Return what is told of it, for JSON."""
        return {"path": self.path, "grade": "refused", "reason": self.reason}


class Opened(NamedTuple):
    """A file that may be a photograph, by its header."""

    path: str
    sha256: str
    head: Header


def named(paths: Sequence[str]) -> list[str]:
    """Return the files that are named: those of folders too, and what a pattern matches.

    Raises
    ------
    ValueError
        If nothing is at one of them.
    """
    found: list[str] = []
    for path in paths:
        place = Path(path)
        if place.is_dir():
            inside = (p for p in place.rglob("*") if p.suffix.lower() in NAMED)
            some = sorted(str(p) for p in inside if p.is_file())
        else:
            some = [path] if place.exists() else sorted(glob(path, recursive=True))  # noqa: PTH207 - may be absolute
        if not some:
            what = "a folder without photographs" if place.is_dir() else "no such file or folder"
            raise ValueError(f"{path}: {what}")
        found += some
    return list(dict.fromkeys(found))


def opened(path: str) -> Opened:
    """Return what is known of a file before its pixels are read.

    Raises
    ------
    ValueError
        With the reason why it cannot be used.
    """
    try:
        if reason := unreadable_reason(path, Path(path).stat().st_size):
            raise ValueError(reason)
        with quiet(), Path(path).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            return Opened(path, digest, header(stream))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None


def photographs(paths: Sequence[str]) -> Iterator[Photograph | Refused]:
    """Yield what is read of files, one at a time, in their order."""
    for path in paths:
        try:
            yield _read(path)
        except OSError as error:
            yield Refused(path=path, reason=f"cannot be read: {error.strerror or error}")
        except ValueError as error:
            yield Refused(path=path, reason=str(error))


def _read(path: str) -> Photograph:
    data = Path(path).read_bytes()
    if reason := unreadable_reason(path, len(data)):
        raise ValueError(reason)
    with quiet():
        found, rgb = header(BytesIO(data)), pixels(data)
    graded = quality(rgb)
    if graded.reason:
        raise ValueError(graded.reason)
    return Photograph(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        rgb=rgb,
        claimed=" ".join(part for part in (found.make, found.model) if part),
        quality=graded,
    )
