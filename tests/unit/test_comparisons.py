from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from camid.averages import averaged_sides, position_scores
from camid.candidates import candidates
from camid.comparisons import ComparisonList, drawn_list, read_list, write_list
from camid.config import Pairs
from camid.folder import Folder
from camid.images import grey
from camid.matching import ncc
from camid.metrics import roc_auc
from camid.row_groups import RowGroups
from tests.unit.stores import Chunk, small_store, strip

SETTINGS = Pairs(num_images=(4, 3))
DEVICES = {
    "a": [Chunk(images=9), Chunk(images=7, kind="background")],
    "b": [Chunk(images=12), Chunk(images=16)],
    "c": [Chunk(images=16, size=(64, 64))],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(str(tmp_path_factory.mktemp("store")), DEVICES)


@pytest.fixture(scope="module")
def listed(store):
    every = candidates(store, store.images())
    return drawn_list(every, num_pairs=41, num_positions=5, settings=SETTINGS, seed=3)


def plain_sides(store, pair, position, name="lukas"):
    of = {image.sha256: image for image in store.images()}
    return [
        np.mean([strip(of[i], position, name) * 0.125 for i in side], axis=0, dtype=np.float32)
        for side in (pair.first, pair.second)
    ]


def test_half_of_a_list_is_positive_and_labels_tell_devices(store, listed):
    device = {image.sha256: image.device for image in store.images()}
    assert sum(pair.label for pair in listed.comparisons) == 21
    for pair in listed.comparisons:
        assert (len(pair.first), len(pair.second)) == (4, 3)
        assert len({*pair.first, *pair.second}) == 7
        assert len({device[i] for i in (*pair.first, *pair.second)}) == (1 if pair.label else 2)


def test_a_pair_has_as_many_positions_as_asked_for_or_as_its_images_share(store, listed):
    small = {image.sha256 for image in store.images() if image.device == "c"}
    for pair in listed.comparisons:
        assert len(set(pair.positions)) == len(pair.positions)
        assert len(pair.positions) == (4 if small & {*pair.first, *pair.second} else 5)


def test_equal_seeds_draw_equal_lists(store, listed):
    every = candidates(store, store.images())
    drawing = {"num_pairs": 41, "num_positions": 5, "settings": SETTINGS}
    assert drawn_list(every, **drawing, seed=3) == listed
    assert drawn_list(every, **drawing, seed=4).digest != listed.digest


def test_a_saved_list_is_read_back_and_a_changed_one_is_refused(listed, tmp_path):
    folder = Folder(str(tmp_path))
    write_list(folder, "list.parquet", listed)
    assert read_list(folder, "list.parquet") == listed
    before = folder.read("list.parquet")
    write_list(folder, "list.parquet", listed)
    assert folder.read("list.parquet") == before
    table = pq.read_table(tmp_path / "list.parquet")
    pq.write_table(table.slice(1), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="other.parquet: not as it was written"):
        read_list(folder, "other.parquet")
    folder.write("no.parquet", b"PAR1")
    with pytest.raises(ValueError, match="no.parquet: not a comparison list"):
        read_list(folder, "no.parquet")
    with pytest.raises(ValueError, match="gone.parquet: no such comparison list"):
        read_list(folder, "gone.parquet")


def test_a_list_reads_each_row_group_once(store, listed):
    device = {image.sha256: (image.device, image.chunk) for image in store.images()}
    needed = {
        (device[image], position)
        for pair in listed.comparisons
        for image in (*pair.first, *pair.second)
        for position in pair.positions
    }
    with RowGroups(store) as row_groups:
        assert len(list(averaged_sides(listed, row_groups))) == sum(
            len(pair.positions) for pair in listed.comparisons
        )
        assert row_groups.num_reads == len(needed)
        total = sum(store.folder.size(name) for name in store.folder.files())
        assert 0 < row_groups.num_bytes < total


@pytest.mark.parametrize("crop", [None, (3, 8)])
def test_sides_are_the_averages_of_a_plain_reading(store, listed, crop):
    with RowGroups(store) as row_groups:
        found = list(averaged_sides(listed, row_groups, crop=crop, crop_size=20))
    assert len({(sides.pair, sides.place) for sides in found}) == len(found)
    window = (slice(3, 23), slice(8, 28)) if crop else ()
    for sides in found:
        pair = listed.comparisons[sides.pair]
        expected = plain_sides(store, pair, pair.positions[sides.place])
        np.testing.assert_allclose(sides.first, expected[0][window], atol=1e-5)
        np.testing.assert_allclose(sides.second, expected[1][window], atol=1e-5)


def test_the_score_of_a_position_is_the_correlation_of_its_averages(store, listed):
    with RowGroups(store) as row_groups:
        found = position_scores(listed, row_groups)
    assert found.shape == (41, 5)
    for number, pair in enumerate(listed.comparisons):
        for place, position in enumerate(pair.positions):
            expected = ncc(*map(grey, plain_sides(store, pair, position)))
            assert found[number, place] == pytest.approx(expected, abs=1e-5)
        assert np.isnan(found[number, len(pair.positions) :]).all()
    labels = np.array([pair.label for pair in listed.comparisons])
    assert roc_auc(labels, np.nanmean(found, axis=1)) > 0.99


def test_a_list_serves_stores_of_other_filters_and_of_other_chunks(listed, tmp_path):
    other = small_store(str(tmp_path / "wiener"), DEVICES, filter="wiener")
    divided = {"b": [Chunk(images=12), Chunk(images=16)], **DEVICES}
    for store in (other, small_store(str(tmp_path / "again"), divided, filter="wiener")):
        with RowGroups(store) as row_groups:
            found = position_scores(listed, row_groups)
        pair = listed.comparisons[0]
        expected = plain_sides(store, pair, pair.positions[0], "wiener")
        assert found[0, 0] == pytest.approx(ncc(*map(grey, expected)), abs=1e-5)


def test_a_store_that_lacks_an_image_or_a_position_is_refused(listed, tmp_path):
    lacking = small_store(str(tmp_path / "lacking"), {**DEVICES, "c": [Chunk(images=1)]})
    with (
        RowGroups(lacking) as row_groups,
        pytest.raises(ValueError, match=r"lacks 15 of the \d+ images"),
    ):
        position_scores(listed, row_groups)
    cut = {
        name: [replace(chunk, size=(64, 32)) for chunk in chunks]
        for name, chunks in DEVICES.items()
    }
    narrow = small_store(str(tmp_path / "narrow"), cut)
    with RowGroups(narrow) as row_groups, pytest.raises(ValueError, match="has no strips of dev"):
        position_scores(listed, row_groups)


def test_an_empty_list_has_no_scores(store):
    with RowGroups(store) as row_groups:
        assert position_scores(ComparisonList(seed=1, comparisons=()), row_groups).shape == (0, 0)
