import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from camid.config import load_config
from camid.dataset.records import ImageRecord, chunk_name
from camid.dataset.sources import find_files, read_headers
from camid.io.images import pixels
from camid.io.scene_hash import scene_hash
from camid.runtime.ingest import preprocess as module
from camid.runtime.ingest.preprocess import preprocess
from camid.store.chunk_plan import chunks_of, planned
from camid.store.index import num_strips
from camid.store.make_chunk import make_chunk
from camid.store.store import open_store
from camid.store.verify import problems
from tests.runtime.conftest import Place, config_of, contents

pytestmark = pytest.mark.usefixtures("ray_here")


@pytest.fixture
def workers_look(monkeypatch):
    """As few files as there are are looked at by workers."""
    monkeypatch.setattr(module, "MANY", 1)
    monkeypatch.setattr(module, "PER_TASK", 5)


def test_every_photograph_is_in_the_store(made):
    store = open_store(made.config().paths.store)
    assert len(store.manifest) == 6 * 17
    assert len(store.images()) == 6 * 17
    assert all(len(image.sha256) == 64 for image in store.images())
    assert num_strips(store.index) == 6 * 17 * 2
    assert not any(problems(store))


def test_the_store_says_what_made_it(made):
    description = open_store(made.config().paths.store).description
    assert description["settings"]["residual"]["sigma"] == 5.0
    assert description["samples"]["step"] == 0.125
    assert description["num_chunks"] == 12


def test_one_worker_or_two_give_the_same_bytes(made, tmp_path, monkeypatch):
    from camid.runtime.cluster import map_tasks

    place = Place(tmp_path)
    config = replace(
        place.config(), paths=replace(place.config().paths, data=made.config().paths.data)
    )
    monkeypatch.setattr(map_tasks, "CPUS_PER_TASK", 2)  # on two processors: one task at a time
    preprocess(config)
    assert contents(tmp_path / "store") == contents(made.root / "store")


def test_workers_read_the_headers_that_are_read_here(made, tmp_path, workers_look):
    config = Place(tmp_path).config()
    preprocess(replace(config, paths=replace(config.paths, data=made.config().paths.data)))
    assert contents(tmp_path / "store") == contents(made.root / "store")


def test_a_finished_store_is_left_alone(made, copied):
    before = contents(copied.root / "store")
    done = preprocess(config_of(made, copied))
    assert (done.num_chunks_made, done.num_chunks) == (0, 12)
    assert contents(copied.root / "store") == before


def test_copies_saved_again_or_received_are_of_one_scene_and_no_other_photographs_are(
    made, tmp_path
):
    data, devices = tmp_path / "photographs", ["mine", "theirs"]
    paths = sorted((made.root / "photographs").rglob("*.jpg"))
    with_edges = [path for path in paths if scene_hash(pixels(path.read_bytes()))]
    for device, some in zip(devices, (with_edges[:4], with_edges[4:8]), strict=True):
        (data / device).mkdir(parents=True)
        for number, path in enumerate(some):
            shutil.copy(path, data / device / f"{number}.jpg")
    for device in devices:
        Image.open(data / "mine/1.jpg").save(data / device / "again.jpg", quality=70)
    config = Place(tmp_path).config("images.reader=folders")
    preprocess(config)
    scenes = {r.image_id: r.scene for r in open_store(config.paths.store).manifest}
    (copied,) = {scene for scene in scenes.values() if scene}
    assert copied == "copies of mine/1.jpg"
    named = {image_id for image_id, scene in scenes.items() if scene}
    assert named == {"mine/1.jpg", "mine/again.jpg", "theirs/again.jpg"}


@pytest.mark.parametrize("damage", ["missing", "truncated", "leftover", "foreign"])
def test_what_is_missing_is_made_again_and_nothing_else(made, copied, damage):
    before = contents(copied.root / "store")
    chunk = copied.root / "store" / chunk_name("100", 1)
    match damage:
        case "missing":
            chunk.unlink()
        case "truncated":
            chunk.write_bytes(chunk.read_bytes()[:-10])
        case "leftover":
            chunk.with_suffix(f".parquet.{'0' * 32}.part").write_bytes(b"half")
        case "foreign":
            shutil.copy(chunk, chunk.with_name("chunk-00044.parquet"))
    done = preprocess(config_of(made, copied))
    assert done.num_chunks_made == (1 if damage in {"missing", "truncated"} else 0)
    assert contents(copied.root / "store") == before


def test_new_photographs_of_one_device_change_its_chunks_only(made, tmp_path):
    shutil.copytree(made.root / "photographs", tmp_path / "photographs")
    place = Place(tmp_path)
    preprocess(place.config())
    first = contents(tmp_path / "store")
    new = tmp_path / "photographs" / "Eurecom_101_picFG_900.jpg"
    shutil.copy(tmp_path / "photographs" / "Eurecom_101_picFG_001.jpg", new)
    done = preprocess(place.config())
    second = contents(tmp_path / "store")
    changed = {name for name in second if second[name] != first.get(name)}
    assert done.num_chunks_made == 1
    assert changed == {chunk_name("101", 1), "manifest.parquet", "store.json"} | (
        {"index.parquet"} & changed
    )


def test_a_store_made_otherwise_is_refused_and_fresh_replaces_it(made, copied):
    config = replace(config_of(made, copied), residual=replace(copied.config().residual, sigma=3.0))
    with pytest.raises(ValueError, match="residual.sigma was 5.0, now 3.0.*--fresh"):
        preprocess(config)
    done = preprocess(config, fresh=True)
    assert done.num_chunks_made == 12
    assert open_store(config.paths.store).description["settings"]["residual"]["sigma"] == 3.0


def test_fresh_with_nothing_to_read_keeps_the_store(made, copied):
    before = contents(copied.root / "store")
    wrong = replace(copied.config(), paths=replace(copied.config().paths, data="/nowhere"))
    with pytest.raises(ValueError, match="no such folder or table"):
        preprocess(wrong, fresh=True)
    assert contents(copied.root / "store") == before


@pytest.mark.parametrize("fresh", [False, True])
def test_files_of_others_are_never_deleted(made, tmp_path, fresh):
    theirs = ["device=7/mine.parquet", "film.mkv.part", "thesis.tex"]
    for name in theirs:
        (tmp_path / "store" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / name).write_text("mine")
    config = config_of(made, Place(tmp_path))
    if fresh:
        preprocess(config, fresh=True)
    else:
        with pytest.raises(ValueError, match="holds files that are no store's"):
            preprocess(config)
    assert all((tmp_path / "store" / name).read_text() == "mine" for name in theirs)


@pytest.mark.parametrize("is_longer", [False, True])
def test_a_photograph_that_changed_is_read_again_and_named(made, tmp_path, request, is_longer):
    if is_longer:  # chunks and photographs are looked at by workers, or here
        request.getfixturevalue("workers_look")
    shutil.copytree(made.root / "photographs", tmp_path / "photographs")
    place = Place(tmp_path)
    preprocess(place.config())
    victim = tmp_path / "photographs/Eurecom_103_picFG_002.jpg"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data + b"more" * is_longer)
    done = preprocess(place.config())
    assert (done.changed, done.num_chunks_made) == ([victim.name], 1)
    sentence = f"photographs changed since they were read before: 1 ({victim.name})"
    assert f"{sentence}; their chunks were made again" in done.lines("store")
    second = contents(tmp_path / "store")
    assert preprocess(place.config()).num_chunks_made == 0
    preprocess(place.config(), fresh=True)
    assert contents(tmp_path / "store") == second


def test_photographs_that_were_only_touched_leave_the_store_alone(made, tmp_path):
    shutil.copytree(made.root / "photographs", tmp_path / "photographs")
    place = Place(tmp_path)
    preprocess(place.config())
    before = contents(tmp_path / "store")
    for photograph in (tmp_path / "photographs").iterdir():
        photograph.touch()
    done = preprocess(place.config())
    assert (done.changed, done.num_chunks_made) == ([], 0)
    assert contents(tmp_path / "store") == before


def test_a_file_that_could_not_be_read_is_tried_again(made, tmp_path):
    shutil.copytree(made.root / "photographs", tmp_path / "photographs")
    place = Place(tmp_path)
    config = place.config()
    found = read_headers(find_files(config.paths.data), min_side=256, max_megapixels=250)
    plan = planned(list(found), strips=config.strips, chunks=config.chunks, seed=config.seed)
    chunk = chunks_of(plan)[3]
    victim = Path(chunk.images[0].path)
    victim.rename(tmp_path / "away.jpg")
    written = make_chunk(chunk, store=place.folder("store"), config=config)
    assert written.statuses[0].status.startswith("rejected: cannot be read")
    (tmp_path / "away.jpg").rename(victim)
    done = preprocess(config)
    assert (done.num_chunks_made, done.rejected) == (12, {})
    pairs = contents(tmp_path / "store"), contents(made.root / "store")
    one, other = ({n: d for n, d in p.items() if n.startswith("device=")} for p in pairs)
    assert one == other


def test_an_error_on_a_worker_is_raised_here_as_it_was(tmp_path):
    import pyarrow as pa

    from camid.runtime.cluster.map_tasks import streamed

    def full_disk(table):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        list(streamed([pa.table({"a": [1]})], full_disk, description="test", unit="rows"))


def test_addresses_with_odd_names_are_read(made, tmp_path):
    folder = tmp_path / "photographs" / "dév 1#50%41?"
    folder.mkdir(parents=True)
    for path in sorted((made.root / "photographs").glob("Eurecom_100_*"))[:2]:
        shutil.copy(path, folder / f"a b {path.name}")
    config = Place(tmp_path).config()
    places = replace(config.paths, data=f"file://{tmp_path}/photographs")
    done = preprocess(replace(config, paths=places))
    assert (done.num_images, done.rejected) == (2, {})


def test_a_device_of_any_name_has_a_folder(made, tmp_path):
    long = "携" * 80
    for device in (long, "a=b c", "x" * 200):
        (tmp_path / "photographs" / device).mkdir(parents=True)
        photograph = made.root / "photographs/Eurecom_100_picBG_001.jpg"
        shutil.copy(photograph, tmp_path / "photographs" / device / "1.jpg")
    preprocess(Place(tmp_path).config())
    store = open_store(str(tmp_path / "store"))
    assert {image.device for image in store.images()} >= {long, "x" * 200}
    assert not any(problems(store))


def test_a_store_of_another_schema_version_is_refused_and_fresh_replaces_it(made, copied):
    before = contents(copied.root / "store")
    place = copied.root / "store/store.json"
    place.write_text(place.read_text().replace('"schema_version": 5', '"schema_version": 2'))
    with pytest.raises(ValueError, match="schema version 2, and this camid reads 5; preprocess"):
        preprocess(config_of(made, copied))
    preprocess(config_of(made, copied), fresh=True)
    assert contents(copied.root / "store") == before


def test_two_runs_never_write_one_store(made, copied):
    with (
        FileLock(copied.root / "store/.lock"),
        pytest.raises(ValueError, match="another run is writing this store"),
    ):
        preprocess(config_of(made, copied))


def test_awkward_real_files_all_get_a_status(bad_inputs, tmp_path):
    place = Place(tmp_path)
    config = replace(place.config(), paths=replace(place.config().paths, data=str(bad_inputs)))
    done = preprocess(config)
    rows = open_store(config.paths.store).manifest
    assert done.num_files == len(rows) == len(list(bad_inputs.iterdir()))
    assert all(row.status == "ok" or row.status.startswith("rejected: ") for row in rows)
    statuses = {row.image_id: row.status for row in rows}
    for name in ("all_black.jpg", "all_white.jpg", "png_16bit_grey.png", "sugarshack.mpo"):
        assert statuses[name] == "ok"
    assert not any(problems(open_store(config.paths.store)))


def test_data_without_anything_usable_are_one_sentence(tmp_path):
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(ValueError, match="none of 1 files can be used; a.jpg, for example, is rej"):
        preprocess(Place(tmp_path).config())


def test_images_that_all_fail_to_decode_are_one_sentence_too(made, tmp_path):
    (tmp_path / "photographs").mkdir()
    whole = next((made.root / "photographs").iterdir()).read_bytes()
    (tmp_path / "photographs" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        with pytest.raises(ValueError, match="none of 1 files .* cannot be decoded"):
            preprocess(Place(tmp_path).config())


def test_tasks_are_larger_for_more_processors_and_enough_for_each(monkeypatch):
    monkeypatch.setattr(module, "PIXELS_PER_TASK", 2**21)
    monkeypatch.setattr(module, "CPUS_OF_SUCH", 2)
    records = [
        ImageRecord(image_id=f"{n:04d}", path=f"/{n}.jpg", device="A", width=256, height=256)
        for n in range(4096)
    ]
    config = load_config()
    plan = chunks_of(planned(records, strips=config.strips, chunks=config.chunks, seed=1))
    numbers = {
        num_cpus: len(list(module._tasks(plan, range(len(plan)), num_cpus=num_cpus)))
        for num_cpus in (1, 2, 4, 1000)
    }
    assert numbers[1] == numbers[2] == 2 * numbers[4]
    assert numbers[1000] == len(plan)
