"""Every filter on the baselines: ``python -m benchmarks.filters [PHOTOGRAPHS]``; what int8 costs.

PHOTOGRAPHS is a folder that camid reads; the demo's phones are simulated if none is named. Each
filter makes a store of its own. Quantisation is judged on Lukas's residuals as they are in float32.
"""

import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from camid.config import Config, load_config
from camid.dataset.records import ImageRecord
from camid.dataset.splits import enrolled
from camid.evaluation.metrics import equal_error_rate, recognition_rate, roc_auc
from camid.evaluation.result_rows import ResultRow
from camid.io.folder import Folder, absolute
from camid.io.images import pixels
from camid.prnu.correlation import ncc
from camid.prnu.luminance import grey
from camid.prnu.residual import quantised, residual, restored
from camid.runtime.cluster.session import session
from camid.runtime.ingest.simulate import simulate
from camid.runtime.pipelines.workflow import make_baselines
from camid.store.store import open_store

FILTERS: dict[str, list[str]] = {
    "lukas": [],
    "lukas, sigma 2": ["residual.sigma=2"],
    "lukas, sigma 3": ["residual.sigma=3"],
    "lukas, sigma 8": ["residual.sigma=8"],
    "lukas, a strip at a time": ["residual.extent=strip"],
    "wiener": ["residual.filter=wiener"],
    "wiener, window 5": ["residual.filter=wiener", "residual.window=5"],
    "gaussian": ["residual.filter=gaussian"],
    "report2021": ["residual.filter=report2021"],
    "report2021, a strip at a time": ["residual.filter=report2021", "residual.extent=strip"],
}
SHOWN = ("eer", "auc", "rank1")
Plane = NDArray[np.float32]


def baselines(data: str, root: Path, name: str, settings: list[str]) -> list[ResultRow]:
    """Return the rows of both baselines on a store of one filter."""
    config = load_config(settings=settings)
    paths = replace(config.paths, data=data, store=str(root / name), out=str(root / f"{name}-out"))
    _, rows = make_baselines(replace(config, paths=paths))
    return [row for row in rows if row.negatives in {"all", "same-model"}]


def grey_residuals(record: ImageRecord) -> tuple[Plane, Plane]:
    """Return an image's grey residual as float32 has it, and as a store keeps it."""
    noise = residual(pixels(Path(record.path).read_bytes()))
    return grey(noise), grey(restored(quantised(noise)))


def planes(images: Iterable[ImageRecord], side: tuple[int, int]) -> Iterable[tuple[Plane, Plane]]:
    for record in images:
        exact, kept = grey_residuals(record)
        yield exact[: side[0], : side[1]], kept[: side[0], : side[1]]


def quantisation(store_uri: str, config: Config) -> None:
    """Print the correlation of int8 residuals with float ones, and the error rates of both."""
    gallery = enrolled(open_store(store_uri).images(), settings=config.enrolment, seed=config.seed)
    firsts = [images[0] for images in gallery.enrolled.values()]
    sizes = [(record.height // 256 * 256, record.width // 256 * 256) for record in firsts]
    patterns: list[NDArray[np.float64]] = []
    for images, side in zip(gallery.enrolled.values(), sizes, strict=True):
        total = np.zeros((2, *side))
        for found in planes(images, side):
            total += found
        patterns.append(total)
    own, scores, likeness = [], [], []
    for column, device in enumerate(gallery.devices):
        for exact, kept in planes(gallery.queries[device], sizes[column]):
            own.append(column)
            likeness.append(ncc(exact, kept))
            row = []
            for pattern, side in zip(patterns, sizes, strict=True):
                rows, columns = min(side[0], len(exact)), min(side[1], exact.shape[1])
                row.append(
                    [
                        ncc(noise[:rows, :columns], mean[:rows, :columns])
                        for noise, mean in zip((exact, kept), pattern, strict=True)
                    ]
                )
            scores.append(row)
    labels = np.arange(len(gallery.devices)) == np.array(own)[:, None]
    low, middle = np.quantile(likeness, (0.01, 0.5))
    print(
        f"int8 residuals: NCC with float32 ones {middle:.4f} of the median image, {low:.4f} of the "
        "lowest in a hundred"
    )
    for name, found in zip(("float32", "int8"), np.moveaxis(np.array(scores), 2, 0), strict=True):
        eer, auc = (figure(labels.ravel(), found.ravel()) for figure in (equal_error_rate, roc_auc))
        rank1 = recognition_rate(np.array(own), found)
        print(f"lukas from {name:8} eer {eer:.4f} auc {auc:.4f} rank1 {rank1:.4f}")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        os.environ["CAMID_HOME"] = place
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        config = load_config()
        table = Table("filter", "method", "negatives", *SHOWN)
        with session():
            if sys.argv[1:]:
                data = absolute(sys.argv[1])
            else:
                data = str(root / "simulated")
                simulate(Folder(data), config.simulate, seed=config.seed)
            for name, settings in FILTERS.items():
                for row in baselines(data, root, name, settings):
                    cells = [f"{row.figures[key]:.4f}" for key in SHOWN]
                    table.add_row(name, row.method, row.negatives, *cells)
            Console(width=100).print(table)
            quantisation(str(root / "lukas"), config)


if __name__ == "__main__":
    main()
