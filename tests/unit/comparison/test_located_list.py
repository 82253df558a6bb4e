from dataclasses import replace

import pytest

from camid.comparison.located_list import Window, located
from camid.config import Comparisons
from camid.store.store import open_store
from tests.unit.stores import Chunk

SETTINGS = Comparisons(num_images=(2, 2), num_pairs=12, crop_size=16, num_crops=(1, 4))
DEVICES = {"a": [Chunk(images=9)], "b": [Chunk(images=9)], "c": [Chunk(images=9, size=(64, 64))]}


def test_every_crop_is_a_window_of_its_strip_s_position(store, listed):
    whole = located(listed, store)
    found = {(p, *window) for p in whole.positions for window in whole.windows(p)}
    assert found == {
        ((crop.top, crop.left), number, rank, crop.y, crop.x)
        for number, pair in enumerate(listed.comparisons)
        for rank, crop in enumerate(pair.crops)
    }


def test_whole_strips_are_windows_where_both_sides_have_them(store, gallery):
    whole = located(gallery, store)
    for position in whole.positions:
        assert whole.windows(position) == [
            Window(number, 0, 0, 0)
            for number, pair in enumerate(gallery.comparisons)
            if all(position in whole.grid(side) for side in (pair.first, pair.second))
        ]
    sizes = {gallery.sides[i].device: len(whole.grid(i)) for i in range(len(gallery.sides))}
    assert sizes == {"a": 6, "b": 6, "c": 4}


@pytest.mark.parametrize("name", ["listed", "gallery"])
def test_parts_of_a_list_have_the_windows_of_the_whole(store, name, request):
    whole = located(request.getfixturevalue(name), store)
    numbers = range(3, 9)
    assert whole.windows_of(numbers) == {
        position: some
        for position in whole.positions
        if (some := [w for w in whole.windows(position) if w.comparison in numbers])
    }


def test_a_place_is_where_the_store_has_the_image(store, listed):
    whole = located(listed, store)
    for record in list(store.images())[::5]:
        if record.sha256 not in whole.rows:
            continue
        address, row = whole.place(record.sha256, (32, 0))
        with store.chunk(address.device, address.chunk) as chunk:
            batch = chunk.read(address.row_group)
        assert batch.position == (32, 0)
        assert batch.image_ids[row] == record.image_id
        assert whole.place(record.sha256, (512, 0)) is None


def test_a_list_of_other_images_or_strips_is_refused(store, listed):
    sides = (replace(listed.sides[0], images=("0" * 64,)), *listed.sides[1:])
    with pytest.raises(ValueError, match="lacks 1 of the"):
        located(replace(listed, sides=sides), store)
    with pytest.raises(ValueError, match="of strips of 64 px"):
        located(replace(listed, strip_size=64), open_store(store.folder.uri))
