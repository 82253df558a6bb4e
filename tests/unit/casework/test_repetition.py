"""What repeats in a fingerprint is software's, and is kept out."""

import numpy as np
import pytest

from camid.casework.repetition import repeated_periods, repetition, without_repetition
from camid.casework.single_peak import PERIODS
from camid.prnu.correlation import ncc

SHAPE = (400, 460)


@pytest.fixture
def sensor(rng):
    return rng.standard_normal(SHAPE).astype(np.float32)


def tiled(rng, period, shape=SHAPE):
    tile = rng.standard_normal((period, period)).astype(np.float32)
    return np.tile(tile, (shape[0] // period + 1, shape[1] // period + 1))[: shape[0], : shape[1]]


def test_a_sensor_s_pattern_repeats_at_no_period(sensor):
    assert repeated_periods(sensor) == ()
    assert all(abs(repetition(sensor, period)) < 5 for period in (8, 16, 32, 64, 128))


@pytest.mark.parametrize("period", [period for period in PERIODS if 3 * period <= min(SHAPE)])
@pytest.mark.parametrize("strength", [0.5, 2])
def test_tiles_are_found_by_their_period_and_taken_out(rng, sensor, period, strength):
    mixed = sensor + strength * tiled(rng, period)
    assert repeated_periods(mixed) == (period,)
    clean = without_repetition(mixed, [period])
    assert repetition(clean, period) < 1
    assert ncc(clean, sensor) > ncc(mixed, sensor)
    assert ncc(clean, sensor) > 0.93


def test_devices_that_share_tiles_share_nothing_without_them(rng, sensor):
    tiles = tiled(rng, 64)
    other = rng.standard_normal(SHAPE).astype(np.float32)
    first, second = sensor + tiles, other + tiles
    assert ncc(first, second) > 0.4
    clean = [without_repetition(plane, repeated_periods(plane)) for plane in (first, second)]
    assert abs(ncc(*clean)) < 0.02


def test_tiles_of_two_periods_are_both_named(rng, sensor):
    assert repeated_periods(sensor + tiled(rng, 32) + tiled(rng, 128)) == (32, 128)
