"""The case report: one page, whole in itself, with everything that was answered."""

import re
from html.parser import HTMLParser
from itertools import chain

import pytest

from camid.casework.reference_population import (
    IDENTIFICATION_FILE,
    VERIFICATION_FILE,
    shipped_reference,
)
from camid.casework.report import LIMITS, case_facts, case_page
from camid.casework.verbal_scale import SCALE

PHOTOGRAPH = {
    "path": "pictures/<b>.jpg",
    "sha256": "ab" * 32,
    "size": "640x480",
    "exif_claims": "Maker & Son",
    "grade": "B",
    "warnings": [],
}
CANDIDATE = {
    "device": "phone-7",
    "counted": 24,
    "entry": "phone-7/640x480",
    "pce": 123.4,
    "ncc": 0.0321,
    "llr": 4.5,
    "false_alarm": 1e-9,
    "energy": 110.0,
    "turn": 90,
    "edit": "mirrored",
    "scale": 0.7,
    "top": 16,
    "left": 8,
}
IDENTIFIED = {
    "photograph": PHOTOGRAPH,
    "decision": "phone-7",
    "answer": "What is seen is 90 times likelier if phone-7 took it.",
    "llr": 4.5,
    "bounds": [-3.0, 6.0],
    "grade": "B",
    "reference": IDENTIFICATION_FILE,
    "grade_rates": {
        "count": 211,
        "unanswered": 94,
        "wrong": 5,
        "stranger_count": 210,
        "stranger_named": 3,
    },
    "warnings": ["it is dark"],
    "candidates": [CANDIDATE],
    "searched": {
        "entries": 3,
        "whole": 12,
        "parts": 4,
        "places": 99,
        "left_out": 5,
        "is_ended": True,
    },
}
VERIFIED = {
    "decision": "same",
    "answer": "What is seen is 90 times likelier if one camera took both sides.",
    "llr": 4.5,
    "log10_lr": 1.95,
    "bounds": [-3.0, 6.0],
    "reference": VERIFICATION_FILE,
    "support": "moderate support",
    "scores": {"classical": 5.5, "pairnet": 3.25},
    "turn": 0,
    "turns": {"0": 5.0, "180": -1.0},
    "num_crops": 36,
    "place": None,
    "grade": "B",
    "warnings": [],
    "sides": [[PHOTOGRAPH], [PHOTOGRAPH | {"path": "other.jpg"}]],
    "left_out": [{"path": "small.jpg", "grade": "refused", "reason": "too small"}],
}
REFUSED = {
    "photograph": {"path": "dark.jpg", "grade": "refused", "reason": "black"},
    "decision": "none",
    "answer": "No answer: black.",
    "llr": None,
    "bounds": None,
    "reference": None,
    "grade": "refused",
    "grade_rates": None,
    "warnings": ["black"],
    "candidates": [],
    "searched": None,
}


class Words(HTMLParser):
    """The text of a page, and the addresses that it names."""

    def __init__(self):
        super().__init__()
        self.text, self.sources = [], []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        self.sources += [value for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data):
        self.text.append(data)


def page_of(*answers, pictures=None):
    facts = case_facts(
        "Which enrolled device took this?",
        answers,
        command="camid identify 'pictures/<b>.jpg'",
        parameters={"Budget": "1,000"},
    )
    words = Words()
    words.feed(case_page(facts, [pictures or {} for _ in answers]))
    return " ".join(" ".join(words.text).split()), words.sources


@pytest.mark.parametrize("answer", [IDENTIFIED, VERIFIED, REFUSED])
def test_the_page_says_what_was_answered_of_which_files_and_how_to_repeat_it(answer):
    text, _ = page_of(answer)
    every = [answer["photograph"]] if "photograph" in answer else [*chain(*answer["sides"])]
    stated = [answer["answer"], *answer["warnings"], "camid identify 'pictures/<b>.jpg'"]
    stated += [one.get("sha256", one.get("reason")) for one in every]
    stated += [one["path"] for one in every] + [*LIMITS]
    for words in stated:
        assert words in text


@pytest.mark.parametrize("answer", [IDENTIFIED, VERIFIED, REFUSED])
def test_reference_devices_are_those_that_the_likelihood_ratio_is_of(answer):
    text, _ = page_of(answer)
    for name in (IDENTIFICATION_FILE, VERIFICATION_FILE):
        told = f"{shipped_reference(name).num_negatives:,} of two ({name})"
        assert (told in text) == (answer["reference"] == name)


def test_every_candidate_and_every_score_is_shown():
    text, _ = page_of(IDENTIFIED)
    assert "phone-7/640x480 123.4 0.0321 +4.50 1e-09 90°, mirrored 0.7 16, 8" in text
    assert "of 211 reference photographs of this grade 94 had no answer and 5 a wrong one" in text
    assert "5 were not tried, as a match ended the search" in text
    assert "of 210 by a device that was not enrolled 3 were given to one that was" in text
    text, _ = page_of(VERIFIED)
    for shown in ("classical 5.500", "pairnet 3.250", "180°: -1.00", "too small"):
        assert shown in text


def test_the_place_of_a_search_is_shown():
    place = {
        "turn": 90,
        "scale": 0.75,
        "top": 16,
        "left": 24,
        "false_alarm": 1e-5,
        "places": 4321,
    }
    place["side"] = "second"
    text, _ = page_of(VERIFIED | {"place": place, "turns": {}, "num_crops": 0})
    told = "the second side in the other, turned by 90°, scale 0.75, top 16 and left 24"
    assert f"{told}, the best of 4,321 places" in text
    assert "with probability 1e-05" in text


def test_the_verbal_scale_is_explained():
    text, _ = page_of(IDENTIFIED)
    assert all(words in text for _, words in SCALE)


def test_the_page_needs_no_other_file():
    _, sources = page_of(IDENTIFIED, pictures={"map": b"\x89PNG"})
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_several_photographs_have_a_part_each():
    text, _ = page_of(IDENTIFIED, REFUSED)
    assert IDENTIFIED["answer"] in text
    assert REFUSED["answer"] in text


def test_what_files_are_called_is_no_html():
    facts = case_facts("?", [IDENTIFIED], command="", parameters={})
    assert not re.search("<b>", case_page(facts, [{}]))
