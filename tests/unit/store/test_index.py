import pyarrow as pa
import pyarrow.parquet as pq

from camid.store.index import (
    Indexed,
    chunk_grids,
    index_table,
    num_row_groups,
    num_strips,
    read_index,
)

SMALL, LARGE = [(0, 0), (0, 256)], [(0, 0), (0, 256), (256, 0)]
CHUNKS = [
    Indexed("a", 0, 16, LARGE),
    Indexed("a", 1, 3, SMALL),
    Indexed("b", 0, 5, LARGE),
    Indexed("b", 1, 0, []),
]


def test_a_grid_is_kept_once_however_many_chunks_have_it():
    index = index_table(CHUNKS)
    grids = chunk_grids(index)
    assert grids["a", 0] is grids["b", 0]
    assert len(index) == 3


def test_each_chunk_has_its_positions_in_the_order_of_its_row_groups():
    grids = chunk_grids(index_table(CHUNKS))
    assert grids == {
        (chunk.device, chunk.chunk): {place: row for row, place in enumerate(chunk.positions)}
        for chunk in CHUNKS
        if chunk.positions
    }


def test_strips_and_row_groups_are_counted():
    index = index_table(CHUNKS)
    assert num_row_groups(index) == 3 + 2 + 3
    assert num_strips(index) == 16 * 3 + 3 * 2 + 5 * 3


def test_an_index_is_the_same_from_its_file():
    for chunks in (CHUNKS, []):
        index, sink = index_table(chunks), pa.BufferOutputStream()
        pq.write_table(index, sink)
        again = read_index(sink.getvalue().to_pybytes())
        assert again.equals(index, check_metadata=True)
        assert chunk_grids(again) == chunk_grids(index)
