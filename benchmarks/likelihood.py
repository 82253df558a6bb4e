"""What a reduced intensity costs: ``python -m benchmarks.likelihood [PHOTOGRAPHS]``.

A store keeps intensity reduced 4×. Likelihood patterns from it are held against those from every
pixel's intensity, and against the plain mean, on photographs themselves: half of a device's images
enrols it, the others are queries. PHOTOGRAPHS is a folder that camid reads; the demo's phones are
simulated if none is named.
"""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camid.config import Config, load_config
from camid.dataset.records import OK, ImageRecord
from camid.dataset.sources import find_files, read_headers
from camid.dataset.splits import enrolled
from camid.evaluation.metrics import equal_error_rate, roc_auc
from camid.io.folder import Folder
from camid.io.images import pixels
from camid.prnu.cleaning import without_blocks
from camid.prnu.correlation import ncc
from camid.prnu.fingerprint import intensity_weight, likelihood_pattern
from camid.prnu.luminance import LUMA, grey
from camid.prnu.residual import residual
from camid.prnu.strips import intensity
from camid.runtime.cluster.session import session
from camid.runtime.ingest.simulate import simulate

STEP = 16
"""Pixels: JPEG's blocks and reduced samples stay whole."""
MAX_SIDE = 1024
"""Pixels; all devices' patterns are held."""
WAYS = ("mean", "full", "reduced")
Plane = NDArray[np.float32]


def weights(rgb: NDArray[np.uint8]) -> dict[str, Plane]:
    """Return how strongly each pixel shows the pattern, by each way."""
    reduced = intensity(rgb[None], LUMA)[0]
    return {
        "mean": np.ones(rgb.shape[:2], np.float32),
        "full": intensity_weight(grey(rgb)),
        "reduced": intensity_weight(reduced, len(rgb)),
    }


def seen(records: list[ImageRecord]) -> Iterator[tuple[Plane, dict[str, Plane]]]:
    """Yield each image's grey residual and its weights, a square from the top left."""
    for record in records:
        rgb = pixels(Path(record.path).read_bytes())
        side = min(MAX_SIDE, *rgb.shape[:2]) // STEP * STEP
        square = np.ascontiguousarray(rgb[:side, :side])
        yield grey(residual(square)), weights(square)


def pattern(records: list[ImageRecord]) -> dict[str, Plane]:
    """Return a device's pattern by each way."""
    sums: dict[str, NDArray[np.float64]] = {}
    for noise, weighed in seen(records):
        for way, weight in weighed.items():
            part = np.stack([noise * weight, weight * weight]).astype(np.float64)
            sums[way] = sums[way] + part if way in sums else part
    return {way: without_blocks(likelihood_pattern(*found)) for way, found in sums.items()}


def compare(records: list[ImageRecord], config: Config) -> None:
    """Print the likeness of patterns, and the error rates of each way."""
    gallery = enrolled(records, settings=config.enrolment, seed=config.seed)
    patterns = {device: pattern(list(images)) for device, images in gallery.enrolled.items()}
    likeness = [ncc(found["full"], found["reduced"]) for found in patterns.values()]
    print(
        f"{len(patterns)} devices; NCC of patterns from reduced and from full intensity: "
        f"{np.median(likeness):.4f} of the median device, {min(likeness):.4f} of the lowest"
    )
    scores: dict[str, list[float]] = defaultdict(list)
    labels = []
    for device, images in gallery.queries.items():
        for plane, weighed in seen(list(images)):
            noise = without_blocks(plane)
            for other, found in patterns.items():
                side = min(len(noise), len(found["mean"]))
                labels.append(int(device == other))
                for way in WAYS:
                    expected = found[way][:side, :side] * weighed[way][:side, :side]
                    scores[way].append(ncc(noise[:side, :side], expected))
    for way in WAYS:
        eer, auc = equal_error_rate(labels, scores[way]), roc_auc(labels, scores[way])
        print(f"{way:8} EER {eer:.4f}, AUC {auc:.4f}")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        data, config = sys.argv[1] if sys.argv[1:] else f"{place}/simulated", load_config()
        if not sys.argv[1:]:
            with session():
                simulate(Folder(data), config.simulate, seed=config.seed)
        limits = {"min_side": config.strips.size, "max_megapixels": config.images.max_megapixels}
        records = read_headers(find_files(data), **limits)
        compare([record for record in records if record.status == OK], config)


if __name__ == "__main__":
    main()
