import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.casework.spread import (
    FEWEST,
    LEAST,
    MOST,
    MOST_ABSENT,
    absent,
    most_correlation,
    spread,
)

SHAPE = 8, 12
SEEDS = st.integers(0, 2**32)


def evidence(seed, mean=0.0, shape=SHAPE):
    """Return a map of a sensor whose evidence varies from cell to cell, as textures make it."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + mean * rng.gamma(2, 0.5, shape)


def score(scores, kept):
    return scores[kept].sum() / np.sqrt(kept.sum())


@pytest.mark.parametrize("mean", [0.3, 1.0, 3.0, 10.0])
def test_a_sensor_s_evidence_stays_what_it_is(mean):
    """Evidence is uneven: by chance one part of many may outweigh the rest."""
    num_less = 0
    for seed in range(200):
        scores = evidence(seed, mean)
        found = spread(scores)
        num_less += found.share < 0.5
        total = score(scores, np.ones(SHAPE, bool))
        assert score(scores, found.kept) >= total - 0.3 * abs(total)
    assert num_less <= 2


PLACES = {
    "cell": (7, 11),
    "few cells": (slice(6, 8), slice(9, 12)),
    "bottom row": (7, slice(None)),
    "first column": (slice(None), 0),
    "corner": (slice(0, 3), slice(0, 3)),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@given(SEEDS, st.floats(8, 40))
def test_what_lies_in_one_place_supports_nothing(place, seed, strength):
    scores = evidence(seed)
    scores[place] += strength
    found = spread(scores)
    total = score(scores, np.ones(SHAPE, bool))
    assert total * np.sqrt(found.share) < LEAST + 1.5


@given(SEEDS, st.floats(3, 10))
def test_a_frame_supports_nothing(seed, strength):
    scores = evidence(seed)
    border = np.ones(SHAPE, bool)
    border[1:-1, 1:-1] = False
    scores[border] += strength
    assert not spread(scores).kept[border].any()


@given(SEEDS, st.floats(10, 25))
def test_what_is_left_of_a_grain_at_its_edge_is_taken_out_too(seed, strength):
    """Where most of a picture is better than a sensor's, a cell that is not is no sensor's."""
    scores = evidence(seed, shape=(12, 12))
    scores[:, 6:] += 60
    scores[:5, :6] += 60
    scores[6:8, 0] += strength
    scores[11, 2:4] += strength
    kept = spread(scores, most=MOST * 64).kept
    assert score(scores, kept) < LEAST + 1.5


@given(SEEDS)
def test_beside_an_overlay_the_sensor_s_evidence_is_found(seed):
    scores = evidence(seed, 1.5)
    alone = score(scores, np.ones(SHAPE, bool))
    scores[7, 9:] += 30
    found = spread(scores)
    assert score(scores, found.kept) > 0.5 * alone
    assert found.is_local


@given(SEEDS, st.floats(0, 4))
def test_a_map_and_its_transpose_are_alike(seed, strength):
    scores = evidence(seed, 0.5)
    scores[0] += strength
    found, other = spread(scores), spread(scores.T)
    assert other.share == pytest.approx(found.share)
    np.testing.assert_array_equal(other.kept.T, found.kept)


def test_cells_that_agree_too_well_do_not_count_and_all_of_them_are_no_evidence():
    scores = evidence(1)
    scores[:5] += 30
    assert spread(scores).share > 0.5
    assert spread(scores, most=MOST * 64).share < 0.05
    assert spread(scores + 30, most=MOST * 64).share == 0


def test_few_cells_are_taken_as_they_are():
    scores = np.array([[9.0, 0.1, -0.2, 0.3]])
    assert scores.size < FEWEST
    assert spread(scores).share == 1


def test_what_was_not_compared_takes_no_part():
    scores = evidence(3, 1.0)
    wide = np.zeros((10, 14))
    wide[1:-1, 1:-1] = scores
    assert not spread(wide).kept[0].any()
    assert spread(wide).share == 1


def test_averages_of_more_photographs_may_correlate_more():
    assert most_correlation(1) == pytest.approx(MOST)
    rising = [most_correlation(n, n) for n in (1, 4, 16, 64)]
    assert rising == sorted(rising)
    assert rising[0] < MOST < rising[-1] < 1


@pytest.mark.parametrize("mean", [5.0, 12.0, 30.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_sensor_s_evidence_is_absent_nowhere_and_what_lacks_in_a_part_is(mean, seed):
    rng = np.random.default_rng(seed)
    light = rng.uniform(0.5, 1.5, (10, 12))
    scores = mean * light + rng.standard_normal(light.shape)
    kept = np.ones(scores.shape, bool)
    assert absent(scores, kept) < MOST_ABSENT
    scores[3:7, 4:9] = rng.standard_normal((4, 5))
    assert absent(scores, kept) > MOST_ABSENT
    kept[3:7, 4:9] = False
    assert absent(scores, kept) < MOST_ABSENT


def test_nothing_is_said_to_be_absent_where_nothing_is_clear():
    scores = np.random.default_rng(1).standard_normal((10, 12)) + 1
    assert absent(scores, np.ones(scores.shape, bool)) == 0
