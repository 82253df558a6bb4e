import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camid.config import Config, load_config
from camid.dataset.records import chunk_name
from camid.dataset.sources import find_files, read_headers
from camid.io.folder import TEMPORARY, Folder
from camid.io.images import pixels
from camid.prnu.correlation import ncc
from camid.prnu.luminance import LUMA
from camid.prnu.residual import residual
from camid.prnu.strips import intensity
from camid.store.chunk_file import ChunkFile
from camid.store.chunk_plan import chunks_of, planned
from camid.store.make_chunk import make_chunk, sample_format, smallest_side
from camid.store.store import content_digest, open_store, stray_files, write_description


@pytest.fixture
def chunk(write_image, tmp_path, rng):
    """Three noisy images of one device, the second of them cut short."""
    for number in range(3):
        noisy = rng.integers(60, 190, (300, 520, 3), dtype=np.uint8)
        path = write_image(f"photographs/dev ice/{number}.png", noisy)
        if number == 1:
            path.write_bytes(path.read_bytes()[:-5000])
    files = find_files(str(tmp_path / "photographs"))
    records = list(read_headers(files, min_side=256, max_megapixels=100))
    config = Config()
    (found,) = chunks_of(planned(records, strips=config.strips, chunks=config.chunks, seed=1))
    return found


def made(chunk, folder, config=None):
    config = config or Config()
    made = make_chunk(chunk, store=folder, config=config)
    return ChunkFile(folder, chunk_name(chunk.device, chunk.number)), made.statuses


def test_a_row_group_holds_one_position_of_all_images(chunk, tmp_path):
    file, _ = made(chunk, Folder(str(tmp_path / "store")))
    with file:
        batches = [file.read(group) for group in range(file.num_row_groups)]
    assert [batch.position for batch in batches] == [(0, 0), (0, 256)]
    assert all(batch.image_ids == ("dev ice/0.png", "dev ice/2.png") for batch in batches)


def test_strips_are_the_whole_image_s_residual_quantised(chunk, tmp_path):
    file, _ = made(chunk, Folder(str(tmp_path / "store")))
    with file:
        batch = file.read(1)
    image = pixels(Folder(chunk.images[2].path).read())
    expected = residual(image)[:256, 256:512]
    found = batch.residuals()[1]
    inside = np.abs(expected) < 15.8
    assert np.abs(found - expected)[inside].max() <= 0.0626
    strip = image[None, :256, 256:512]
    np.testing.assert_array_equal(batch.intensity[1], intensity(strip, LUMA)[0])


def test_the_study_s_way_denoises_each_strip_on_its_own(chunk, tmp_path):
    config = load_config(settings=["residual.extent=strip"])
    file, _ = made(chunk, Folder(str(tmp_path / "store")), config)
    with file:
        found = file.read(1).residuals()[0]
    image = pixels(Folder(chunk.images[0].path).read())
    alone, whole = residual(image[:256, 256:512]), residual(image)[:256, 256:512]
    assert ncc(found, alone) > ncc(found, whole) > 0.9


def test_filter_none_keeps_the_pixels(chunk, tmp_path):
    config = load_config(settings=["residual.filter=none"])
    file, _ = made(chunk, Folder(str(tmp_path / "store")), config)
    with file:
        batch = file.read(0)
    np.testing.assert_array_equal(
        batch.samples[0], pixels(Folder(chunk.images[0].path).read())[:256, :256]
    )
    with pytest.raises(ValueError, match="holds pixels .residual.filter=none., not residuals"):
        batch.residuals()


def test_a_file_that_cannot_be_decoded_is_rejected_with_the_reason(chunk, tmp_path):
    file, statuses = made(chunk, Folder(str(tmp_path / "store")))
    with file:
        assert file.statuses == statuses
    assert [image.status == "ok" for image in statuses] == [True, False, True]
    assert statuses[1].status.startswith("rejected: cannot be decoded")
    assert all(len(image.sha256) == 64 for image in statuses)


def test_a_chunk_without_any_good_image_is_still_written(chunk, tmp_path):
    for image in chunk.images:
        Folder(str(tmp_path)).delete(image.path.removeprefix(f"{tmp_path}/"))
    file, statuses = made(chunk, Folder(str(tmp_path / "store")))
    with file:
        assert file.num_row_groups == 0
    assert {image.status[:25] for image in statuses} == {"rejected: cannot be read:"}


def test_equal_chunks_have_equal_bytes(chunk, tmp_path):
    one, two = Folder(str(tmp_path / "1")), Folder(str(tmp_path / "2"))
    for folder in (one, two):
        make_chunk(chunk, store=folder, config=Config())
    assert one.files() == two.files() == ["device=dev ice/chunk-00000.parquet"]
    assert one.read(one.files()[0]) == two.read(two.files()[0])


def test_samples_are_plain_bytes_that_others_can_read(chunk, tmp_path):
    file, _ = made(chunk, Folder(str(tmp_path / "store")))
    path = tmp_path / "store" / file.name
    schema = pq.read_schema(path)
    assert schema.field("samples").type == pa.binary(256 * 256 * 3)
    assert json.loads(schema.metadata[b"camid.format"])["step"] == 0.125


@pytest.mark.parametrize("damage", ["truncated", "empty", "no chunk"])
def test_half_a_chunk_is_no_chunk(chunk, tmp_path, damage):
    folder = Folder(str(tmp_path / "store"))
    file, _ = made(chunk, folder)
    path = tmp_path / "store" / file.name
    data = path.read_bytes()
    path.write_bytes({"truncated": data[:-100], "empty": b"", "no chunk": b"PAR1" * 9}[damage])
    with pytest.raises(ValueError, match="chunk-00000.parquet: not a whole chunk"):
        ChunkFile(folder, file.name)


def test_a_store_of_another_time_is_refused(tmp_path):
    folder = Folder(str(tmp_path))
    with pytest.raises(ValueError, match="no strip store there .no store.json.; run preprocess"):
        open_store(str(tmp_path))
    write_description(folder, {"content_digest": None})
    with pytest.raises(ValueError, match="the store is unfinished; run preprocess again"):
        open_store(str(tmp_path))
    folder.write("store.json", b'{"schema_version": 99}')
    with pytest.raises(ValueError, match="schema version 99, and this camid reads 5"):
        open_store(str(tmp_path))
    folder.write("store.json", b"[1]")
    with pytest.raises(ValueError, match="not a store's description"):
        open_store(str(tmp_path))


def test_leftovers_and_chunks_of_no_plan_are_stray(tmp_path):
    folder = Folder(str(tmp_path))
    for name in ["store.json", "device=1/chunk-00000.parquet", "device=2/chunk-00000.parquet"]:
        folder.write(name, b"x")
    halves = [
        f"{name}.{'0a' * 16}{TEMPORARY}" for name in ("device=1/chunk-00001.parquet", "store.json")
    ]
    for name in [*halves, "device=2/mine.parquet", "film.mkv.part"]:
        folder.write(name, b"x")
    found = stray_files(folder, chunks=["device=1/chunk-00000.parquet"])
    assert sorted(found) == sorted([*halves, "device=2/chunk-00000.parquet"])


def test_the_content_digest_does_not_see_the_order():
    assert content_digest({"a": "1", "b": "2"}) == content_digest({"b": "2", "a": "1"})
    assert content_digest({"a": "1", "b": "2"}) != content_digest({"a": "2", "b": "1"})


def test_a_device_s_name_may_hold_anything(tmp_path):
    assert chunk_name("a/b=c é", 7) == "device=a%2Fb%3Dc %C3%A9/chunk-00007.parquet"


def test_strips_that_no_filter_can_denoise_are_refused_before_work():
    with pytest.raises(ValueError, match="64x64 px allows at most 3 levels of 'db4'"):
        smallest_side(load_config(settings=["strips.size=64"]))
    pixels_kept = load_config(settings=["strips.size=64", "residual.filter=none"])
    assert smallest_side(pixels_kept) == 64
    assert sample_format(pixels_kept).dtype == "uint8"
