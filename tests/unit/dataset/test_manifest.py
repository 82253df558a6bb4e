from collections import Counter, defaultdict
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from camid.dataset.manifest import ImageTable
from camid.dataset.records import MANIFEST_SCHEMA, ImageRecord, manifest_table

RECORDS = st.lists(
    st.builds(
        ImageRecord,
        image_id=st.text("abé/", min_size=1, max_size=4),
        device=st.sampled_from(["", "7", "10", "é"]),
        kind=st.sampled_from(["background", "foreground"]),
        scene=st.sampled_from(["", "1", "2"]),
        width=st.integers(0, 3),
        chunk=st.integers(-1, 2),
        path=st.text("/xy", max_size=5),
        bytes=st.integers(0, 2**40),
        sha256=st.sampled_from(["", "a", "b", "c"]),
        status=st.sampled_from(["ok", "rejected: small"]),
    ),
    unique_by=attrgetter("image_id"),
    max_size=30,
)


@given(RECORDS)
def test_a_table_is_the_sequence_of_its_records(records):
    table = ImageTable.of(records)
    assert list(table) == records
    assert [table[place] for place in range(len(table))] == records
    assert table[1:7:2] == records[1:7:2]
    assert table == records


@given(RECORDS, st.data())
def test_a_part_of_a_table_is_the_sequence_of_some_records(records, data):
    wanted = data.draw(st.lists(st.booleans(), min_size=len(records), max_size=len(records)))
    part = ImageTable.of(records).where(np.array(wanted, np.bool_))
    assert part == [record for record, is_wanted in zip(records, wanted, strict=True) if is_wanted]
    assert part.ok == [record for record in part if record.status == "ok"]


@given(RECORDS)
def test_groups_are_those_of_a_plain_loop_in_order(records):
    plain = defaultdict(list)
    for record in records:
        plain[record.device, record.kind, record.width].append(record)
    table = ImageTable.of(records)
    groups = table.groups("device", "kind", "width")
    assert groups.keys == sorted(plain)
    for number, key in enumerate(groups.keys):
        assert table.taken(groups.rows(number)) == plain[key]


@given(RECORDS)
def test_counts_and_ranks_are_those_of_a_plain_loop(records):
    table = ImageTable.of(records)
    assert table.counted("scene", "chunk") == Counter((r.scene, r.chunk) for r in records)
    ordered = sorted(records, key=attrgetter("image_id"))
    assert table.by_id() == ordered
    assert [ordered[rank] for rank in table.ranks()] == records


@given(RECORDS)
def test_of_copies_the_first_by_id_stays(records):
    first = {}
    for record in sorted(records, key=attrgetter("image_id")):
        first.setdefault(record.sha256, record)
    table = ImageTable.of(records)
    assert table.without_copies() == list(first.values())
    assert table.among(table.without_copies()).sum() == len(first)


@given(RECORDS)
def test_a_manifest_read_back_is_the_same_and_its_columns_are_plain(records):
    table = ImageTable.of(records).by_id()
    plain = pa.concat_tables(table.plain())
    assert plain.equals(manifest_table(records))
    sink = pa.BufferOutputStream()
    pq.write_table(plain, sink)
    again = ImageTable.read(sink.getvalue().to_pybytes())
    assert again == list(table)
    assert again.equals(table)
    assert plain.schema == MANIFEST_SCHEMA


@given(RECORDS)
def test_a_column_replaced_leaves_the_others_and_the_table_as_they_were(records):
    table = ImageTable.of(records)
    numbers = list(range(len(records)))
    assert table.replaced(chunk=numbers, scene=["s"] * len(records)) == [
        replace(record, chunk=number, scene="s")
        for record, number in zip(records, numbers, strict=True)
    ]
    assert table == records
    half = table[::2]
    assert half.replaced(width=np.zeros(len(half))) == [replace(r, width=0) for r in half]
