"""Counts in sentences: no zero, and one thing is not several."""

import re
from dataclasses import replace

import pytest

from camid.casework.enrol import Enrolled
from camid.casework.identify_answer import left
from camid.casework.query import Ranking
from camid.casework.report import extent_words, grade_words
from camid.io.counts import counted, tally

WRONG = re.compile(r"(?<![\d.,:×])0 [a-z]|(?<![\d.,:])1 [a-z]+s\b(?<!is|as|us)")
"""A zero before a word, and one of several things."""

RANKING = Ranking(candidates=(), num_aligned=4, num_searched=3, num_lags=99, num_left=0)
NUMBERS = (0, 1, 2, 1234)


def test_none_and_one_are_words_of_their_own():
    words = [counted(number, "entry", "entries") for number in NUMBERS]
    assert words == ["no entries", "1 entry", "2 entries", "1,234 entries"]
    assert tally({"kept": 0, "not": 0}, "nothing") == "nothing"


@pytest.mark.parametrize("number", NUMBERS)
def test_an_enrolment_says_nothing_of_one_in_the_plural_and_zero_only_in_its_count(number):
    paths = tuple((f"{n}.jpg", "black") for n in range(number))
    enrolled = Enrolled(
        device="mine",
        entries=(),
        accepted=tuple(path for path, _ in paths),
        skipped=paths,
        rejected=paths,
        shared={"yours": number} if number else {},
    )
    *sentences, count = enrolled.lines()[2 * number :]
    assert not any(map(WRONG.search, sentences))
    assert count == f"mine: {number} accepted, {number} skipped, {number} rejected"


@pytest.mark.parametrize("num_searched", [0, 3])
@pytest.mark.parametrize("number", NUMBERS)
def test_what_was_left_out_is_said_where_something_was(number, num_searched):
    ranking = replace(RANKING, num_left=number, num_searched=num_searched)
    assert len(left(ranking)) == (number > 0)
    assert not any(map(WRONG.search, left(ranking)))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_report_says_no_zero_and_nothing_of_one_in_the_plural(number):
    names = ("entries", "whole", "parts", "places", "left_out")
    searched = dict.fromkeys(names, number) | {"is_ended": False}
    assert not WRONG.search(extent_words(searched))
    rates = ("count", "unanswered", "wrong", "stranger_count", "stranger_named")
    assert not WRONG.search(grade_words(dict.fromkeys(rates, number)))
