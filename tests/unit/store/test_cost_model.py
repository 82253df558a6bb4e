"""What a store will take, held against what a store has taken."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from camid.config import load_config
from camid.dataset.sources import find_files, read_headers
from camid.io.folder import Folder
from camid.store.chunk_plan import chunks_of, planned
from camid.store.cost_model import (
    Bill,
    ChunkShape,
    UnitCosts,
    bill,
    chunk_shapes,
    equal_shapes,
    keep_costs,
    kept_costs,
    known_costs,
    sampled_costs,
    terms,
)
from camid.store.make_chunk import make_chunk

CONFIG = load_config()
COSTS = UnitCosts(
    decode=0.02, denoise=0.03, reduce=0.01, encode=0.01, write=0.01, open=0.5, stored=0.5
)


@pytest.fixture
def photographs(tmp_path, rng):
    """Ten images of two devices, of noise: what is stored goes with what is measured."""
    for device, count in (("a", 6), ("b", 4)):
        for number in range(count):
            noise = rng.normal(128, 3, (600, 800, 3)).clip(0, 255).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(noise).save(file, "JPEG", quality=95)
            Folder(str(tmp_path / "data")).write(f"{device}/{number}.jpg", file.getvalue())
    config = replace(CONFIG, paths=replace(CONFIG.paths, data=str(tmp_path / "data")))
    files = find_files(config.paths.data)
    records = list(read_headers(files, min_side=256, max_megapixels=10))
    return config, planned(records, strips=config.strips, chunks=config.chunks, seed=1)


def test_the_bill_of_a_folder_is_what_its_store_then_has(photographs, tmp_path):
    config, records = photographs
    chunks = chunks_of(records)
    costs = sampled_costs(records, config, home=Folder(str(tmp_path / "home")))
    due = bill(chunk_shapes(chunks), config, costs)
    store = Folder(str(tmp_path / "store"))
    for chunk in chunks:
        make_chunk(chunk, store=store, config=config)
    names = store.files()
    assert (due.num_images, due.num_chunks, due.num_strips) == (10, len(names), 60)
    assert due.store_bytes == pytest.approx(sum(map(store.size, names)), rel=0.05)
    assert due.worker_bytes == chunks.memory(config.strips)
    assert all(seconds > 0 for seconds in costs.parts().values())


def test_a_bill_grows_with_the_images_and_its_memory_does_not():
    one, ten = (
        bill(equal_shapes(n, height=3000, width=4000, config=CONFIG), CONFIG, COSTS)
        for n in (160, 1600)
    )
    assert ten == Bill(
        num_images=1600,
        megapixels=pytest.approx(10 * one.megapixels),
        num_strips=10 * one.num_strips,
        num_chunks=100,
        store_bytes=10 * one.store_bytes,
        core_seconds=pytest.approx(10 * one.core_seconds),
        worker_bytes=one.worker_bytes,
    )


def test_what_is_lost_is_a_share_of_the_whole():
    assert COSTS.per_megapixel == pytest.approx(0.08)
    assert replace(COSTS, lost=0.2).per_megapixel == pytest.approx(0.1)
    due = bill([ChunkShape(2, 1000, 1000)], CONFIG, COSTS)
    assert due.core_seconds == pytest.approx(2 * 0.5 + 2 * 0.08)


def test_costs_are_measured_once_a_machine_and_setting(tmp_path):
    home = Folder(str(tmp_path / "home"))
    first = known_costs(CONFIG, home=home)
    assert known_costs(CONFIG, home=home) == first == kept_costs(home, CONFIG)
    keep_costs(home, CONFIG, COSTS)
    assert known_costs(CONFIG, home=home) == COSTS
    assert kept_costs(home, load_config(settings=["residual.filter=none"])) is None
    assert home.files() == ["costs.json"]


def test_photographs_that_cannot_be_decoded_are_not_measured(photographs, tmp_path):
    config, records = photographs
    data, home = Folder(config.paths.data), Folder(str(tmp_path / "home"))
    for record in records[:2]:
        data.write(record.image_id, data.read(record.image_id)[:1000])
    assert sampled_costs(records[:4], config, home=home).decode > 0
    with pytest.raises(ValueError, match="data: none of 2 photographs can be decoded"):
        sampled_costs(records[:2], config, home=home)


def test_a_bill_is_told_in_words():
    due = bill(equal_shapes(9700, height=2160, width=3840, config=CONFIG), CONFIG, COSTS)
    told = terms(due, replace(COSTS, lost=0.1))
    assert told["strips"] == "1,164,000"
    assert told["store"] == "114.4 GB"
    assert told["a megapixel"].endswith("ms of one core; Ray and waiting take 10 %")
