"""Synthetic photographs of one megapixel against the same camera in plain NumPy and SciPy."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import io
import resource
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter, uniform_filter

from camid.config import Simulate
from camid.dataset.simulate import Phone, phones
from camid.dataset.simulate.scenes import foreground
from camid.io.images import pixels

Plane = NDArray[np.float32]

SIZE = (1152, 864)
BINOMIAL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4


def plain_photograph(phone: Phone, gain: Plane, number: int) -> bytes:
    """Return a photograph by whole-array steps: blur, mosaic, noise, demosaic, smooth, sharpen."""
    rng = np.random.default_rng(number)
    sensor, shape = phone.model.sensor, SIZE[::-1]
    planes = gaussian_filter(0.2 * foreground(rng, shape), (0, 1, 1), truncate=3)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    colour = (rows + sensor.cfa[0] & 1) + (columns + sensor.cfa[1] & 1)
    light = np.take_along_axis(planes, colour[None], 0)[0]
    electrons = sensor.full_well * light * gain
    electrons += np.sqrt(electrons + sensor.read_noise**2) * rng.standard_normal(shape, np.float32)
    raw = np.clip(electrons / sensor.full_well, 0, 1)
    rgb = [
        convolve(np.where(colour == c, raw, 0), BINOMIAL * (0.5 if c == 1 else 1)) for c in range(3)
    ]
    grey_levels = 255 * np.stack(rgb) ** (1 / 2.2)
    luma = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), grey_levels, 1)
    chroma = [128 + uniform_filter(0.6 * (grey_levels[c] - luma), 5) for c in (2, 0)]
    mean = uniform_filter(luma, 3)
    local = np.maximum(uniform_filter(luma**2, 3) - mean**2, 1e-3)
    luma = mean + np.maximum(local - 4, 0) / local * (luma - mean)
    luma += 0.7 * (luma - convolve(luma, BINOMIAL / 4))
    samples = np.rint(np.clip(np.stack([luma, *chroma]), 0, 255)).astype(np.uint8)
    file = io.BytesIO()
    Image.merge("YCbCr", [Image.fromarray(p) for p in samples]).save(file, "JPEG", quality=95)
    return file.getvalue()


def seconds(take: Callable[[int], bytes], count: int) -> float:
    started = time.perf_counter()
    for number in range(count):
        take(number)
    return time.perf_counter() - started


def main() -> None:
    (phone,) = phones(Simulate(num_devices=1, num_models=1, sizes=(SIZE,)), seed=1)
    ours = lambda number: phone.photograph("foreground", number)  # noqa: E731
    ours(0)  # compiles, and makes the pattern
    image = Image.fromarray(pixels(ours(0)))
    encode = lambda _: image.save(io.BytesIO(), "JPEG", quality=95) or b""  # noqa: E731
    once, twice = seconds(ours, 20), seconds(ours, 40)
    gain = (1 + phone.pattern()) * phone.model.shared_gain()
    plain = seconds(partial(plain_photograph, phone, gain), 10) / 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = (once + twice) / 60
    print(f"{SIZE[0]}x{SIZE[1]} px on one core: {each:.3f} s a photograph")
    print(f"plain NumPy and SciPy take {plain / each:.1f} times as long")
    print(f"encoding the JPEG alone takes {seconds(encode, 20) / 20 / each:.2f} of the time")
    print(f"twice the photographs take {twice / once:.2f} times as long; {peak:.0f} MiB at most")
    print(f"200 devices of 60 photographs take {12000 * each / 60:.0f} minutes of one core")


if __name__ == "__main__":
    main()
