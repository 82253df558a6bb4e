"""The filter of Lukas as the field writes it, with PyWavelets and SciPy: what ours is held to."""

import numpy as np
import pywt
from scipy.ndimage import uniform_filter


def plain_lukas(images, *, sigma=5.0, wavelet="db4", levels=4):
    """Return the residuals of images ``(image, height, width, channel)``, a plane at a time."""
    noise = np.empty(images.shape, np.float32)
    height, width = images.shape[1:3]
    for image, found in zip(images, noise, strict=True):
        for channel in range(images.shape[3]):
            plane = image[:, :, channel].astype(np.float32)
            coefficients = pywt.wavedec2(plane, wavelet, level=levels)
            shrunk = [np.zeros_like(coefficients[0])]
            shrunk += [tuple(wiener(band, sigma**2) for band in c) for c in coefficients[1:]]
            found[:, :, channel] = pywt.waverec2(shrunk, wavelet)[:height, :width]
    return noise


def wiener(band, variance):
    """Return what a Wiener filter takes out of a band, its signal the least of four estimates."""
    energy = band**2
    means = np.zeros((*band.shape, 4))
    for index, window in enumerate((3, 5, 7, 9)):
        means[:, :, index] = uniform_filter(energy, window, mode="constant")
    signal = np.maximum(means - variance, 0).min(axis=2)
    return band * variance / (signal + variance)
