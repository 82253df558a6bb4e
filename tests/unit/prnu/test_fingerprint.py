"""Reference patterns, and how much of a pattern shows at an intensity."""

import numpy as np
import pytest

from camid.prnu.correlation import ncc
from camid.prnu.fingerprint import (
    PatternSum,
    intensity_weight,
    likelihood_pattern,
    reference_pattern,
)


def test_a_reference_pattern_is_the_mean(rng):
    residuals = rng.normal(size=(7, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(reference_pattern(residuals), residuals.mean(0), atol=1e-6)


def test_parts_of_a_pattern_merge_into_the_whole(rng):
    residuals = rng.normal(size=(7, 16, 16)).astype(np.float32)
    merged = PatternSum.of(residuals[:2]) + PatternSum.of(residuals[2:])
    np.testing.assert_array_equal(merged.pattern(), reference_pattern(residuals))


def test_no_residual_makes_no_pattern():
    with pytest.raises(ValueError, match="needs at least one residual, got none"):
        reference_pattern(np.zeros((0, 4, 4), np.float32))


def test_bright_images_count_more_in_a_likelihood_pattern(rng):
    """The pattern shows in proportion to the light; noise does not."""
    pattern = rng.normal(0, 0.01, (32, 32))
    greys = rng.choice([10, 240], (12, 1, 1)) + rng.uniform(-9, 9, (12, 32, 32))
    residuals = (greys * pattern + rng.normal(0, 6, greys.shape)).astype(np.float32)
    weights = np.stack([intensity_weight(plane) for plane in greys])
    found = likelihood_pattern((residuals * weights).sum(0), (weights**2).sum(0))
    assert ncc(found, pattern) > 1.05 * ncc(reference_pattern(residuals), pattern) > 0


def test_a_likelihood_pattern_is_what_an_intensity_of_252_shows(rng):
    pattern = rng.normal(0, 0.02, (32, 32))
    residuals = (200 * pattern + rng.normal(0, 6, (400, 32, 32))).astype(np.float32)
    weights = np.full_like(residuals, 200 / 252)
    found = likelihood_pattern((residuals * weights).sum(0), (weights**2).sum(0))
    slope, _ = np.polyfit(pattern.ravel(), found.ravel(), 1)
    assert slope == pytest.approx(252, rel=0.05)


def test_intensity_weighs_in_proportion_and_nothing_where_saturated():
    plane = np.array([[0, 63, 126, 252], [255, 255, 100, 254], [40, 30, 20, 10], [9, 255, 7, 6]])
    found = intensity_weight(plane)
    np.testing.assert_allclose(found[0], [0, 0.25, 0.5, 1])
    assert found[1, 0] == found[1, 1] == 0  # two neighbours at the maximum
    assert found[1, 3] == pytest.approx(np.exp(-2 / 3))  # one alone is no saturated area
    assert found[3, 1] == pytest.approx(np.exp(-1.5))
    assert (intensity_weight(np.full((3, 3), 251)) == np.float32(251 / 252)).all()
    assert intensity_weight(plane, 16).shape == (16, 16)
    np.testing.assert_array_equal(intensity_weight(plane, 16)[::4, ::4], found)
