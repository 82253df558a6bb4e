import json
import shutil
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import pytest

from camid.config import Config
from camid.dataset.records import chunk_name
from camid.dataset.sources import find_files, read_headers
from camid.io.folder import Folder
from camid.store.build import ChunkContent, finish
from camid.store.chunk_plan import chunks_of, planned
from camid.store.make_chunk import make_chunk, sample_format
from camid.store.settings import store_settings, stored_config
from camid.store.store import Store, open_store, read_description, write_description
from camid.store.verify import problems

PLACES = 300


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A finished store of two devices with two images each."""
    from PIL import Image

    root, rng, config = tmp_path_factory.mktemp("whole"), np.random.default_rng(7), Config()
    for device in ("a", "b"):
        (root / "photographs" / device).mkdir(parents=True)
        for number in range(2):
            noisy = rng.integers(60, 190, (256, 512, 3), dtype=np.uint8)
            Image.fromarray(noisy).save(root / f"photographs/{device}/{number}.png")
    files = find_files(str(root / "photographs"))
    found = list(read_headers(files, min_side=256, max_megapixels=100))
    records = planned(found, strips=config.strips, chunks=config.chunks, seed=1)
    folder, chunks = Folder(str(root / "store")), chunks_of(records)
    names = [chunk_name(chunk.device, chunk.number) for chunk in chunks]
    description = {"settings": store_settings(config), "samples": sample_format(config).facts}
    description["plan_digest"] = "p"
    made = [make_chunk(chunk, store=folder, config=config) for chunk in chunks]
    statuses = {image.image_id: image for chunk in made for image in chunk.statuses}
    found = (statuses[record.image_id] for record in records)
    read = [
        replace(record, sha256=image.sha256, status=image.status)
        for record, image in zip(records, found, strict=True)
    ]
    where = [(0, 0), (0, 256)]
    contents = [
        (name, ChunkContent(chunk.content, len(chunk.statuses), where))
        for name, chunk in zip(names, made, strict=True)
    ]
    finish(folder, read, contents, description)
    return root / "store"


@pytest.fixture
def store(whole, tmp_path) -> Store:
    shutil.copytree(whole, tmp_path / "store")
    return open_store(str(tmp_path / "store"))


def wrong(store: Store) -> list[str]:
    return [str(p).removeprefix(f"{store.folder.uri}/") for p in problems(store) if p]


def test_a_whole_store_has_no_problems(store):
    assert wrong(store) == []


def test_a_bit_flipped_anywhere_in_a_chunk_is_named(store):
    """All through the file, and everywhere in its last bytes, the metadata."""
    name = chunk_name("a", 0)
    path = Path(store.folder.uri) / name
    data = path.read_bytes()
    metadata = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    places = {*np.linspace(0, len(data) - 1, PLACES, dtype=int)}
    places |= {*range(metadata, len(data), 7), *range(len(data) - 8, len(data))}
    for place in sorted(places):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        found = wrong(store)
        assert len(found) == 1, place
        assert found[0].startswith(f"{name}: "), place


def test_a_bit_flipped_anywhere_in_the_description_is_seen(store):
    path = Path(store.folder.uri) / "store.json"
    data = path.read_bytes()
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"store.json: not a store's desc|of schema version"):
            read_description(store.folder)


def places(tree, at=()):
    """Yield the place of every value of a description's own form, by keys."""
    for key, value in tree.items():
        yield (*at, key)
        if isinstance(value, dict) and key not in {"files", "filter"}:
            yield from places(value, (*at, key))


@pytest.mark.parametrize("wrong", ["missing", None, "x", -1, [], {"a": []}, [[0]]])
def test_a_resealed_description_of_another_form_is_told_in_a_sentence(store, wrong):
    """Where a value may be what is put there, the store may open; nothing else is raised."""
    sound = read_description(store.folder)
    for *at, last in places(sound):
        changed = json.loads(json.dumps(sound))
        section = reduce(dict.__getitem__, at, changed)
        if wrong == "missing":
            del section[last]
        else:
            section[last] = wrong
        write_description(store.folder, changed)
        words = told(store.folder.uri)
        assert words == "" or store.folder.uri in words


def told(uri: str) -> str:
    """Return why a store cannot be used; empty if it can."""
    try:
        store = open_store(uri)
        assert len(list(store.manifest)) == 4
        stored_config(store)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["manifest.parquet", "index.parquet"])
@pytest.mark.parametrize("damage", ["missing", "flipped", "empty"])
def test_without_manifest_or_index_the_chunks_are_still_checked(store, name, damage):
    path = Path(store.folder.uri) / name
    data = path.read_bytes()
    match damage:
        case "missing":
            path.unlink()
        case "flipped":
            path.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
        case "empty":
            path.write_bytes(b"")
    assert [found.split(":")[0] for found in wrong(store)] == [name]
    chunk = Path(store.folder.uri) / chunk_name("b", 0)
    chunk.write_bytes(chunk.read_bytes()[:-9])
    again = Store(store.folder)
    assert [found.split(":")[0] for found in wrong(again)] == [chunk_name("b", 0), name]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("missing", "missing"),
        ("truncated", "not a whole chunk"),
        ("swapped", "its images are not those that the manifest lists"),
        ("foreign", "belongs to no chunk of the manifest"),
        ("leftover", "belongs to no chunk of the manifest"),
    ],
)
def test_each_damage_is_a_sentence_that_names_the_file(store, damage, sentence):
    name = chunk_name("a", 0)
    path = Path(store.folder.uri) / name
    match damage:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[:-1])
        case "swapped":
            shutil.copy(path.parents[1] / chunk_name("b", 0), path)
        case "foreign":
            name = chunk_name("a", 77)
            shutil.copy(path, path.with_name("chunk-00077.parquet"))
        case "leftover":
            name = f"{name}.{'0' * 32}.part"
            path.with_name(name.split("/")[1]).write_bytes(b"half")
    (found,) = wrong(store)
    assert found.startswith(f"{name}: {sentence}")


def test_chunks_that_are_whole_but_of_another_run_are_noticed(store):
    from camid.store.store import write_description

    write_description(store.folder, {**store.description, "content_digest": "0" * 64})
    (found,) = wrong(open_store(store.folder.uri))
    assert found.endswith("the chunks are not those that the store was finished with")
