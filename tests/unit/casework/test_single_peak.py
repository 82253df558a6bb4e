"""What agrees at other lags too is no sensor's, at any period and along any line."""

import numpy as np
import pytest

from camid.casework.alignment import search

SHAPE = (320, 384)
STRENGTH = 0.35
"""Of what is planted, beside noise of a standard deviation of 1."""


def tiles(rng, *period):
    tile = rng.standard_normal(period)
    height, width = SHAPE
    return np.tile(tile, (height // period[0] + 1, width // period[1] + 1))[:height, :width]


def stripes(rng, down, right):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    line = rng.standard_normal(2 * sum(SHAPE))
    return line[(down * y + right * x) % line.size]


def marks(rng, down, right):
    """Return marks that are drawn again and again, each row of them moved by a half."""
    plane, mark = np.zeros(SHAPE), rng.standard_normal((24, 40))
    for number, top in enumerate(range(0, SHAPE[0] - 24, down)):
        for left in range((number % 2) * right // 2, SHAPE[1] - 40, right):
            plane[top : top + 24, left : left + 40] = mark
    return plane / plane.std()


ARTEFACTS = {
    "tiles of 37": lambda rng: tiles(rng, 37, 37),
    "tiles of 48×100": lambda rng: tiles(rng, 48, 100),
    "tiles of 64": lambda rng: tiles(rng, 64, 64),
    "diagonal stripes": lambda rng: stripes(rng, 1, 1),
    "steep stripes": lambda rng: stripes(rng, 1, 2),
    "marks": lambda rng: marks(rng, 60, 90),
}


def planes(rng, *planted):
    """Return a plane of new noise and what is planted in it."""
    total = rng.standard_normal(SHAPE) + sum(STRENGTH * one for one in planted)
    return np.asarray(total, np.float32)


def energy(query, pattern):
    match = search(query, pattern)
    return match.energy if match else 0.0


@pytest.mark.parametrize("name", ARTEFACTS)
def test_what_repeats_in_two_sensors_photographs_is_no_evidence(name):
    rng = np.random.default_rng(5)
    for _ in range(4):
        shared = ARTEFACTS[name](rng)
        query, pattern = (planes(rng, rng.standard_normal(SHAPE), shared) for _ in range(2))
        raw = float((query * pattern).mean()) * np.sqrt(query.size)
        assert raw > 20
        assert energy(query, pattern) < 12


def test_a_sensor_s_own_pattern_keeps_all_of_its_energy():
    rng = np.random.default_rng(6)
    for strength in (1.0, 2.0, 3.0):
        sensor = strength * rng.standard_normal(SHAPE)
        query, pattern = (planes(rng, sensor) for _ in range(2))
        match = search(query, pattern)
        score = match.ncc * np.sqrt(query.size)
        assert match.pce == pytest.approx(score**2, rel=0.05)


@pytest.mark.parametrize("name", ["tiles of 37", "diagonal stripes"])
def test_a_sensor_s_pattern_that_is_stronger_than_what_repeats_is_found(name):
    rng = np.random.default_rng(7)
    sensor, shared = 3 * rng.standard_normal(SHAPE), ARTEFACTS[name](rng)
    query, pattern = (planes(rng, sensor, shared) for _ in range(2))
    assert energy(query, pattern) > 100
