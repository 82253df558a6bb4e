"""Evidence gathered position by position, held against pairs that are compared one at a time."""

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from camid.comparison import by_position, side_sums
from camid.comparison.by_position import position_evidence
from camid.comparison.comparison_list import Comparison, ComparisonList
from camid.comparison.located_list import located
from camid.comparison.methods import METHODS
from camid.comparison.methods.estimators import GREY, mean
from camid.comparison.sufficient_statistics import Evidence, scores
from camid.config import Comparisons
from camid.prnu.cleaning import without_blocks
from camid.prnu.correlation import ncc
from camid.prnu.fingerprint import intensity_weight, likelihood_pattern
from camid.prnu.luminance import grey
from camid.prnu.strips import positions
from camid.store.index import chunk_grids
from camid.store.strip_reader import RowGroups
from tests.unit.stores import SIZE, Chunk, grey_of, strip

SETTINGS = Comparisons(num_images=(4, 3), num_pairs=41, crop_size=16, num_crops=(1, 3, 9))
DEVICES = {
    "a": [Chunk(images=9), Chunk(images=7, kind="background")],
    "b": [Chunk(images=12), Chunk(images=16)],
    "c": [Chunk(images=16, size=(64, 64))],
}
SOME = {name: METHODS[name] for name in ("lukas", "lukas-mean")}


def gathered(listed, store, methods=SOME, *, num_crops=(), order=1):
    whole = located(listed, store)
    with RowGroups(store) as row_groups:
        parts = [
            position_evidence(whole, position, row_groups, methods, num_crops=num_crops)
            for position in whole.positions[::order]
        ]
    return scores(reduce(Evidence.__add__, parts), methods)


def plain_windows(store, listed, pair, number):
    """Return both sides' grey windows at the first crops of a pair, or all its whole strips."""
    of = {image.sha256: image for image in store.images()}
    sides = [[of[i] for i in listed.sides[side].images] for side in (pair.first, pair.second)]
    size = listed.crop_size or SIZE
    looks = [((c.top, c.left), c.y, c.x) for c in pair.crops[:number]]
    if not listed.crop_size:
        width, height = (
            min(getattr(image, side) for images in sides for image in images)
            for side in ("width", "height")
        )
        looks = [(position, 0, 0) for position in positions(height, width, size=SIZE)]
    found = []
    for position, y, x in looks:
        planes = [grey(np.mean([strip(i, position) for i in images], 0)) for images in sides]
        found.append([plane[y : y + size, x : x + size].astype(np.float64) for plane in planes])
    return found


def plain_pooled(windows):
    first, second = zip(*windows, strict=True)
    return ncc(np.concatenate(first), np.concatenate(second))


def test_crops_are_pooled_or_averaged_as_one_pair_at_a_time_is(store, listed):
    found = gathered(listed, store, num_crops=SETTINGS.num_crops)
    for index, number in enumerate(SETTINGS.num_crops):
        for row, pair in enumerate(listed.comparisons):
            windows = plain_windows(store, listed, pair, number)
            assert found["lukas"][row, index] == pytest.approx(plain_pooled(windows), abs=1e-5)
            mean = np.mean([ncc(*window) for window in windows])
            assert found["lukas-mean"][row, index] == pytest.approx(mean, abs=1e-5)


def test_whole_strips_are_compared_where_both_sides_have_them(store, gallery):
    found = gathered(gallery, store)["lukas"][:, 0]
    for row in range(0, len(gallery.comparisons), 7):
        windows = plain_windows(store, gallery, gallery.comparisons[row], None)
        assert found[row] == pytest.approx(plain_pooled(windows), abs=1e-5)


def test_small_tiles_and_any_order_of_positions_tell_the_same(store, gallery, monkeypatch):
    whole = gathered(gallery, store)
    monkeypatch.setattr(by_position, "MAX_SAMPLES", 5 * SIZE**2)
    monkeypatch.setattr(by_position, "MAX_WINDOWS", 7)
    parted = gathered(gallery, store, order=-1)
    for name in SOME:
        np.testing.assert_allclose(parted[name], whole[name], atol=1e-6)


def test_flat_sides_have_nothing_in_common_and_absent_ones_no_score(store, gallery):
    flat = replace(METHODS["lukas"], second=mean(GREY, np.zeros_like))
    found = gathered(gallery, store, {"flat": flat, "lukas": METHODS["lukas"]})
    assert (found["flat"] == 0).all()
    assert (found["lukas"] != 0).all()
    position = (0, 64)  # which the devices of smaller images have not
    with RowGroups(store) as row_groups:
        part = scores(position_evidence(located(gallery, store), position, row_groups, SOME), SOME)[
            "lukas"
        ]
    small = [gallery.sides[pair.first].device == "c" for pair in gallery.comparisons]
    assert np.isnan(part[small]).all()


def test_each_row_group_is_read_once(store, listed):
    with RowGroups(store) as row_groups:
        whole = located(listed, store)
        for position in whole.positions:
            before = row_groups.num_reads
            position_evidence(whole, position, row_groups, SOME, num_crops=(9,))
            having = sum(position in grid for grid in chunk_grids(store.index).values())
            assert 0 < row_groups.num_reads - before <= having


def test_every_method_tells_something_of_every_comparison(store, gallery):
    able = {name: method for name, method in METHODS.items() if name != "pce"}
    found = gathered(gallery, store, able)
    for name, values in found.items():
        assert np.isfinite(values).all(), name


def test_a_likelihood_pattern_meets_residual_times_intensity(store, gallery):
    """Pattern and query are made here of the photographs' own strips, one image at a time."""
    of = {image.sha256: image for image in store.images()}
    position = (32, 0)

    def seen(side):
        records = [of[sha256] for sha256 in side.images]
        residuals = np.stack([grey(strip(r, position) * np.float32(0.125)) for r in records])
        weights = np.stack([intensity_weight(grey_of(r, position), SIZE) for r in records])
        return residuals, weights

    with RowGroups(store) as row_groups:
        some = {"likelihood": METHODS["likelihood"]}
        told = scores(position_evidence(located(gallery, store), position, row_groups, some), some)
    for number, pair in list(enumerate(gallery.comparisons))[::9]:
        residuals, weights = seen(gallery.sides[pair.first])
        sums = (residuals * weights).sum(axis=0), (weights**2).sum(axis=0)
        pattern = without_blocks(likelihood_pattern(*sums))
        residuals, weights = seen(gallery.sides[pair.second])
        expected = ncc(without_blocks(residuals.mean(axis=0)), pattern * weights.mean(axis=0))
        assert told["likelihood"][number, 0] == pytest.approx(expected, abs=1e-4)


def test_an_image_that_is_not_there_is_named(store, listed):
    sides = (replace(listed.sides[0], images=("0" * 64,)), *listed.sides[1:])
    other = replace(listed, sides=sides)
    with pytest.raises(ValueError, match="lacks 1 of the"):
        located(other, store)


def test_strips_of_another_size_are_refused(store, listed):
    other = ComparisonList(seed=1, crop_size=0, strip_size=64, sides=listed.sides, comparisons=())
    with pytest.raises(ValueError, match="of strips of 64 px"):
        located(other, store)


def test_an_image_without_a_strip_where_the_list_looks_is_named(store, listed):
    small = next(i for i, side in enumerate(listed.sides) if side.device == "c")
    crop = listed.comparisons[0].crops[0]._replace(top=0, left=64)
    pair = Comparison(first=small, second=small, label=1, level="same-device", crops=(crop,))
    other = replace(listed, comparisons=(pair,))
    with RowGroups(store) as row_groups, pytest.raises(ValueError, match="has no strip where"):
        position_evidence(located(other, store), (0, 64), row_groups, SOME, num_crops=(1,))


@pytest.mark.parametrize("most", [0, 2**20])
def test_what_is_kept_of_a_strip_changes_no_score_and_is_made_once(
    store, listed, monkeypatch, most
):
    """Tiles of two sides each, so that an image is in many of them."""
    expected = gathered(listed, store, {"pairnet": METHODS["pairnet"]}, num_crops=(1, 9))["pairnet"]
    made: list[int] = []
    of = METHODS["pairnet"].first.gathered
    counted = replace(of, of=lambda *strip: made.append(1) or of.of(*strip))
    side = replace(METHODS["pairnet"].first, gathered=counted)
    method = replace(METHODS["pairnet"], first=side, second=side)
    monkeypatch.setattr(by_position, "MAX_SAMPLES", 2 * 4 * SIZE**2)
    monkeypatch.setattr(side_sums, "MAX_KEPT", most)
    found = gathered(listed, store, {"pairnet": method}, num_crops=(1, 9))["pairnet"]
    np.testing.assert_array_equal(found, expected)
    strips_used = len(
        {
            (image, crop.top, crop.left)
            for pair in listed.comparisons
            for crop in pair.crops
            for side in (pair.first, pair.second)
            for image in listed.sides[side].images
        }
    )
    assert (len(made) == strips_used) == bool(most)
