import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from camid.prnu.cleaning import cleaned, whitened, without_blocks, without_peaks, zero_mean
from camid.prnu.correlation import ncc

SHAPE = (384, 512)


@pytest.fixture
def pattern():
    return np.random.default_rng(1).standard_normal(SHAPE, np.float32)


def lattice(period):
    tile = np.random.default_rng(2).standard_normal((period, period))
    return np.tile(tile, (SHAPE[0] // period, SHAPE[1] // period)).astype(np.float32)


def test_rows_and_columns_of_every_phase_have_mean_zero(pattern):
    result = zero_mean(pattern + 3 + np.linspace(0, 5, SHAPE[1], dtype=np.float32))
    for top in (0, 1):
        for left in (0, 1):
            phase = result[top::2, left::2]
            assert np.abs(phase.mean(axis=0)).max() < 1e-4
            assert np.abs(phase.mean(axis=1)).max() < 1e-4


def test_zero_mean_again_changes_nothing(pattern):
    once = zero_mean(pattern)
    np.testing.assert_allclose(zero_mean(once), once, atol=1e-5)


@pytest.mark.parametrize("period", [8, 16])
def test_what_repeats_is_taken_out_and_the_pattern_stays(pattern, period):
    shared = lattice(period)
    result = without_peaks(pattern + shared)
    assert ncc(result, shared) < 0.35 * ncc(pattern + shared, shared)
    assert ncc(result, pattern) > 0.9


def test_peaks_are_taken_out_as_a_plain_wiener_filter_of_the_spectrum_does(pattern):
    noisy = pattern + lattice(8) + 0.5 * pattern[:, :1]
    spectrum = np.fft.fft2(noisy.astype(float))
    energy, noise = np.abs(spectrum) ** 2 / noisy.size, noisy.var()
    local = [uniform_filter(energy, w, mode="wrap") - noise for w in (3, 5, 7, 9)]
    signal = np.clip(np.min(local, axis=0), 0, None)
    plain = np.fft.ifft2(spectrum * noise / (signal + noise)).real
    np.testing.assert_allclose(without_peaks(noisy), plain, atol=2e-3)


def test_two_devices_that_share_a_lattice_are_told_apart_by_cleaning(pattern):
    other = np.random.default_rng(3).standard_normal(SHAPE, np.float32)
    rows = np.arange(SHAPE[0], dtype=np.float32)[:, None] % 4
    shared = lattice(16) + rows
    assert ncc(pattern + shared, other + shared) > 0.4
    assert abs(ncc(cleaned(pattern + shared), cleaned(other + shared))) < 0.06


def test_whitening_weighs_rough_and_smooth_areas_alike(pattern):
    rough = pattern * np.where(np.arange(SHAPE[1]) < 256, 1, 6).astype(np.float32)
    result = whitened(rough)
    assert result[:, 270:].std() == pytest.approx(result[:, :240].std(), rel=0.05)


@pytest.mark.parametrize("clean", [zero_mean, without_peaks, whitened, cleaned])
def test_cleaning_leaves_its_argument_and_takes_planes_without_variance(clean, pattern):
    before = pattern.copy()
    clean(pattern)
    np.testing.assert_array_equal(pattern, before)
    flat = clean(np.full((32, 48), 7, np.float32))
    assert flat.shape == (32, 48)
    assert np.isfinite(flat).all()


def test_what_repeats_with_the_blocks_goes_and_the_rest_stays(rng):
    noise = rng.standard_normal((64, 96)).astype(np.float32)
    blocks = 5 * np.tile(rng.standard_normal((8, 8)).astype(np.float32), (8, 12))
    found = without_blocks(noise + blocks)
    np.testing.assert_allclose(found, without_blocks(noise), atol=1e-5)
    assert np.corrcoef(found.ravel(), noise.ravel())[0, 1] > 0.99
    assert abs(found.reshape(8, 8, 12, 8).mean(axis=(0, 2))).max() < 1e-6
