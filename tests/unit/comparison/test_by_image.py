"""Evidence of whole images, held against that of strips and against one pair at a time."""

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from camid.comparison import by_image
from camid.comparison.by_image import block_evidence, list_blocks
from camid.comparison.by_position import position_evidence
from camid.comparison.comparison_list import Comparison
from camid.comparison.fingerprint_file import FingerprintFile, write_fingerprint
from camid.comparison.located_list import located
from camid.comparison.methods import METHODS
from camid.comparison.methods.baselines import study_methods
from camid.comparison.sufficient_statistics import Evidence, scores
from camid.config import Comparisons, Enhancer, Residual
from camid.io.folder import Folder
from camid.prnu.cleaning import cleaned
from camid.prnu.correlation import ncc
from camid.prnu.luminance import grey
from camid.prnu.strips import assembled, positions
from camid.store.strip_reader import RowGroups
from tests.unit.stores import SIZE, Chunk, strip

SETTINGS = Comparisons(num_images=(3, 2), num_pairs=40, crop_size=16, num_crops=(1, 5))
DEVICES = {
    "a": [Chunk(images=9), Chunk(images=7, kind="background")],
    "b": [Chunk(images=12)],
    "c": [Chunk(images=12, size=(64, 64))],
}
LOCAL = {name: METHODS[name] for name in ("lukas", "lukas-mean")}
WHOLE = {"cleaned": METHODS["cleaned"]}


def of_blocks(listed, store, methods, num_crops=(), **how):
    whole = located(listed, store)
    with RowGroups(store) as row_groups:
        parts = [
            block_evidence(whole, block, row_groups, methods, num_crops=num_crops, **how)
            for block in list_blocks(whole, WHOLE.values())
        ]
    return scores(reduce(Evidence.__add__, parts), methods)


@pytest.mark.parametrize("name", ["listed", "gallery"])
@pytest.mark.parametrize("samples", [2**26, 1])
def test_what_strips_tell_alone_blocks_of_any_size_tell_too(
    store, name, samples, request, monkeypatch
):
    listed = request.getfixturevalue(name)
    num_crops = SETTINGS.num_crops if listed.crop_size else ()
    monkeypatch.setattr(by_image, "MAX_SAMPLES", samples)
    assert (len(list_blocks(located(listed, store), WHOLE.values())) == 1) == (samples > 1)
    found = of_blocks(listed, store, LOCAL, num_crops)
    whole = located(listed, store)
    with RowGroups(store) as row_groups:
        parts = [
            position_evidence(whole, position, row_groups, LOCAL, num_crops=num_crops)
            for position in whole.positions
        ]
    expected = scores(reduce(Evidence.__add__, parts), LOCAL)
    for method in LOCAL:
        np.testing.assert_allclose(found[method], expected[method], atol=1e-6)


def test_blocks_hold_every_comparison_once(store, listed, monkeypatch):
    monkeypatch.setattr(by_image, "MAX_SAMPLES", 1)
    numbers = [
        number for block in list_blocks(located(listed, store), WHOLE.values()) for number in block
    ]
    assert sorted(numbers) == list(range(len(listed.comparisons)))


def test_a_method_of_whole_images_gets_the_average_of_all_strips_laid_out(store, listed):
    found = of_blocks(listed, store, WHOLE, (1,))["cleaned"][:, 0]
    of = {image.sha256: image for image in store.images()}
    for row, pair in enumerate(listed.comparisons):
        windows = []
        for side in (pair.first, pair.second):
            images = [of[i] for i in listed.sides[side].images]
            where = positions(images[0].height, images[0].width, size=SIZE)
            strips = [
                grey(np.mean([strip(i, position) * 0.125 for i in images], 0)) for position in where
            ]
            plane = cleaned(assembled(np.stack(strips), where))
            crop = pair.crops[0]
            y, x = crop.top + crop.y, crop.left + crop.x
            windows.append(plane[y : y + 16, x : x + 16])
        assert found[row] == pytest.approx(ncc(*windows), abs=1e-4)


@pytest.mark.parametrize("name", ["listed", "gallery"])
def test_the_part_of_an_image_around_a_crop_is_enhanced_as_the_whole_image_is(store, name, request):
    """Strips of 32 px, and one level of two taps, so that parts are smaller than the images."""
    listed = request.getfixturevalue(name)
    pairs = tuple(replace(pair, crops=pair.crops[:1]) for pair in listed.comparisons)
    listed, num_crops = replace(listed, comparisons=pairs), (1,) if listed.crop_size else ()
    residual = Residual(wavelet="haar", levels=1)
    part = study_methods(Enhancer(), residual)["li"]
    assert part.second.context == (2, 2)
    whole = replace(part, second=replace(part.second, context=None))
    found, expected = (of_blocks(listed, store, {"li": m}, num_crops)["li"] for m in (part, whole))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("wavelet", "levels"), [("haar", 1), ("db2", 2), ("db4", 3), ("db4", 4)])
def test_what_an_enhanced_strip_depends_on_is_within_its_context(wavelet, levels, rng):
    method = study_methods(Enhancer(), Residual(wavelet=wavelet, levels=levels))["li"]
    reach, phase = method.second.context
    start = -(-reach // phase) * phase
    image = rng.normal(0, 3, (2 * start + 64, 2 * start + 64)).astype(np.float32)
    inner = slice(start, start + 64)
    whole = method.second.prepared(image, 1)[inner, inner]
    other = image + 100
    other[start - reach : start + 64 + reach, start - reach : start + 64 + reach] -= 100
    np.testing.assert_allclose(method.second.prepared(other, 1)[inner, inner], whole, atol=1e-4)


def test_a_fingerprint_s_file_tells_what_its_images_tell(store, gallery, tmp_path):
    methods, folder = {"li": METHODS["li"], "cleaned": METHODS["cleaned"]}, Folder(str(tmp_path))
    of = {image.sha256: image for image in store.images()}
    expected = of_blocks(gallery, store, methods)
    firsts = {pair.first for pair in gallery.comparisons}
    for side in firsts:
        write_fingerprint(folder, store, tuple(of[i] for i in gallery.sides[side].images))
    files = {side: FingerprintFile(folder, gallery.sides[side].device) for side in firsts}
    found = of_blocks(gallery, store, methods, fingerprints=files)
    for name in methods:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_a_side_without_a_strip_where_the_list_looks_is_named(store, listed):
    small = next(i for i, side in enumerate(listed.sides) if side.device == "c")
    crop = listed.comparisons[0].crops[0]._replace(top=0, left=64)
    pair = Comparison(first=small, second=small, label=1, level="same-device", crops=(crop,))
    other = replace(listed, comparisons=(pair,))
    with (
        RowGroups(store) as row_groups,
        pytest.raises(ValueError, match=r"a side of c has no strip at \(0, 64\)"),
    ):
        block_evidence(located(other, store), [0], row_groups, WHOLE, num_crops=(1,))
