import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from camid.casework.match_detail import CLEAR, is_finest_alone, scales

SHAPE = 384, 512
SEEDS = st.integers(0, 2**32)
PLACES = {
    "a line below": (slice(352, None), slice(None)),
    "a column": (slice(None), slice(0, 32)),
    "a corner": (slice(0, 120), slice(0, 160)),
}


def finest(rng):
    """Return noise that only the finest detail shows."""
    noise = rng.standard_normal(SHAPE).astype(np.float32)
    return noise - gaussian_filter(noise, 0.45)


def photographs_of_a_sensor(rng):
    """Return two planes that share a pattern of every scale."""
    pattern, *noise = rng.standard_normal((3, *SHAPE)).astype(np.float32)
    return [0.5 * pattern + one for one in noise]


@given(SEEDS)
def test_noise_that_software_adds_all_over_lies_in_the_finest_detail_alone(seed):
    rng = np.random.default_rng(seed)
    added = finest(rng)
    planes = [added + one for one in rng.standard_normal((2, *SHAPE)).astype(np.float32)]
    assert is_finest_alone(*planes)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@given(SEEDS)
def test_letters_in_one_place_do_not_hide_a_sensor_s_pattern(place, seed):
    rng = np.random.default_rng(seed)
    letters = np.zeros(SHAPE, np.float32)
    letters[place] = 25 * finest(rng)[place]
    planes = [plane + letters for plane in photographs_of_a_sensor(rng)]
    assert scales(*planes).lacks_coarse(clear=CLEAR)
    assert not is_finest_alone(*planes)


@given(SEEDS)
def test_strangers_show_nothing_in_either_detail(seed):
    planes = np.random.default_rng(seed).standard_normal((2, *SHAPE)).astype(np.float32)
    agreement = scales(*planes)
    assert abs(agreement.coarse) < 7
    assert abs(agreement.fine) < 7
    assert not is_finest_alone(*planes)
