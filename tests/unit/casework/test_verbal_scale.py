"""Likelihood ratios in words."""

import math

import pytest

from camid.casework.verbal_scale import SCALE, answer, ratio_words, support

SIDES = {"same": "one camera took both", "different": "two took them"}


def test_the_scale_rises():
    limits = [limit for limit, _ in SCALE]
    assert limits == sorted(set(limits))


@pytest.mark.parametrize(("ratio", "words"), [(1, "no"), (5, "weak"), (50, "moderate")])
def test_a_likelihood_ratio_and_its_inverse_support_as_strongly(ratio, words):
    for llr in (math.log(ratio), -math.log(ratio)):
        assert support(llr) == f"{words} support"


def test_the_likelier_proposition_is_named_first():
    assert "likelier if one camera took both than if two took them" in answer(3, **SIDES)
    assert "likelier if two took them than if one camera took both" in answer(-3, **SIDES)


def test_a_ratio_that_a_bound_cuts_is_said_to_be_the_most():
    told = ", the most that the reference devices allow to say,"
    for llr in (-2.5, 4.0):
        assert told in answer(llr, **SIDES, bounds=(-2.5, 4.0))
        assert told not in answer(llr, **SIDES, bounds=(-2.6, 4.1))


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(9.96, "9.9"), (10, "10"), (99.9, "99"), (1771, "1,700"), (1e6, "1,000,000")],
)
def test_a_ratio_is_written_as_no_more_than_it_is(ratio, words):
    assert ratio_words(math.log(ratio)) == ratio_words(-math.log(ratio)) == words


def test_a_ratio_about_1_supports_neither():
    assert answer(0.1, **SIDES).startswith("What is seen supports neither")


@pytest.mark.parametrize("llr", [0.0, 5.0, 6.5, 20.0, 1e9])
def test_ratios_are_written_without_exponents_or_overflow(llr):
    assert set(ratio_words(llr)) <= set("0123456789.,")
