"""Kinds of reasons, and names that people take for one."""

import unicodedata

import pytest

from camid.dataset.records import alike_names, reason_kinds


def test_reasons_that_differ_by_numbers_alone_are_one_kind():
    reasons = ["7 bytes of 80 are missing", "1,009 bytes of 80 are missing", "empty", "empty too"]
    assert reason_kinds(reasons) == {
        "N bytes of 80 are missing": reasons[:2],
        "empty": ["empty"],
        "empty too": ["empty too"],
    }


def test_a_reason_alone_keeps_its_numbers():
    assert [*reason_kinds(["12x9 px is smaller than 64x64 px"])] == [
        "12x9 px is smaller than 64x64 px"
    ]


@pytest.mark.parametrize(
    "other",
    [
        *("None ", " None", "none", "NONE"),
        *(unicodedata.normalize("NFD", "Kämera"), "kämera", "Kämera\u3000"),
        *("my  phone", "My phone", "ﬁrst", "STRASSE"),
    ],
)
def test_names_that_people_take_for_one_are_found(other):
    names = ["None", unicodedata.normalize("NFC", "Kämera"), "my phone", "first", "straße"]
    found = alike_names([*names, other])
    assert found is not None
    assert found[1] == other
    assert found[0] in names


def test_other_names_are_not():
    assert alike_names(["phone", "phone 1", "phone 11", "phon\u00e9", "phone"]) is None
