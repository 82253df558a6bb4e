"""What methods tell of tiles, held against one pair at a time, and what each is good for."""

import numpy as np
import pytest
from scipy.stats import kstest

from camid.images import grey
from camid.methods.correlation import (
    crop_nccs,
    lag_moments,
    lag_score,
    mean_ncc,
    moments,
    pooled_ncc,
)
from camid.methods.method import Tile
from camid.methods.weighting import weighted_residual

SIZE = 33
PAIRS = np.array([[0, 0], [1, 2], [0, 1]])


@pytest.fixture
def whole(rng):
    first, second = (rng.standard_normal((n, SIZE, SIZE), np.float32) for n in (2, 3))
    second[0] += first[0]
    return Tile(first, second, PAIRS, np.zeros((3, 2), np.int64), SIZE)


@pytest.fixture
def windows(whole):
    return whole._replace(corners=np.array([[1, 2], [9, 0], [13, 13]]), size=20)


def plain(tile):
    """Yield both centred windows of each pair."""
    for (first, second), (y, x) in zip(tile.pairs, tile.corners, strict=True):
        cut = np.s_[y : y + tile.size, x : x + tile.size]
        found = [tile.first[first][cut], tile.second[second][cut]]
        yield [np.float64(window) - window.mean(dtype=np.float64) for window in found]


@pytest.mark.parametrize("name", ["whole", "windows"])
def test_moments_are_products_and_squares_about_the_means(name, request):
    tile = request.getfixturevalue(name)
    expected = [[(a * b).sum(), (a * a).sum(), (b * b).sum()] for a, b in plain(tile)]
    np.testing.assert_allclose(moments(tile), expected, rtol=1e-4, atol=1e-3)
    nccs = [e[0] / np.sqrt(e[1] * e[2]) for e in expected]
    np.testing.assert_allclose(mean_ncc(crop_nccs(tile)), nccs, atol=1e-5)


@pytest.mark.parametrize("name", ["whole", "windows"])
def test_lag_moments_are_those_of_the_correlation_at_all_lags(name, request):
    tile = request.getfixturevalue(name)
    for told, (a, b) in zip(lag_moments(tile), plain(tile), strict=True):
        lags = np.fft.ifft2(np.fft.fft2(a) * np.conj(np.fft.fft2(b))).real
        others = np.sum(lags**2) - lags[0, 0] ** 2
        np.testing.assert_allclose(told, [lags[0, 0], others, lags.size - 1], rtol=1e-4, atol=1e-3)


def test_the_lag_score_of_strangers_is_a_standard_normal_number(rng):
    first, second = (rng.standard_normal((60, 32, 32), np.float32) for _ in range(2))
    first *= np.linspace(1, 9, 32, dtype=np.float32)  # strength must not matter
    pairs = np.array([(a, b) for a in range(60) for b in range(0, 60, 7)])
    found = lag_score(lag_moments(Tile(first, second, pairs, np.zeros_like(pairs), 32)))
    assert abs(found.mean()) < 0.15
    assert 0.9 < found.std() < 1.1
    assert kstest(found, "norm").pvalue > 1e-3


def test_sums_are_pooled_before_they_are_divided(whole):
    told = moments(whole)
    assert pooled_ncc(told + told) == pytest.approx(pooled_ncc(told))
    lags = lag_moments(whole)
    assert lag_score(4 * lags) == pytest.approx(4 * lag_score(lags), rel=1e-6)


def test_nothing_compared_is_no_score():
    nothing = np.zeros((2, 3))
    for score in (pooled_ncc, lag_score, mean_ncc):
        assert np.isnan(score(nothing)).all()


def test_edges_weigh_little_and_flat_areas_stay_as_they_are(rng):
    strip = rng.normal(0, 0.1, (64, 64, 3)).astype(np.float32)
    strip[:, 32:] *= 100
    found = weighted_residual(strip)
    flat, edges = found[8:-8, 8:24], found[8:-8, 40:56]
    assert edges.std() < flat.std() * 3
    np.testing.assert_allclose(flat, grey(strip)[8:-8, 8:24], rtol=0.05)


def test_weighting_finds_a_pattern_that_scenes_hide(rng):
    """Half of each image is a strong texture of its own: the plain mean drowns in it."""
    pattern = rng.standard_normal((64, 64, 1)).astype(np.float32)
    strips = pattern * 0.3 + rng.normal(0, 1, (8, 64, 64, 3)).astype(np.float32)
    for strip in strips:
        columns = (rng.integers(64) + np.arange(32)) % 64
        strip[:, columns] += rng.normal(0, 20, (64, 32, 1)).astype(np.float32)
    plain_mean = strips.mean(axis=(0, 3))
    weighted = sum(weighted_residual(strip) for strip in strips)
    likeness = [
        np.corrcoef(found.ravel(), pattern.ravel())[0, 1] for found in (plain_mean, weighted)
    ]
    assert likeness[1] > 2 * abs(likeness[0])
