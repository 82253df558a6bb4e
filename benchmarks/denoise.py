"""The Lukas filter against the field's PyWavelets and SciPy, every pair of timings one run's."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.io.images import pixels
from camid.prnu.filters.lukas import residuals
from tests.reference.lukas import plain_lukas

ROUNDS = 5
SIZE = (4000, 3000)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def report(name: str, images: NDArray[np.uint8], sample: NDArray[np.uint8]) -> None:
    """Print speeds; the plain filter takes ``sample``, as its time goes with the pixels."""
    error = np.abs(residuals(sample) - plain_lukas(sample)).max()
    ours, plain = [], []
    for _ in range(ROUNDS):
        ours.append(min(seconds(lambda: residuals(images)) for _ in range(3)) / images.size)
        plain.append(seconds(lambda: plain_lukas(sample)) / sample.size)
    ratios = sorted(np.divide(plain, ours))
    speeds = [1e-6 / 3 / min(times) for times in (ours, plain)]
    print(
        f"{name:30} {speeds[0]:6.1f} megapixels/s, plain {speeds[1]:4.1f}: "
        f"{ratios[ROUNDS // 2]:4.1f} times ({ratios[0]:.1f}..{ratios[-1]:.1f}), "
        f"at most {error:.0e} grey levels apart",
        flush=True,
    )


def main() -> None:
    (phone,) = phones(Simulate(num_devices=1, num_models=1, sizes=(SIZE,)), seed=1)
    photograph = pixels(phone.photograph("foreground", 1))[None]
    started = time.perf_counter()
    residuals(photograph[:, :128, :128])
    print(f"first call: {time.perf_counter() - started:.1f} s (compiles, or loads what is kept)")
    height, width = SIZE[1] // 256 * 256, SIZE[0] // 256 * 256
    grid = photograph[0, :height, :width].reshape(height // 256, 256, width // 256, 256, 3)
    strips = np.ascontiguousarray(grid.swapaxes(1, 2)).reshape(-1, 256, 256, 3)
    report("12-megapixel photograph", photograph, photograph[:, :1000])
    report(f"{len(strips)} strips of 256x256 px", strips, strips[:45])
    noise = np.random.default_rng(1).integers(0, 256, photograph.shape, dtype=np.uint8)
    report("12 megapixels of white noise", noise, noise[:, :1000])
    one, four = (
        min(seconds(lambda n=n: residuals(photograph[:, : n * 750])) for _ in range(5))
        for n in (1, 4)
    )
    print(f"four times the rows take {four / one:.2f} times as long")
    for name in sys.argv[1:]:
        path = Path(name)
        image = pixels(path.read_bytes())[None]
        report(path.name, image, image[:, :1000])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{peak:.0f} MiB at most, the plain filter's included")


if __name__ == "__main__":
    main()
