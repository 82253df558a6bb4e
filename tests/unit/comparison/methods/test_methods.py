"""What methods tell of tiles, held against one pair at a time, and what each is good for."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from camid.comparison.methods import METHODS, chosen_methods
from camid.comparison.methods.correlation import (
    likelihood_moments,
    likelihood_ncc,
    mean_ncc,
    moments,
    pooled_ncc,
    window_nccs,
)
from camid.comparison.methods.estimators import weighted_residual
from camid.comparison.methods.lag_correlation import (
    NUM_SEARCHED,
    lag_moments,
    lag_score,
    searched_energy,
    searched_moments,
)
from camid.comparison.methods.method import Tile
from camid.comparison.methods.wavelet_bands import band_moments, band_ncc
from camid.prnu.correlation import PEAK_RADIUS, false_alarm_probability, ncc
from camid.prnu.luminance import grey

SIZE = 65
SEARCHED = 2 * PEAK_RADIUS + 1
PAIRS = np.array([[0, 0], [1, 2], [0, 1]])


@pytest.fixture
def whole(rng):
    first, second = (rng.standard_normal((n, SIZE, SIZE), np.float32) for n in (2, 3))
    second[0] += first[0]
    return Tile(first, second, PAIRS, np.zeros((3, 2), np.int64), SIZE)


@pytest.fixture
def windows(whole):
    return whole._replace(corners=np.array([[1, 2], [9, 0], [13, 13]]), size=44)


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
    np.testing.assert_allclose(mean_ncc(window_nccs(tile)), nccs, atol=1e-5)


@pytest.mark.parametrize("name", ["whole", "windows"])
def test_lag_moments_are_those_of_the_correlation_at_all_lags(name, request):
    tile = request.getfixturevalue(name)
    for told, (a, b) in zip(lag_moments(tile), plain(tile), strict=True):
        lags = np.fft.ifft2(np.fft.fft2(a) * np.conj(np.fft.fft2(b))).real
        others = (np.sum(lags**2) - lags[0, 0] ** 2) / (lags.size - 1)
        np.testing.assert_allclose(told, [lags[0, 0], others], rtol=1e-4, atol=1e-3)


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
    bands = band_moments(whole)
    assert band_ncc(bands + bands) == pytest.approx(band_ncc(bands))


def test_four_windows_that_tell_the_same_tell_it_twice_as_surely(whole):
    lags = lag_moments(whole)
    assert lag_score(4 * lags) == pytest.approx(2 * lag_score(lags), rel=1e-6)


def test_windows_of_strangers_stay_strangers_when_they_are_summed(rng):
    """Products add up and so do variances: scores stay normal, and searches as rare by chance."""
    first, second = (rng.standard_normal((4, 30, 48, 48), np.float32) for _ in range(2))
    pairs = np.array([(a, b) for a in range(30) for b in range(30)])
    tiles = [Tile(a, b, pairs, 0 * pairs, 48) for a, b in zip(first, second, strict=True)]
    assert kstest(lag_score(sum(map(lag_moments, tiles))), "norm").pvalue > 1e-3
    energies = searched_energy(sum(map(searched_moments, tiles)))
    chances = [false_alarm_probability(energy, num_lags=NUM_SEARCHED) for energy in energies]
    assert kstest(chances, "uniform").pvalue > 1e-3


def test_a_search_in_small_smooth_windows_finds_what_is_the_same(rng):
    planes = gaussian_filter(rng.standard_normal((40, 44, 44)), (0, 2, 2)).astype(np.float32)
    pairs = np.array([(a, b) for a in range(40) for b in range(40)])
    found = searched_energy(searched_moments(Tile(planes, planes, pairs, 0 * pairs, 44)))
    same = pairs[:, 0] == pairs[:, 1]
    assert found[same].min() > 2 * found[~same].max()


@pytest.mark.parametrize("name", ["whole", "windows"])
def test_a_pattern_times_intensity_is_correlated_with_the_residual(name, request, rng):
    tile = request.getfixturevalue(name)
    intensity = rng.uniform(0, 1, tile.second.shape).astype(np.float32)
    seen = tile._replace(second=np.stack([tile.second, intensity], axis=1))
    found = likelihood_ncc(likelihood_moments(seen))
    for pair, ((first, second), (y, x)) in enumerate(zip(tile.pairs, tile.corners, strict=True)):
        cut = np.s_[y : y + tile.size, x : x + tile.size]
        expected = tile.first[first][cut] * intensity[second][cut]
        assert found[pair] == pytest.approx(ncc(tile.second[second][cut], expected), abs=1e-5)


@pytest.mark.parametrize("name", ["whole", "windows"])
def test_a_search_finds_sides_that_are_apart(name, request):
    tile = request.getfixturevalue(name)
    apart = tile._replace(second=np.roll(tile.second, (2, -3), axis=(1, 2)))
    told = searched_moments(apart)
    for found, (a, b) in zip(told, plain(apart), strict=True):
        lags = np.fft.ifft2(np.fft.fft2(a) * np.conj(np.fft.fft2(b))).real
        near = np.roll(lags, (PEAK_RADIUS, PEAK_RADIUS), axis=(0, 1))[:SEARCHED, :SEARCHED]
        far = (np.sum(lags**2) - np.sum(near**2)) / (lags.size - near.size)
        np.testing.assert_allclose(found, [*near.ravel(), far], rtol=1e-3, atol=1e-2)
    energy = searched_energy(told)
    assert energy[0] > 60 > energy[1]


def test_a_window_too_small_for_a_search_is_one_sentence(windows):
    with pytest.raises(ValueError, match="needs windows of 44 px, got 43 px; raise comparisons.cr"):
        searched_moments(windows._replace(size=43))


def test_searched_energies_of_strangers_exceed_what_their_probability_says_as_often(rng):
    first, second = (rng.standard_normal((40, 64, 64), np.float32) for _ in range(2))
    pairs = np.array([(a, b) for a in range(40) for b in range(40)])
    found = searched_energy(searched_moments(Tile(first, second, pairs, np.zeros_like(pairs), 64)))
    chances = [false_alarm_probability(energy, num_lags=NUM_SEARCHED) for energy in found]
    assert kstest(chances, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("size", [64, 48])
def test_bands_of_one_energy_find_a_pattern_under_a_smooth_scene(rng, size):
    """White noise is in all bands alike, where planes correlate as bands do; a scene is in few."""
    first, second = (rng.standard_normal((1, 64, 64), np.float32) for _ in range(2))
    tile = Tile(first, first + second, np.array([[0, 0]]), np.array([[0, 0]]), size)
    expected = pooled_ncc(moments(tile))
    assert band_ncc(band_moments(tile)) == pytest.approx(expected, abs=0.05)
    scene = 10 * np.sin(np.arange(64) / 3).astype(np.float32)
    seen = tile._replace(second=tile.second + scene)
    assert band_ncc(band_moments(seen)) > 2 * pooled_ncc(moments(seen))


def test_nothing_compared_is_no_score():
    nothing = np.zeros((2, 12))
    for score in (pooled_ncc, lag_score, mean_ncc, likelihood_ncc, searched_energy, band_ncc):
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


def test_all_stands_for_every_method():
    assert list(chosen_methods(["all"])) == list(METHODS)
