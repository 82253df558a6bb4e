"""Text of others: nothing that a terminal, a page or a spreadsheet acts on gets through."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.io.csv_tables import csv_rows, csv_text, write_csv
from camid.io.escaping import visible
from camid.io.folder import Folder

FORGED = "a.jpg: it is of camera-7\nb.jpg"
ACTIVE = [
    (FORGED, r"a.jpg: it is of camera-7\nb.jpg"),
    ("\x1b]0;title\x07\x1b[2J", r"\x1b]0;title\x07\x1b[2J"),
    ("a\rb\tc\x00\x7f\x9b31m", r"a\rb\tc\x00\x7f\x9b31m"),
    ("cod\u202egpj.exe", r"cod\u202egpj.exe"),
    ("\u2066a\u2069\u200f\u061c\u200b\ufeff", r"\u2066a\u2069\u200f\u061c\u200b\ufeff"),
    ("a\u2028b\u2029c\u0085d", r"a\u2028b\u2029c\x85d"),
    ("\udcff\U000e0041", r"\udcff\U000e0041"),
]


@pytest.mark.parametrize(("text", "shown"), ACTIVE)
def test_what_acts_is_an_escape(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text", ["", "Zoë's phone", "日本語.jpg", "مرحبا", "👩‍🚀", "क्‍ष", r"C:\new\x1b", "a' =b"]
)
def test_what_is_read_stays(text):
    assert visible(text) == text


@given(st.text())
def test_what_is_left_is_encodable_and_on_one_line(text):
    shown = visible(text)
    assert len(shown.encode().decode().splitlines()) <= 1
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in shown)
    assert not any(unicodedata.bidirectional(c) in BIDI for c in shown)
    assert visible(shown) == shown


BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_lines_stay_where_they_are_wanted():
    assert visible("a\nb\x1b", keep="\n") == "a\nb\\x1b"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-cmd", "@SUM(A1)", "'=1", "''@x", "=\n1"])
def test_a_cell_is_no_formula_and_is_read_back(tmp_path, text):
    rows = [{"device": text, "eer": -0.5}]
    written = csv_text(rows)
    (cells,) = [line.split(",") for line in written.splitlines()[1:]]
    assert cells[0].startswith("'")
    assert cells[1] == "-0.5"
    write_csv(Folder(str(tmp_path)), "a.csv", rows)
    assert csv_rows(Folder(str(tmp_path)), "a.csv") == [{"device": visible(text), "eer": "-0.5"}]


@pytest.mark.parametrize("text", ["Canon", "'80s phone", "a=b", "1-2"])
def test_other_cells_stay(text):
    assert csv_text([{"device": text}]) == f"device\n{text}\n"
