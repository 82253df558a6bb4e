"""Scenes: the light that falls on a sensor, as planes ``(3, height, width)`` of linear RGB.

A foreground is a dead-leaves picture (Lee, Mumford, Huang 2001, doi:10.1023/A:1011109015675):
objects of sizes by a power law hide each other, so that edges and flat areas come at all scales.
Each object has a colour and a texture of its own; a sky, shadows and lamps come at random.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import fft

from camid.jit import exactly_compiled

Plane = NDArray[np.float32]
Points = NDArray[np.float64]
Shape = tuple[int, int]

GROUND, SKY, FIRST_LEAF = 0, 1, 2
GRAIN = np.float32(0.6)
"""Deviation of the white part of the fine texture, relative to the rest."""
SMALLEST_LEAF = 5.0
"""Pixels from the middle to the rim."""


def background(rng: np.random.Generator, shape: Shape) -> Plane:
    """Return a wall or a sky out of focus: one colour with a faint gradient, mean 1."""
    tilt = _ramp(rng, shape) * np.float32(rng.uniform(0.02, 0.15))
    cloud = _shadows(rng, shape) * np.float32(rng.uniform(0, 0.05))
    colour = np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    return np.asarray((1 + tilt + cloud) * colour[:, None, None], np.float32)


def foreground(rng: np.random.Generator, shape: Shape) -> Plane:
    """Return a natural-looking scene: objects, textures, sky, shadows, lamps; geometric mean 1."""
    labels, num_leaves = _leaves(rng, shape)
    table = _looks(rng, FIRST_LEAF + num_leaves)
    planes: Plane = _painted(labels, table, *_textures(rng, shape), _shadows(rng, shape))
    planes /= np.exp(np.log(planes[1, ::8, ::8]).mean())
    return planes


def _leaves(rng: np.random.Generator, shape: Shape) -> tuple[NDArray[np.int32], int]:
    """Return the number of the object seen at each pixel, and the count of objects."""
    height, width = shape
    horizon = height * rng.uniform(0.15, 0.6) if rng.random() < 0.4 else 0.0
    image = Image.new("I", (width, height), GROUND)
    draw = ImageDraw.Draw(image)
    if horizon:
        draw.polygon(_skyline(rng, shape, horizon), fill=SKY)
    large = rng.uniform(0.1, 0.5, int(rng.integers(3, 40))) * min(shape)
    largest = rng.uniform(0.15, 0.4) * min(shape)
    share = 1 - (SMALLEST_LEAF / largest) ** 2
    count = int(np.exp(rng.uniform(np.log(20), np.log(1500))))
    small = SMALLEST_LEAF / np.sqrt(1 - share * rng.random(count))
    radius = np.concatenate([np.sort(large)[::-1], small])[:, None]
    middle = np.stack(
        [
            rng.uniform(0, width, len(radius)),
            horizon + (height - horizon) * rng.uniform(0.05, 1, len(radius)),
        ],
        axis=1,
    )
    for leaf, outline in enumerate(_outlines(rng, radius, middle)):
        draw.polygon(outline, fill=FIRST_LEAF + leaf)
    return np.asarray(image, np.int32), len(radius)


def _skyline(rng: np.random.Generator, shape: Shape, horizon: float) -> list[tuple[float, float]]:
    """Return the outline of the sky above hills about a horizon."""
    height, width = shape
    hills = np.arange(0, width + 256, 128)
    x = np.arange(0, width + 32, 32)
    line = np.interp(x, hills, horizon + rng.normal(0, height / 30, len(hills)))
    return [(0.0, 0.0), *zip(x.tolist(), line.tolist(), strict=True), (float(width), 0.0)]


def _outlines(
    rng: np.random.Generator, radius: Points, middle: Points
) -> list[list[tuple[float, float]]]:
    """Return the corners of each object: a box or a rounded shape, turned and stretched."""
    count = len(radius)
    corners = np.where(rng.random(count) < 0.45, 4, 14)
    turn = np.where(rng.random(count) < 0.4, 0, rng.uniform(0, np.pi, count))[:, None]
    angles = 2 * np.pi * np.arange(14)[None, :] / corners[:, None] + np.pi / 4
    rim = radius * np.where(corners[:, None] == 4, 1, rng.uniform(0.85, 1.15, (count, 14)))
    u, v = rim * np.cos(angles), rim * np.sin(angles) * rng.uniform(0.25, 1, (count, 1))
    x = middle[:, :1] + u * np.cos(turn) - v * np.sin(turn)
    y = middle[:, 1:] + u * np.sin(turn) + v * np.cos(turn)
    points = np.stack([x, y], axis=2).tolist()
    return [
        [(a, b) for a, b in outline[:n]]
        for outline, n in zip(points, corners.tolist(), strict=True)
    ]


def _looks(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return each object's red, green, blue, and gains of coarse and fine texture and shadow."""
    table = np.empty((count, 6), np.float32)
    brightness = rng.normal(0, rng.uniform(0.3, 0.8), count)
    brightness[SKY] = rng.uniform(0.3, 1.3)
    brightness[rng.random(count) < rng.choice([0, 0, 0, 0.01])] += 3  # lamps
    warmth, tint = rng.normal(0, 0.25, count), rng.normal(0, 0.08, count)
    warmth[SKY], tint[SKY] = rng.uniform(-0.35, 0.1), 0
    table[:, :3] = np.exp(
        np.stack([brightness + warmth, brightness + tint, brightness - warmth], 1)
    )
    roughness = rng.uniform(-3.4, -1.6)
    table[:, 3] = np.minimum(np.exp(rng.normal(roughness + 0.3, 1.0, count)), 0.6)
    table[:, 4] = np.minimum(np.exp(rng.normal(roughness, 1.2, count)), 0.6)
    table[:, 5] = rng.uniform(0.1, 0.7)
    table[SKY, 3:] = rng.uniform(0, 0.05), 0, 0.1
    return table


def _textures(rng: np.random.Generator, shape: Shape) -> tuple[Plane, Plane, Plane]:
    """Return a coarse and a fine texture, Gaussian with power laws of frequency, and a grain.

    The first two are drawn at half the resolution; the grain is white and fills in what they lack.
    """
    half = (-(-shape[0] // 2), -(-shape[1] // 2))
    white = fft.rfft2(rng.standard_normal(half, np.float32))
    y = fft.fftfreq(half[0]).astype(np.float32)[:, None]
    x = fft.rfftfreq(half[1]).astype(np.float32)[None, :]
    radius = np.log(np.maximum(y * y + x * x, np.float32(1 / max(half) ** 2)))
    white[0, 0] = 0  # mean 0
    planes = []
    for slope in (rng.uniform(1.1, 1.6), rng.uniform(0.3, 0.9)):
        plane = fft.irfft2(white * np.exp(radius * np.float32(-slope / 2)), s=half)
        planes.append(_enlarged(plane / plane.std(), shape))
    return planes[0], planes[1], rng.standard_normal(shape, np.float32)


def _enlarged(plane: Plane, shape: Shape) -> Plane:
    """Return a plane brought to a shape by bicubic interpolation."""
    image = Image.fromarray(plane).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)


def _shadows(rng: np.random.Generator, shape: Shape) -> Plane:
    """Return a soft random plane, mean about 0, deviation just below 1."""
    return _enlarged(rng.standard_normal((6, 8), np.float32), shape)


def _ramp(rng: np.random.Generator, shape: Shape) -> Plane:
    """Return a plane that rises in a random direction, about −1…1."""
    angle = rng.uniform(0, 2 * np.pi)
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    return np.asarray(rows * np.sin(angle) + columns * np.cos(angle), np.float32)


@exactly_compiled
def _painted(
    labels: NDArray[np.int32],
    table: Plane,
    coarse: Plane,
    fine: Plane,
    grain: Plane,
    shadows: Plane,
) -> Plane:
    height, width = labels.shape
    planes = np.empty((3, height, width), np.float32)
    for y in range(height):
        for x in range(width):
            look = table[labels[y, x]]
            rough = look[4] * (fine[y, x] + GRAIN * grain[y, x])
            light = np.exp(look[3] * coarse[y, x] + rough + look[5] * shadows[y, x])
            for colour in range(3):
                planes[colour, y, x] = look[colour] * light
    return planes
