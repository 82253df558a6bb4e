from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest

from camid.io.parquet_pages import page_offsets, page_value
from tests.unit.stores import SIZE, Chunk, small_store

WIDTH = SIZE * SIZE * 3
REDUCED = (SIZE // 4) ** 2


@pytest.fixture(params=[1, 7, 14, 15, 16, 200])
def file(request, tmp_path):
    """A chunk's bytes, its row groups' samples and where the pages of these lie."""
    return pages_of("samples", request.param, tmp_path)


def pages_of(column, num_images, place):
    store = small_store(str(place), {"device": [Chunk(images=num_images)]})
    with store.chunk("device", 0) as chunk:
        offsets, _ = chunk.pages(column)
        name = chunk.name
    table = pq.ParquetFile(place / name)
    values = [
        table.read_row_group(group)[column].to_pylist() for group in range(table.num_row_groups)
    ]
    return store.folder.read(name), values, offsets


@pytest.mark.parametrize(("column", "width"), [("samples", WIDTH), ("intensity", REDUCED)])
@pytest.mark.parametrize("num_images", [1, 7, 14, 15, 16, 200])
def test_every_page_is_one_image_s_samples_or_intensity(column, width, num_images, tmp_path):
    data, values, offsets = pages_of(column, num_images, tmp_path)
    assert len(values) == len(offsets) == 6
    for expected, bounds in zip(values, offsets, strict=True):
        pages = [data[start:end] for start, end in pairwise(bounds)]
        assert [page_value(page, width=width).to_pybytes() for page in pages] == expected


def test_a_page_that_is_not_whole_is_refused(file):
    data, _, offsets = file
    page = data[offsets[0][0] : offsets[0][1]]
    flipped = bytearray(page)
    flipped[-3] ^= 4
    for damaged in (b"", page[:10], page[:-1], page + b"x", bytes(flipped), page[1:]):
        with pytest.raises(ValueError, match="a damaged page"):
            page_value(damaged, width=WIDTH)
    with pytest.raises(ValueError, match="not one value of 12 bytes"):
        page_value(page, width=12)


def test_an_index_that_does_not_fit_the_column_is_refused(file, rng):
    data, values, offsets = file
    places = [(int(bounds[0]), int(bounds[-1])) for bounds in offsets]
    indexes, rows = data[places[-1][1] :], len(values[0])
    found = page_offsets(indexes, places, num_rows=rows)
    np.testing.assert_array_equal(found, offsets)
    start, end = places[0]
    for wrong in ((start + 1, end), (start, end + 1), (start, end - 1)):
        with pytest.raises(ValueError, match="has no index of its strips"):
            page_offsets(indexes, [wrong], num_rows=rows)
    for lost in (b"", indexes[: len(indexes) // 9], rng.bytes(len(indexes))):
        with pytest.raises(ValueError, match="has no index of its strips"):
            page_offsets(lost, places, num_rows=rows)
    with pytest.raises(ValueError, match="has no index of its strips"):
        page_offsets(indexes, places, num_rows=rows + 1)
