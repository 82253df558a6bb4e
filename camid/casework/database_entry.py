"""An entry of the database: its device, its images and its warnings."""

import hashlib
import math
from collections import Counter
from dataclasses import dataclass, replace
from urllib.parse import quote

from camid.casework.fingerprint_sums import Sums
from camid.dataset.records import LONGEST_NAME, device_name
from camid.io.counts import counted

FEW = 10
"""Images below which an entry is said to have few."""
DISAGREES = "its halves do not agree: these images show no pattern that they share"
MIXED = "mixed input"
"""Beginning of warnings about photographs of several cameras that were given as one's."""
REPEATS = "its pattern repeats"
"""Beginning of the warning about software's tiles."""
AGREEMENT = 5.0
"""Standard deviations of a chance correlation that the halves of a pattern must agree by."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A device's pattern with one lens at one pixel size as stored; turned images make another."""

    device: str
    make: str
    model: str
    lens: str
    width: int
    height: int
    sha256s: tuple[str, ...]
    """Digests of its images' files, in order."""
    split_half: float
    """Correlation of the patterns of its two halves; NaN where one has no image."""
    warnings: tuple[str, ...]
    contents: tuple[str, ...] = ()
    """Hashes of what its images show, in order; empty strings for those that show nothing."""

    @property
    def num_images(self) -> int:
        """Number of images that the entry is made of."""
        return len(self.sha256s)

    @property
    def name(self) -> str:
        """A key: ``<device>/<width>x<height>[-<lens>]``."""
        return f"{self.device}/{self._size}"

    @property
    def file(self) -> str:
        """The name of its file below the database's folder."""
        name = quote(self._size, safe=" ")
        if len(name) > LONGEST_NAME:
            digest = hashlib.sha256(self._size.encode()).hexdigest()
            name = f"{name[:LONGEST_NAME]}~{digest[:16]}"
        return f"{device_name(self.device)}/{name}.parquet"

    @property
    def _size(self) -> str:
        return f"{self.width}x{self.height}" + (f"-{self.lens}" if self.lens else "")


def entry_of(device: str, sums: Sums, *, lens: str) -> Entry:
    """Return the entry of a device's sums, with its warnings."""
    height, width = sums.total.products.shape
    cameras = Counter((image.make, image.model) for image in sums.images if image.camera)
    make, model = min(cameras, key=lambda camera: (-cameras[camera], camera), default=("", ""))
    entry = empty_entry(
        device=device, lens=lens, width=width, height=height, make=make, model=model
    )
    split_half = sums.split_half()
    warnings = []
    if len(sums.images) < FEW:
        warnings.append(f"of {counted(len(sums.images), 'image')}; {FEW} or more make it reliable")
    if split_half * math.sqrt(width * height) < AGREEMENT:
        warnings.append(DISAGREES)
    if len(cameras) > 1:
        counts = ", ".join(
            f"{count} of {' '.join(camera)}" for camera, count in sorted(cameras.items())
        )
        warnings.append(f"{MIXED}: by their EXIF images are {counts}")
    if sums.left_out:
        warnings.append(
            f"{MIXED}: {counted(len(sums.left_out), 'photograph')} given with these "
            f"{'show' if len(sums.left_out) > 1 else 'shows'} another sensor's pattern and "
            f"{'are' if len(sums.left_out) > 1 else 'is'} left out: {', '.join(sums.left_out)}"
        )
    if sums.periods:
        warnings.append(
            f"{REPEATS} every {' and '.join(map(str, sums.periods))} px, as tiles of software do "
            "and sensors do not; that part is kept out of the fingerprint"
        )
    turned = [image.name for image in sums.images if image.turn or image.is_mirrored]
    if turned:
        warnings.append(
            f"turned by 180° or mirrored, and turned back to lie as the others: {', '.join(turned)}"
        )
    warnings += [f"{image.name}: {words}" for image in sums.images for words in image.warnings]
    return replace(
        entry,
        sha256s=tuple(image.sha256 for image in sums.images),
        contents=tuple(image.content for image in sums.images),
        split_half=split_half,
        warnings=tuple(warnings),
    )


def empty_entry(
    *, device: str, lens: str, width: int, height: int, make: str = "", model: str = ""
) -> Entry:
    """Return an entry without images, whose name and file are those of one with images."""
    return Entry(
        device=device,
        make=make,
        model=model,
        lens=lens,
        width=width,
        height=height,
        sha256s=(),
        split_half=math.nan,
        warnings=(),
    )
