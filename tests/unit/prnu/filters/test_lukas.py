import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from camid.prnu.filters.lukas import residuals
from tests.reference.lukas import plain_lukas

WAVELETS = ("haar", "db2", "db4", "sym6", "db8", "bior3.7", "db12")


def noisy(shape, seed=1):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(WAVELETS), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.data()
)
def test_any_size_wavelet_and_number_of_planes_equals_the_plain_filter(
    wavelet, count, channels, levels, data
):
    smallest = (pywt.Wavelet(wavelet).dec_len - 1) << levels
    sides = st.integers(smallest, max(320, smallest + 40))
    images = noisy((count, data.draw(sides), data.draw(sides), channels))
    found = residuals(images, wavelet=wavelet, levels=levels)
    plain = plain_lukas(images, wavelet=wavelet, levels=levels)
    np.testing.assert_allclose(found, plain, atol=1e-3)


@pytest.mark.parametrize("shape", [(40, 256, 256, 3), (1, 1201, 2403, 3), (2, 900, 5000, 1)])
def test_batches_of_strips_and_large_images_equal_the_plain_filter(shape):
    images = noisy(shape)
    images[:, 100:180, 60:240] //= 40  # flat beside rough
    np.testing.assert_allclose(residuals(images), plain_lukas(images), atol=1e-3)


def test_float_pixels_are_filtered_as_bytes_are():
    images = noisy((1, 150, 140, 3))
    np.testing.assert_array_equal(residuals(images.astype(np.float32)), residuals(images))


def test_an_image_is_filtered_alike_alone_and_among_others():
    images = noisy((19, 128, 140, 3))
    alone = np.concatenate([residuals(images[i : i + 1]) for i in range(len(images))])
    np.testing.assert_allclose(residuals(images), alone, atol=1e-4)


def test_a_part_of_an_array_is_filtered_as_its_copy_is():
    images = noisy((2, 300, 280, 4))
    part = images[:, 20:, 30:260, ::-2]
    np.testing.assert_array_equal(residuals(part), residuals(part.copy()))


def test_equal_images_have_equal_residuals_to_the_bit():
    images = noisy((3, 200, 200, 3))
    assert residuals(images).tobytes() == residuals(images.copy()).tobytes()
