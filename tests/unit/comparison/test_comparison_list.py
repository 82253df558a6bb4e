import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.comparison.comparison_list import (
    Comparison,
    ComparisonList,
    Crop,
    ListedSide,
    overlap,
    read_list,
    write_list,
)
from camid.io.folder import Folder

SIZE, CROP = 64, 16


def comparison(sides, first, second, *, crops=(), level="unknown"):
    same = sides[first].device == sides[second].device
    level = "same-device" if same else level
    return Comparison(first=first, second=second, label=int(same), level=level, crops=crops)


def listing(sides, comparisons, *, crop_size=CROP, seed=1):
    return ComparisonList(
        seed=seed,
        crop_size=crop_size,
        strip_size=SIZE,
        sides=tuple(sides),
        comparisons=tuple(comparisons),
    )


def small(**changed):
    sides = [ListedSide(device=d, images=(f"{d}{i}", f"{d}{i}+")) for d in "ab" for i in range(2)]
    crops = (Crop(0, 64, 2, 4), Crop(64, 64, 0, 48))
    pairs = [(0, 1), (2, 1), (0, 3), (2, 3)]
    return listing(sides, [comparison(sides, *pair, crops=crops) for pair in pairs], **changed)


@st.composite
def lists(draw):
    sides = draw(
        st.lists(
            st.builds(
                ListedSide,
                device=st.sampled_from(["a", "ü/1", "", "c"]),
                images=st.lists(st.text("0123456789abcdef", max_size=64), max_size=5).map(tuple),
            ),
            max_size=8,
        )
    )
    crop_size = draw(st.sampled_from([0, CROP]))
    tops, places = st.integers(0, 2**31 - 1), st.integers(0, SIZE - CROP)
    crops = st.lists(st.builds(Crop, tops, tops, places, places), min_size=1, max_size=4)
    numbers = st.integers(0, len(sides) - 1)
    comparisons = st.builds(
        lambda first, second, crops, level: comparison(
            sides, first, second, crops=tuple(crops), level=level
        ),
        first=numbers,
        second=numbers,
        crops=crops if crop_size else st.just(()),
        level=st.sampled_from(["same-model", "same-make", "other-make", "unknown"]),
    )
    drawn = draw(st.lists(comparisons, max_size=9)) if sides else []
    return listing(sides, drawn, crop_size=crop_size, seed=draw(st.integers(0, 2**63)))


@given(lists())
def test_a_saved_list_is_read_back_and_equal_lists_have_equal_bytes(tmp_path_factory, listed):
    folder = Folder(str(tmp_path_factory.getbasetemp() / "lists"))
    write_list(folder, "one", listed)
    found = read_list(folder, "one")
    assert found == listed
    assert found.digest == listed.digest
    write_list(folder, "two", found)
    assert folder.read("two") == folder.read("one")


def test_the_images_of_a_side_stand_once_in_a_file(tmp_path):
    sides = [
        ListedSide(device=f"{d}", images=tuple(f"{d}{i:063d}" for i in range(50))) for d in range(9)
    ]
    sides += [ListedSide(device=f"{i % 9}", images=(f"{i:064d}",)) for i in range(500)]
    listed = listing(
        sides,
        [comparison(sides, i, j) for j in range(9, len(sides)) for i in range(9)],
        crop_size=0,
    )
    write_list(Folder(str(tmp_path)), "list.parquet", listed)
    assert pq.read_metadata(tmp_path / "list.parquet").num_rows == len(sides)
    assert (tmp_path / "list.parquet").stat().st_size < 40_000
    assert read_list(Folder(str(tmp_path)), "list.parquet") == listed


def test_every_change_of_a_list_changes_its_digest():
    listed = small()
    first, *rest = listed.comparisons
    sides = listed.sides
    changed = [
        replace(listed, seed=2),
        replace(listed, crop_size=14),
        replace(listed, strip_size=66),
        replace(listed, sides=(*sides, sides[0])),
        replace(listed, sides=(replace(sides[0], images=("a0",)), *sides[1:])),
        replace(listed, sides=tuple(replace(side, device=f"{side.device}x") for side in sides)),
        replace(listed, comparisons=tuple(rest)),
        replace(listed, comparisons=(*rest, first)),
        replace(listed, comparisons=(replace(first, first=1, second=0), *rest)),
        replace(listed, comparisons=(replace(first, crops=first.crops[:1]), *rest)),
        replace(listed, comparisons=(replace(first, crops=first.crops[::-1]), *rest)),
        replace(
            listed,
            comparisons=(first, replace(rest[0], level="same-make"), *rest[1:]),
        ),
    ]
    assert len({listed.digest, *(other.digest for other in changed)}) == len(changed) + 1
    assert small().digest == listed.digest


def test_a_damaged_file_is_refused_in_a_sentence_or_read_as_it_was_written(tmp_path):
    folder, listed = Folder(str(tmp_path)), small()
    write_list(folder, "list", listed)
    whole = folder.read("list")
    num_refused = 0
    for at in range(0, len(whole), 13):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        for content in (bytes(damaged), whole[:at]):
            (tmp_path / "damaged").write_bytes(content)
            try:
                assert read_list(folder, "damaged") == listed
            except ValueError as error:
                assert "damaged: not a comparison list, or damaged: " in str(error)  # noqa: PT017
                assert "\n" not in str(error)  # noqa: PT017
                num_refused += 1
    assert num_refused > len(whole) / 13


def test_what_is_no_list_of_this_version_is_refused(tmp_path):
    folder = Folder(str(tmp_path))
    write_list(folder, "list", small())
    table = pq.read_table(tmp_path / "list")
    pq.write_table(table.slice(0, 3), tmp_path / "shorter")
    pq.write_table(table.drop_columns("crops"), tmp_path / "narrow")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other")
    facts = json.loads(table.schema.metadata[b"camid.comparisons"])
    pq.write_table(
        table.replace_schema_metadata({b"camid.comparisons": json.dumps({**facts, "seed": 2})}),
        tmp_path / "seed",
    )
    pq.write_table(
        table.replace_schema_metadata({b"camid.comparisons": json.dumps({"version": 7})}),
        tmp_path / "version",
    )
    for name, sentence in {
        "gone": "gone: no such comparison list",
        "shorter": "shorter: not a comparison list, or damaged: a comparison is of a side that",
        "narrow": "narrow: not a comparison list, or damaged: it has the columns device, images",
        "other": "other: not a comparison list, or damaged: it states no version",
        "seed": "seed: not a comparison list, or damaged: its digest is another",
        "version": "version: a comparison list of version 7, and this camid reads 2; draw it again",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            read_list(folder, name)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"second": 4}, "a comparison is of a side that is none of the 4"),
        ({"first": -1}, "a comparison is of a side that is none of the 4"),
        (
            {"second": 3},
            "comparison 0 is of the devices 'a' and 'b', got label 1 and level 'same-d",
        ),
        ({"label": 0}, "got label 0 and level 'same-device'"),
        ({"level": "same-make"}, "got label 1 and level 'same-make'"),
        ({"second": 3, "label": 0, "level": "near"}, "got label 0 and level 'near'"),
        ({"crops": ()}, "expected crops in a list of crop size 16, comparison 0 has 0"),
        ({"crops": (Crop(0, 0, 0, 50),)}, "a crop of 16 px reaches beyond its strip of 64 px"),
        ({"crops": (Crop(0, 0, -2, 0),)}, "a crop of 16 px reaches beyond its strip of 64 px"),
    ],
)
def test_a_list_that_contradicts_itself_cannot_be_made(changed, sentence):
    listed = small()
    first = replace(listed.comparisons[0], **changed)
    with pytest.raises(ValueError, match=sentence):
        replace(listed, comparisons=(first, *listed.comparisons[1:]))


def test_whole_strips_have_no_crops():
    with pytest.raises(ValueError, match="expected no crops in a list of crop size 0, .* has 2"):
        small(crop_size=0)


SPREAD = st.builds(Crop, *[st.sampled_from([0, 64])] * 2, *[st.integers(0, SIZE - CROP)] * 2)


@given(st.lists(SPREAD, max_size=12))
def test_overlap_is_the_share_of_pixels_that_earlier_crops_cover(crops):
    seen = np.zeros((128, 128), bool)
    num_again = 0
    for top, left, y, x in crops:
        window = seen[top + y : top + y + CROP, left + x : left + x + CROP]
        num_again += window.sum()
        window[:] = True
    assert overlap(crops, CROP) == pytest.approx(num_again / max(1, len(crops) * CROP**2))


def test_crops_side_by_side_do_not_overlap_and_equal_ones_do():
    one, beside, half = Crop(0, 0, 0, 0), Crop(0, 0, 16, 0), Crop(0, 0, 0, 8)
    assert overlap([one, beside], CROP) == 0
    assert overlap([one, one], CROP) == 0.5
    assert overlap([one, half], CROP) == 0.25
    assert overlap([], CROP) == overlap([], 0) == 0
