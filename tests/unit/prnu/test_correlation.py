import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from camid.prnu.correlation import cross_correlation, false_alarm_probability, ncc, pce

planes = hnp.arrays(np.float32, (8, 9), elements=st.floats(-50, 50, width=32))


@given(planes, planes)
def test_ncc_is_symmetric_and_bounded(a, b):
    assert ncc(a, b) == pytest.approx(ncc(b, a), abs=1e-9)
    assert abs(ncc(a, b)) <= 1 + 1e-9


@given(planes, planes, st.floats(0.5, 20), st.floats(-100, 100))
def test_ncc_does_not_see_scale_and_offset(a, b, scale, offset):
    changed = a.astype(np.float64) * scale + offset
    assume(a.std() > 1e-2)
    assert ncc(a, changed) == pytest.approx(1, abs=1e-3)
    assert ncc(b, changed) == pytest.approx(ncc(b, a), abs=1e-3)


def test_ncc_is_the_textbook_correlation(rng):
    a, b = rng.normal(size=(2, 30, 40))
    assert ncc(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_a_constant_correlates_with_nothing(rng):
    assert ncc(np.full((4, 4), 3.0), rng.normal(size=(4, 4))) == 0


def test_pce_finds_a_planted_pattern_wherever_it_lies(rng):
    pattern, noise = rng.normal(size=(2, 128, 160))
    for lag in [(0, 0), (17, 100), (127, 3)]:
        taken = np.roll(pattern, lag, axis=(0, 1)) + 3 * noise
        found = pce(taken, pattern)
        assert found.pce > 500
        assert (found.row, found.column) == lag
    assert pce(noise, pattern).pce < 40
    assert pce(np.zeros((32, 32)), pattern[:32, :32]).pce == 0


def test_pce_is_the_formula(rng):
    a, b = rng.normal(size=(2, 16, 20))
    a, b = a - a.mean(), b - b.mean()
    lags = np.array(
        [[np.sum(np.roll(b, (y, x), (0, 1)) * a) for x in range(20)] for y in range(16)]
    )
    row, column = np.unravel_index(lags.argmax(), lags.shape)
    away = [
        lags[y, x] ** 2
        for y in range(16)
        for x in range(20)
        if min((y - row) % 16, (row - y) % 16) > 5 or min((x - column) % 20, (column - x) % 20) > 5
    ]
    np.testing.assert_allclose(cross_correlation(a, b), lags)
    assert pce(a, b) == pytest.approx((lags.max() ** 2 / np.mean(away), row, column))


def test_shapes_must_agree(rng):
    with pytest.raises(
        ValueError, match=r"expected two arrays of one shape, got \(3,\) and \(4,\)"
    ):
        ncc(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="expected planes of more than 11x11 px"):
        pce(np.zeros((11, 64)), np.zeros((11, 64)))


def test_strangers_pass_a_pce_as_often_as_its_false_alarm_probability_says(rng):
    highest = [pce(*rng.standard_normal((2, 32, 32))).pce for _ in range(400)]
    for limit in (9.0, 12.0, 15.0):
        expected = false_alarm_probability(limit, num_lags=32 * 32)
        assert np.mean(np.array(highest) >= limit) == pytest.approx(expected, abs=0.08)


def test_a_longer_search_and_a_lower_peak_raise_more_false_alarms():
    one, many = (false_alarm_probability(60, num_lags=k) for k in (1, 10**6))
    assert 0 < one < many == pytest.approx(10**6 * one, rel=1e-6)
    assert false_alarm_probability(30, num_lags=1) > one
    assert false_alarm_probability(-4, num_lags=1) > 0.5
    with pytest.raises(ValueError, match="at least one lag, got num_lags=0"):
        false_alarm_probability(60, num_lags=0)
