"""Records of images, the manifest's Arrow schema, and the names of chunks' files."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Literal
from urllib.parse import quote

import pyarrow as pa

Kind = Literal["background", "foreground"]

OK = "ok"
_NUMBER = re.compile(r"[0-9][0-9,]*")
LONGEST_NAME = 120
"""Characters of a quoted device id in a file's name; file systems allow 255 bytes in all."""


def device_name(device: str) -> str:
    """Return a device's file name, ``device=<id>``, quoted, and shortened with a digest if long."""
    name = quote(device, safe=" ")
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}~{hashlib.sha256(device.encode()).hexdigest()[:16]}"
    return f"device={name}"


def chunk_name(device: str, number: int) -> str:
    """Return the name of a chunk's file below the store's folder."""
    return f"{device_name(device)}/chunk-{number:05d}.parquet"


def rejected(reason: str) -> str:
    """Return the manifest status of a file that is left out for ``reason``."""
    return f"rejected: {' '.join(reason.split())}"


def reason_kinds(reasons: Iterable[str]) -> dict[str, list[str]]:
    """Return the kinds of reasons, each with its reasons: those of a kind differ by numbers alone.

    Numbers in which the reasons of a kind differ are N in its name.

    Examples
    --------
    >>> reason_kinds(["9 bytes are missing of 80", "empty", "7 bytes are missing of 80"])
    {'N bytes are missing of 80': ['9 bytes are missing of 80', '7 bytes are missing of 80'], \
'empty': ['empty']}
    """
    kinds: dict[tuple[str, ...], list[str]] = {}
    for reason in reasons:
        kinds.setdefault(tuple(_NUMBER.split(reason)), []).append(reason)
    named = {}
    for between, alike in kinds.items():
        columns = zip(*map(_NUMBER.findall, alike), strict=True)
        numbers = [*(found[0] if len({*found}) == 1 else "N" for found in columns), ""]
        named["".join(chain.from_iterable(zip(between, numbers, strict=True)))] = alike
    return named


def alike_names(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that people take for one: of other case, spaces or forms of accents."""
    seen: dict[str, str] = {}
    for name in names:
        key = unicodedata.normalize("NFKC", " ".join(name.split())).casefold()
        if seen.setdefault(key, name) != name:
            return seen[key], name
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRecord:
    """A file of the data: one row of the manifest.

    ``width`` and ``height`` are those of the stored pixels: EXIF ``orientation`` (1–8, 0 where
    there is none) is recorded and never applied. ``angle`` is the degrees (0, 90, 180, 270) by
    which they are turned against the sensor's, where the data set states it. Images of equal
    ``scene`` show the same subject. ``status`` is ``ok`` or ``rejected: <reason>``. ``sha256`` and
    ``chunk`` are filled in when the file is planned and read.
    """

    image_id: str
    device: str = ""
    kind: str = ""
    make: str = ""
    model: str = ""
    lens: str = ""
    scene: str = ""
    provenance: str = ""
    width: int = 0
    height: int = 0
    orientation: int = 0
    angle: int = 0
    path: str
    bytes: int = 0
    sha256: str = ""
    chunk: int = -1
    status: str = OK


MANIFEST_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("device", pa.string()),
        ("kind", pa.string()),
        ("make", pa.string()),
        ("model", pa.string()),
        ("lens", pa.string()),
        ("scene", pa.string()),
        ("provenance", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("orientation", pa.int8()),
        ("angle", pa.int16()),
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("chunk", pa.int32()),
        ("status", pa.string()),
    ]
)


def manifest_table(records: Iterable[ImageRecord]) -> pa.Table:
    """Return the manifest of ``records``, one row per file, ordered by ``image_id``."""
    rows = sorted((asdict(record) for record in records), key=lambda row: row["image_id"])
    return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)
