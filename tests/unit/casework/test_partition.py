"""Photographs of two sensors are told by all their correlations, none of which is certain."""

import numpy as np
import pytest

from camid.casework.partition import partition


def correlations(rng, *strengths):
    """Return scores of images of sensors, each of so many images of such strengths."""
    number = sum(map(len, strengths))
    scores, start = rng.standard_normal((number, number)), 0
    scores = np.triu(scores, 1) + np.triu(scores, 1).T
    for own in strengths:
        part = slice(start, start + len(own))
        scores[part, part] += np.outer(own, own)
        start += len(own)
    return scores


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("number", [2, 6, 12, 16])
def test_one_sensor_is_not_parted_whatever_its_photographs_are_worth(seed, number):
    rng = np.random.default_rng(seed)
    strengths = rng.uniform(0, 6, number)
    assert partition(correlations(rng, strengths)) == [list(range(number))]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("numbers", [(6, 6), (5, 9), (10, 6)])
def test_two_sensors_are_parted_though_no_two_photographs_agree_for_certain(seed, numbers):
    rng = np.random.default_rng(seed)
    first, second = (rng.uniform(2.0, 2.8, number) for number in numbers)
    parts = partition(correlations(rng, first, second))
    assert len(parts) == 2
    wrong = sum(min(sum(n < numbers[0] for n in p), sum(n >= numbers[0] for n in p)) for p in parts)
    assert wrong <= 1


def test_three_sensors_are_three_parts():
    rng = np.random.default_rng(1)
    parts = partition(correlations(rng, *np.full((3, 5), 4.0)))
    assert parts == [list(range(5)), list(range(5, 10)), list(range(10, 15))]


def test_photographs_without_a_pattern_are_left_together():
    scores = correlations(np.random.default_rng(2), np.zeros(12))
    assert partition(scores) == [list(range(12))]


def test_the_order_of_photographs_changes_no_part():
    rng = np.random.default_rng(3)
    scores = correlations(rng, np.full(5, 3.0), np.full(6, 3.0))
    order = rng.permutation(11)
    parts = partition(scores[np.ix_(order, order)])
    assert sorted(sorted(order[part].tolist()) for part in parts) == partition(scores)
