import shutil
from dataclasses import replace

import pytest

from camid.dataset.records import chunk_name
from camid.io.folder import Folder
from camid.runtime.ingest.preprocess import preprocess
from camid.runtime.ingest.repair import repair
from camid.store.store import open_store, read_description, write_description
from camid.store.verify import problems, source_problems
from tests.runtime.conftest import Place, config_of, contents

pytestmark = pytest.mark.usefixtures("ray_here")

FLIPPED = chunk_name("100", 0)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def found(place):
    store = open_store(str(place.root / "store"))
    return store, [problem for problem in problems(store) if problem]


def damage(folder, kinds):
    for kind in kinds:
        match kind:
            case "missing":
                (folder / chunk_name("101", 1)).unlink()
            case "truncated":
                chunk = folder / chunk_name("102", 0)
                chunk.write_bytes(chunk.read_bytes()[:-1])
            case "flipped":
                flip(folder / FLIPPED)
            case "stray":
                shutil.copy(folder / FLIPPED, folder / chunk_name("100", 77))
            case "manifest":
                flip(folder / "manifest.parquet")
            case "index":
                (folder / "index.parquet").unlink()


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["flipped"], "1 chunks made again; the digest is as before"),
        (["missing", "truncated", "flipped"], "3 chunks made again;"),
        (["stray"], "0 chunks made again, 1 stray files deleted;"),
        (["index"], "0 chunks made again, index.parquet written again;"),
        (["flipped", "manifest", "index"], "1 chunks made again, manifest.parquet written again, "),
    ],
)
def test_repair_leaves_the_bytes_that_were(copied, kinds, words):
    folder = copied.root / "store"
    before = contents(folder)
    damage(folder, kinds)
    store, wrong = found(copied)
    assert len(wrong) == len(kinds)
    (said,) = repair(store, wrong)
    assert words in said
    assert contents(folder) == before


def test_repair_goes_on_with_the_store_s_own_settings(made, tmp_path):
    place = Place(tmp_path)
    config = config_of(made, place)
    own = replace(config, residual=replace(config.residual, sigma=3.0), seed=5)
    preprocess(own)
    before = contents(tmp_path / "store")
    damage(tmp_path / "store", ["flipped"])
    repair(*found(place))
    assert contents(tmp_path / "store") == before


def test_repair_says_that_a_photograph_has_changed_and_the_digest_is_new(made, tmp_path):
    shutil.copytree(made.root / "photographs", tmp_path / "photographs")
    place = Place(tmp_path)
    preprocess(place.config())
    photograph = tmp_path / "photographs/Eurecom_100_picBG_003.jpg"
    flip(photograph)
    store, wrong = found(place)
    assert not wrong
    changed = [problem for problem in source_problems(store) if problem]
    assert [str(problem) for problem in changed] == [
        f"{photograph}: changed since the store read it"
    ]
    (said,) = repair(store, changed)
    new = open_store(store.folder.uri).digest[:12]
    assert f"1 chunks made again; the digest is now {new}, was {store.digest[:12]}" in said
    assert said.endswith(f"photographs changed since they were read before: 1 ({photograph.name})")
    assert found(place)[1] == []


def test_repair_without_all_photographs_changes_nothing(made, tmp_path):
    shutil.copytree(made.root / "photographs", tmp_path / "photographs")
    place = Place(tmp_path)
    preprocess(place.config())
    damage(tmp_path / "store", ["flipped"])
    before = contents(tmp_path / "store")
    store, wrong = found(place)
    gone = tmp_path / "photographs/Eurecom_105_picBG_001.jpg"
    gone.unlink()
    assert [str(p) for p in source_problems(store) if p] == [f"{gone}: gone"]
    with pytest.raises(ValueError, match=f"1 photographs that it was made of are gone.*{gone}"):
        repair(store, wrong)
    shutil.rmtree(tmp_path / "photographs")
    with pytest.raises(ValueError, match="its photographs at .*/photographs are gone; bring"):
        repair(store, wrong)
    assert contents(tmp_path / "store") == before


def test_repair_takes_in_no_photographs_that_are_new(made, tmp_path):
    shutil.copytree(made.root / "photographs", tmp_path / "photographs")
    place = Place(tmp_path)
    preprocess(place.config())
    before = contents(tmp_path / "store")
    damage(tmp_path / "store", ["flipped"])
    photographs = tmp_path / "photographs"
    shutil.copy(photographs / "Eurecom_101_picFG_001.jpg", photographs / "Eurecom_101_picFG_9.jpg")
    repair(*found(place))
    assert contents(tmp_path / "store") == before


def test_a_repair_that_was_stopped_is_completed_by_preprocessing(made, copied):
    """Stopped after it had marked the store, and before it deleted the damaged chunk."""
    folder = Folder(str(copied.root / "store"))
    before = contents(copied.root / "store")
    damage(copied.root / "store", ["flipped"])
    noted = {"damaged": [FLIPPED], "content_digest": None}
    write_description(folder, {**read_description(folder), **noted})
    with pytest.raises(ValueError, match="the store is unfinished; run preprocess again"):
        open_store(folder.uri)
    preprocess(config_of(made, copied))
    assert contents(copied.root / "store") == before
