"""Simulated cameras held against real ones: ``python benchmarks/realism.py PHOTOGRAPHS``.

PHOTOGRAPHS is a folder sorted by device. As many devices are simulated with as many photographs
of 768×768 pixels, both are denoised into stores, and the same figures are taken of both: strength
and spectrum of the residual, correlation within and between devices, error rates of 4+4 images.
"""

import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import fft

from camid.config import Config, load_config
from camid.dataset.records import ImageRecord
from camid.evaluation.metrics import equal_error_rate, roc_auc
from camid.io.folder import Folder
from camid.prnu.cleaning import cleaned
from camid.prnu.correlation import ncc
from camid.prnu.luminance import grey
from camid.prnu.strips import assembled
from camid.runtime.cluster.session import session
from camid.runtime.ingest.preprocess import preprocess
from camid.runtime.ingest.simulate import simulate
from camid.store.store import Store, open_store

SIDE = 768
CROP = 128
NUM_PAIRS = 1000
NUM_CROPS = (1, 10, 40)
IMAGES = 4
SATURATED = 250
"""Grey levels."""

Plane = NDArray[np.float32]
Figures = dict[str, float]


class Devices:
    """The top left grey residuals ``(height, width)`` of each device's images, and its model."""

    def __init__(self, store: Store) -> None:
        self.models: dict[str, str] = {}
        self.grey_levels: list[float] = []
        self.saturated: list[float] = []
        residuals: dict[str, list[Plane]] = defaultdict(list)
        by_chunk: dict[tuple[str, int], list[ImageRecord]] = defaultdict(list)
        for image in store.images():
            by_chunk[image.device, image.chunk].append(image)
        for (device, number), images in by_chunk.items():
            self.models[device] = f"{images[0].make} {images[0].model}"
            with store.chunk(device, number) as chunk:
                read = [chunk.read(group) for group in range(chunk.num_row_groups)]
                batches = [b for b in read if max(b.position) <= SIDE - b.samples.shape[1]]
                if len(batches) < (SIDE // read[0].samples.shape[1]) ** 2:
                    continue  # smaller images
                strips = np.stack([grey(batch.residuals()) for batch in batches])
                residuals[device] += list(assembled(strips, [b.position for b in batches]))
                seen = np.stack([batch.intensity for batch in batches], axis=1)
            self.grey_levels += seen.mean(axis=(1, 2, 3)).tolist()
            self.saturated += (seen >= SATURATED).mean(axis=(1, 2, 3)).tolist()
        self.residuals = {d: images for d, images in residuals.items() if len(images) >= 2 * IMAGES}
        self.names = sorted(self.residuals)

    def draw(self, rng: np.random.Generator, device: str, count: int) -> list[Plane]:
        images = self.residuals[device]
        return [images[i] for i in rng.permutation(len(images))[:count]]

    def other(self, rng: np.random.Generator, device: str, *, same_model: bool) -> str:
        others = [d for d in self.names if d != device]
        siblings = [d for d in others if self.models[d] == self.models[device]]
        return str(rng.choice(siblings if same_model and siblings else others))


def exposure(devices: Devices) -> Figures:
    """Quantiles of the mean grey level over images, and how much of them is saturated."""
    low, middle, high = np.quantile(devices.grey_levels, [0.1, 0.5, 0.9])
    return {
        "mean grey level, 10 % of images below": low,
        "mean grey level, median": middle,
        "mean grey level, 90 % below": high,
        "saturated share of the images' area": float(np.mean(devices.saturated)),
    }


def strength(devices: Devices) -> Figures:
    """Quantiles of the residual's standard deviation over images, and its unevenness in them."""
    images = [image for device in devices.names for image in devices.residuals[device]]
    deviations = np.array([image.std() for image in images])
    blocks = [_blocks(image, 32).std(axis=(1, 3)) for image in images]
    uneven = [np.quantile(b, 0.9) / max(np.quantile(b, 0.1), 0.02) for b in blocks]
    low, middle, high = np.quantile(deviations, [0.1, 0.5, 0.9])
    return {
        "residual σ, grey levels, 10 % of images below": low,
        "residual σ, median": middle,
        "residual σ, 90 % below": high,
        "σ of rough over smooth blocks, median": float(np.median(uneven)),
    }


def spectrum(devices: Devices) -> Figures:
    """Shares of the residual's power by radial frequency, and lines of the JPEG grid."""
    powers = []
    for device in devices.names:
        mean = np.zeros((SIDE, SIDE // 2 + 1))
        for image in devices.residuals[device]:
            mean += np.abs(fft.rfft2(image / max(float(image.std()), 1e-6))) ** 2
        powers.append(mean / mean.sum())
    y, x = np.abs(fft.fftfreq(SIDE)) * 2, fft.rfftfreq(SIDE) * 2
    radius = np.hypot(y[:, None], x[None, :])
    bands = [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 2)]
    shares = {
        f"power at {low:g}–{high:g} of Nyquist": float(
            np.median([p[(radius >= low) & (radius < high)].sum() for p in powers])
        )
        for low, high in bands
    }
    step = SIDE // 8
    grid = [
        np.median([p[:, k].sum() / _near(p.sum(0), k) for k in (step, 2 * step)]) for p in powers
    ]
    return {**shares, "JPEG grid columns over their neighbours, median": float(np.median(grid))}


def correlations(devices: Devices, rng: np.random.Generator) -> Figures:
    """NCC of single images of one device and of two, and of an image with a half's mean."""
    same, cross, siblings, own, own_by_device = [], [], [], [], []
    for device in devices.names:
        images = devices.residuals[device]
        order = rng.permutation(len(images))
        half = np.mean([images[i] for i in order[: len(order) // 2]], axis=0)
        asked = [ncc(images[i], half) for i in order[len(order) // 2 :]]
        own += asked
        own_by_device.append(float(np.mean(asked)))
        for _ in range(20):
            a, b = devices.draw(rng, device, 2)
            same.append(ncc(a, b))
            for same_model in (False, True):
                other = devices.other(rng, device, same_model=same_model)
                is_sibling = devices.models[other] == devices.models[device]
                found = ncc(a, devices.draw(rng, other, 1)[0])
                (siblings if is_sibling else cross).append(found)
    quantiles = np.quantile(own_by_device, [0.1, 0.5, 0.9])
    return {
        "NCC of two images, one device, median": float(np.median(same)),
        "NCC of two images, other models, mean": float(np.mean(cross)),
        "NCC of two images, other models, deviation": float(np.std(cross)),
        "NCC of two images, two devices of one model, mean": float(np.mean(siblings or [np.nan])),
        "NCC with half a device's mean, weak device (10 %)": quantiles[0],
        "NCC with half a device's mean, median device": quantiles[1],
        "NCC with half a device's mean, strong device (90 %)": quantiles[2],
        "deviation of that NCC over all images / its mean": float(np.std(own) / np.mean(own)),
    }


def pairs(devices: Devices, rng: np.random.Generator) -> Figures:
    """EER and AUC of 4+4 images by the mean NCC over crops, plain, cleaned and whitened."""
    labels, scores, hard = [], defaultdict(list), []
    for number in range(NUM_PAIRS):
        label = number % 2
        device = str(rng.choice(devices.names))
        same_model = not label and number % 4 == 0
        if label:
            images = devices.draw(rng, device, 2 * IMAGES)
            first, second = images[:IMAGES], images[IMAGES:]
        else:
            other = devices.other(rng, device, same_model=same_model)
            first, second = devices.draw(rng, device, IMAGES), devices.draw(rng, other, IMAGES)
            hard.append(devices.models[device] == devices.models[other])
        labels.append(label)
        plain = [np.mean(side, axis=0) for side in (first, second)]
        where = _crops(rng)
        variants = {
            "plain": plain,
            "cleaned": [cleaned(side) for side in plain],
            "whitened": [cleaned(side, whiten=True) for side in plain],
        }
        for name, sides in variants.items():
            found = [ncc(*(s[t : t + CROP, x : x + CROP] for s in sides)) for t, x in where]
            for count in NUM_CROPS:
                scores[name, count].append(float(np.mean(found[:count])))
    result = {}
    for (name, count), values in scores.items():
        result[f"4+4, {count} crops, {name}: EER"] = equal_error_rate(labels, values)
        result[f"4+4, {count} crops, {name}: AUC"] = roc_auc(labels, values)
    return {**result, "share of same-model negatives": float(np.mean(hard))}


def _crops(rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return where crops lie: those of the grid first, then any."""
    grid = [(t, x) for t in range(0, SIDE, CROP) for x in range(0, SIDE, CROP)]
    chosen = [grid[i] for i in rng.permutation(len(grid))]
    more = rng.integers(0, SIDE - CROP, (max(0, max(NUM_CROPS) - len(grid)), 2))
    return [*chosen, *((int(t), int(x)) for t, x in more)]


def _blocks(image: Plane, side: int) -> Plane:
    height, width = (length // side for length in image.shape)
    return image[: height * side, : width * side].reshape(height, side, width, side)


def _near(line: NDArray[np.float64], k: int) -> float:
    return float(np.median([line[k + d] for d in (-6, -5, -4, -3, 3, 4, 5, 6)]))


def figures(store: str) -> Figures:
    """Return every figure of one store."""
    devices, rng = Devices(open_store(store)), np.random.default_rng(1)
    return {
        "devices": len(devices.names),
        "images": sum(map(len, devices.residuals.values())),
        **exposure(devices),
        **strength(devices),
        **spectrum(devices),
        **correlations(devices, rng),
        **pairs(devices, rng),
    }


def _store(config: Config, data: str, store: Path) -> str:
    paths = replace(config.paths, data=data, store=str(store))
    preprocess(replace(config, paths=paths))
    return str(store)


def main() -> None:
    if len(sys.argv) < 2:
        print("name a folder of photographs sorted by device to hold the simulation against")
        return
    config = load_config(settings=[f"simulate.{setting}" for setting in SETTINGS])
    with tempfile.TemporaryDirectory() as place:
        with session():
            simulate(Folder(f"{place}/data"), config.simulate, seed=config.seed)
            real = _store(config, str(Path(sys.argv[1]).resolve()), Path(place) / "real")
            planted = _store(config, f"{place}/data", Path(place) / "simulated")
        columns = {"real": figures(real), "simulated": figures(planted)}
    table = Table("", *columns)
    for name in columns["real"]:
        table.add_row(name, *(f"{found[name]:.4g}" for found in columns.values()))
    Console().print(table)


SETTINGS = [
    "num_devices=35",
    "num_models=32",
    "num_background=4",
    "num_foreground=21",
    "sizes=[[768,768]]",
    "pattern_strength=0.007",
]

if __name__ == "__main__":
    main()
