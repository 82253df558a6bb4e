import numpy as np
import pytest
import pywt
from scipy.ndimage import gaussian_filter

from camid.prnu.correlation import ncc
from camid.prnu.enhancers import enhanced, enhanced_wavelet
from camid.prnu.residual import quantised, residual, restored


def plain_lukas(plane, sigma):
    """The filter as its authors describe it, window sums by hand."""
    coefficients = pywt.wavedec2(plane.astype(np.float64), "db4", level=4)
    result = [np.zeros_like(coefficients[0])]
    for bands in coefficients[1:]:
        result.append(tuple(shrunk_by_hand(band, sigma**2) for band in bands))
    return pywt.waverec2(result, "db4")[: plane.shape[0], : plane.shape[1]]


def shrunk_by_hand(band, variance):
    height, width = band.shape
    signal = np.full(band.shape, np.inf)
    for window in (3, 5, 7, 9):
        padded = np.pad(band**2, window // 2)
        total = sum(
            padded[y : y + height, x : x + width] for y in range(window) for x in range(window)
        )
        signal = np.minimum(signal, np.maximum(total / window**2 - variance, 0))
    return band * variance / (signal + variance)


@pytest.mark.parametrize("shape", [(256, 256), (131, 200), (112, 112)])
def test_lukas_equals_the_formula(rng, shape):
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_allclose(residual(image), plain_lukas(image, 5.0), atol=1e-3)


def test_weak_noise_stays_and_strong_scenes_go(rng):
    noise = rng.normal(0, 3, (256, 256))
    scene = 60 * np.sign(gaussian_filter(rng.normal(0, 1, (256, 256)), 12))
    found = residual(np.clip(128 + scene + noise, 0, 255).astype(np.uint8))
    assert ncc(found, noise) > 0.7
    assert abs(ncc(found, scene)) < 0.1


def test_the_image_is_left_as_it_was(rng):
    image = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    before = image.copy()
    residual(image)
    np.testing.assert_array_equal(image, before)


def test_no_filter_gives_the_pixels(rng):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(residual(image, filter="none"), image)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="64x64 px allows at most 3 levels of 'db4', got levels=4"):
        residual(np.zeros((64, 64), np.uint8))
    with pytest.raises(ValueError, match="expected a discrete wavelet"):
        residual(np.zeros((128, 128), np.uint8), wavelet="daubechies")
    with pytest.raises(ValueError, match="expected \\(height, width"):
        residual(np.zeros(7, np.uint8))


def test_quantised_residuals_are_within_half_a_step(rng):
    noise = rng.uniform(-15, 15, (64, 64)).astype(np.float32)
    for step in (0.125, 0.25):
        assert np.abs(restored(quantised(noise, step=step), step=step) - noise).max() <= step / 2


def test_residuals_beyond_the_range_are_clipped():
    assert quantised(np.array([-99, 99], np.float32)).tolist() == [-127, 127]


@pytest.mark.parametrize("model", [1, 2, 3, 4, 5])
def test_enhancers_are_odd_and_bounded(model, rng):
    noise = rng.normal(0, 8, 1000).astype(np.float32)
    found = enhanced(noise, model=model)
    np.testing.assert_allclose(enhanced(-noise, model=model), -found, rtol=1e-6)
    assert np.abs(found).max() <= 1


@pytest.mark.parametrize(("model", "largest"), [(1, 7.0), (2, 7.0), (3, 7.0), (4, 0.0), (5, 0.0)])
def test_enhancers_weigh_strong_coefficients_least(model, largest):
    sizes = np.linspace(0.001, 40, 4000, dtype=np.float32)
    weights = enhanced(sizes, model=model, alpha=7.0)
    assert abs(sizes[weights.argmax()] - largest) < 0.02
    assert weights[-1] < 1e-4


def test_model_five_is_the_formula_of_the_study():
    n = np.array([-7, -1e-9, 0, 7], np.float32)
    e = np.exp(-0.5)
    np.testing.assert_allclose(enhanced(n), [-e, -1, 1, e], rtol=1e-6)
    assert enhanced(n, zero="zero")[2] == 0


def test_there_are_five_models():
    with pytest.raises(ValueError, match="expected one of Li's models 1 to 5, got 6"):
        enhanced(np.zeros(3, np.float32), model=6)


def test_the_transform_of_a_residual_gives_its_noise_coefficients_back(rng):
    """So Li's enhancer can act on a stored residual as on the filter's own coefficients."""
    image = rng.integers(60, 190, (512, 512), dtype=np.uint8)
    bands = pywt.wavedec2(image.astype(np.float32), "db4", level=4)
    own = [np.zeros_like(bands[0])]
    own += [tuple(enhanced(shrunk_by_hand(b, 25.0)) for b in level) for level in bands[1:]]
    direct = pywt.waverec2(own, "db4")
    inner = (slice(112, 400), slice(112, 400))
    assert ncc(enhanced_wavelet(residual(image))[inner], direct[inner]) > 0.999
