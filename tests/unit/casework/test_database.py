import json
import os
import shutil
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import pytest

from camid.casework.database import Fingerprints
from camid.casework.database_entry import AGREEMENT, FEW
from camid.casework.entry_facts import STEP
from camid.casework.fingerprint_sums import EnrolledImage, Half, Sample, Sums
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.io.images import pixels
from camid.prnu.cleaning import cleaned
from camid.prnu.correlation import ncc
from camid.prnu.fingerprint import likelihood_pattern
from tests.unit.conftest import as_nobody

SIZE = 320
SETTINGS = Simulate(
    num_devices=1,
    num_models=1,
    sizes=((SIZE, SIZE),),
    portraits=0,
    pattern_strength=0.02,
    pattern_spread=0,
)
NUM = 12


def image(number, **facts):
    return EnrolledImage(sha256=f"{number:064x}", name=f"{number}.jpg", **facts)


@pytest.fixture(scope="module")
def phone():
    return phones(SETTINGS, seed=3)[0]


@pytest.fixture(scope="module")
def samples(phone):
    return [Sample.of(pixels(phone.photograph("background", n))) for n in range(NUM)]


def sums_of(samples, numbers):
    made = Sums.empty(*samples[0].noise.shape)
    for number in numbers:
        made = made.plus(image(number), samples[number])
    return made


@pytest.fixture
def database(tmp_path):
    return Fingerprints(str(tmp_path / "db"))


def the_file(database):
    (name,) = (n for n in database.folder.files() if n.endswith(".parquet"))
    return name


def test_more_images_agree_better_and_are_nearer_to_the_planted_pattern(phone, samples):
    made = [sums_of(samples, range(count)) for count in (2, 4, 12)]
    planted = cleaned(phone.pattern(), whiten=True)
    near = [ncc(sums.pattern(), planted) for sums in made]
    agreed = [sums.split_half() for sums in made]
    assert all(a < b for a, b in pairwise(near))
    assert all(a < b for a, b in pairwise(agreed))
    assert agreed[-1] > 2 * AGREEMENT / SIZE


def test_a_pattern_is_the_likelihood_s_of_what_was_added(samples):
    noise = [s.noise.astype(float) / 8 for s in samples[:3]]
    weight = [s.weight.astype(float) / 255 for s in samples[:3]]
    expected = likelihood_pattern(
        sum(n * w for n, w in zip(noise, weight, strict=True)), sum(w * w for w in weight)
    )
    np.testing.assert_allclose(
        sums_of(samples, range(3)).total.pattern(), expected, rtol=1e-5, atol=1e-9
    )


def test_neither_order_nor_goes_change_a_byte(database, samples):
    at_once = database.write("a", sums_of(samples, range(6)))
    expected = database.folder.read(at_once.file)
    database.write("a", sums_of(samples, [5, 3, 1, 0, 2, 4]))
    assert database.folder.read(at_once.file) == expected
    database.write("a", sums_of(samples, range(3)))
    assert database.folder.read(at_once.file) != expected
    sums = database.sums(database.entries()[0])
    for number in (5, 4, 3):
        sums = sums.plus(image(number), samples[number])
    assert database.write("a", sums) == at_once
    assert database.folder.read(at_once.file) == expected


def test_sums_without_an_image_are_those_of_the_others(samples):
    some = sums_of(samples, range(4)).total.less(samples[3].half())
    for found, expected in zip(some, sums_of(samples, range(3)).total, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_is_written_is_read(database, samples):
    sums = sums_of(samples, range(5))
    entry = database.write("Eva's phone/2", sums, lens="wide 4.2mm")
    assert database.entries() == [entry]
    assert entry.name == f"Eva's phone/2/{SIZE}x{SIZE}-wide 4.2mm"
    assert entry.num_images == 5
    assert entry.file.count("/") == 1
    read = database.sums(entry)
    assert read.images == sums.images
    for found, expected in zip(read.halves, sums.halves, strict=True):
        np.testing.assert_array_equal(found.products, expected.products)
        np.testing.assert_array_equal(found.squares, expected.squares)


def test_eight_bits_of_a_pattern_lose_a_five_thousandth_of_its_correlation(database, samples):
    sums = sums_of(samples, range(NUM))
    found, exact = database.pattern(database.write("a", sums)), sums.pattern()
    assert 0.9997 < ncc(found, exact) < 1
    inside = np.abs(exact) < 127 * STEP
    assert inside.mean() > 0.9999
    assert np.abs(found - exact)[inside].max() <= STEP / 2 + 1e-6


def test_an_entry_of_every_lens_and_size_has_a_file_of_its_own(database, samples):
    sums = sums_of(samples, range(2))
    cut = Sums(images=sums.images, halves=tuple(Half(*(p[:256] for p in h)) for h in sums.halves))
    long = "x" * 300
    for lens in ("", "wide", "tele", long, f"{long}y"):
        database.write("a", sums, lens=lens)
    database.write("a", cut)
    assert len(database.entries()) == 6
    assert database.damaged() == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_database_is_for_the_user_alone(tmp_path, samples, umask):
    before = os.umask(umask)
    try:
        database = Fingerprints(str(tmp_path / "new/db"))
        with database.alone("a"):
            database.write("a", sums_of(samples, range(2)))
        (tmp_path / "plain").mkdir()
    finally:
        os.umask(before)
    made = [path for path in (tmp_path / "new").rglob("*") if not path.name.startswith(".")]
    assert len(made) == 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in made)
    assert (tmp_path / "plain").stat().st_mode & 0o777 == 0o777 & ~umask


def test_removing_a_device_leaves_the_others(database, samples):
    for device in ("a", "ab", "b"):
        database.write(device, sums_of(samples, range(2)))
    assert database.remove("a") == 1
    assert [entry.device for entry in database.entries()] == ["ab", "b"]
    assert database.remove("a") == 0


def test_a_removal_waits_for_no_enrolment_and_undoes_none(database, samples):
    entry = database.write("a", sums_of(samples, range(2)))
    with database.alone("a"):
        with pytest.raises(ValueError, match="a is being enrolled by another; wait for it"):
            database.remove("a")
        with pytest.raises(ValueError, match="wait for it"), database.alone("a"):
            pass
        assert database.entries() == [entry]
    assert database.remove("a") == 1
    assert list(Path(database.uri).iterdir()) == []


def test_of_a_removed_device_s_folder_nothing_is_left(database, samples):
    entry = database.write("a", sums_of(samples, range(2)))
    place = Path(database.uri) / entry.file
    place.with_suffix(".parquet.1.part").write_bytes(b"killed")
    (place.parent / "gone.parquet").symlink_to("nowhere")
    assert database.remove("a") == 2
    assert list(Path(database.uri).iterdir()) == []


@pytest.mark.parametrize("stranger", ["notes.txt", "below/b.parquet", ".ssh/id", "c.parquet/d"])
def test_what_no_enrolment_wrote_is_not_removed(database, samples, stranger):
    entry = database.write("a", sums_of(samples, range(2)))
    place = (Path(database.uri) / entry.file).parent
    (place / stranger).parent.mkdir(exist_ok=True)
    (place / stranger).write_bytes(b"mine")
    with pytest.raises(ValueError, match=f"nothing is removed: {stranger.partition('/')[0]}; move"):
        database.remove("a")
    assert database.folder.exists(entry.file)
    assert (place / stranger).read_bytes() == b"mine"


@pytest.mark.parametrize("is_linked_by_entry", [True, False])
def test_what_lies_behind_a_link_is_not_removed(database, samples, tmp_path, is_linked_by_entry):
    elsewhere = Fingerprints(str(tmp_path / "elsewhere"))
    kept = elsewhere.write("a", sums_of(samples, range(2)))
    theirs = tmp_path / "elsewhere" / kept.file
    (theirs.parent / "notes.txt").write_bytes(b"mine")
    link = Path(database.uri) / (kept.file if is_linked_by_entry else "device=a")
    link.parent.mkdir(parents=True)
    link.symlink_to(theirs if is_linked_by_entry else theirs.parent)
    assert database.remove("a") == 1
    assert list(Path(database.uri).iterdir()) == []
    assert elsewhere.entries() == [kept]
    assert (theirs.parent / "notes.txt").read_bytes() == b"mine"


def test_a_device_whose_folder_is_a_link_is_not_enrolled(database, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Path(database.uri).mkdir()
    (Path(database.uri) / "device=a").symlink_to(elsewhere)
    with pytest.raises(ValueError, match="device=a: a link"), database.alone("a"):
        pass
    assert list(elsewhere.iterdir()) == []


def test_removing_where_nothing_is_leaves_no_folder(database, samples):
    assert database.remove("a") == 0
    assert not Path(database.uri).exists()
    entry = database.write("b", sums_of(samples, range(2)))
    assert database.remove("a") == 0
    assert database.folder.files() == [entry.file]


def test_who_was_alone_ends_well_though_the_folder_is_gone(database):
    with database.alone("a"):
        shutil.rmtree(database.uri)
    with database.alone("a"):
        pass
    assert list(Path(database.uri).iterdir()) == []


@pytest.fixture
def seen_by_all():
    """Return a database in a folder that every user may go to."""
    with TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        yield Fingerprints(place)


def test_what_may_not_be_read_is_said_to_be_that_and_not_damaged(seen_by_all, samples):
    entries = [seen_by_all.write(name, sums_of(samples, range(2))) for name in "abc"]
    place = Path(seen_by_all.uri)
    for path in place.rglob("*"):
        path.chmod(0o755)
    (place / entries[0].file).chmod(0)
    (place / "device=c").chmod(0)
    with as_nobody():
        assert seen_by_all.entries() == [entries[1]]
        assert seen_by_all.damaged() == [
            (entries[0].file, "cannot be read: permission denied"),
            ("device=c", "cannot be read: permission denied"),
        ]
        for read in (seen_by_all.pattern, seen_by_all.sums):
            with pytest.raises(ValueError, match="320x320.parquet: cannot be read: permission de"):
                read(entries[0])
    place.chmod(0)
    with as_nobody():
        assert seen_by_all.entries() == []
        assert seen_by_all.damaged() == [(".", "cannot be read: permission denied")]
    for path in (place, place / "device=c"):
        path.chmod(0o755)
    (place / entries[0].file).chmod(0o644)
    assert seen_by_all.entries() == entries


def test_a_file_whose_reading_fails_is_not_said_to_be_damaged(database, samples):
    entry = database.write("a", sums_of(samples, range(2)))
    place = Path(database.uri) / entry.file
    (place.parent / "loop.parquet").symlink_to("loop.parquet")
    place.unlink()
    place.mkdir()
    assert database.damaged() == [
        ("device=a/loop.parquet", "cannot be read: too many levels of symbolic links")
    ]
    with pytest.raises(ValueError, match=r"320x320.parquet: cannot be read: .* is a directory$"):
        database.pattern(entry)


@pytest.mark.parametrize("seed", range(24))
def test_a_changed_byte_is_found_or_changes_nothing(database, samples, seed):
    sums = sums_of(samples, range(2))
    entry = database.write("a", sums)
    data = bytearray(database.folder.read(entry.file))
    data[int(np.random.default_rng(seed).integers(len(data)))] ^= 0x41
    database.folder.write(entry.file, bytes(data))
    found = database.entries()
    if not found:
        assert [name for name, _ in database.damaged()] == [entry.file]
        return
    assert database.damaged() == []
    (read,) = found
    try:
        pattern, again = database.pattern(read), database.sums(read)
    except ValueError:
        return
    assert read == entry
    np.testing.assert_array_equal(pattern, np.round(sums.pattern() / STEP) * STEP)
    np.testing.assert_array_equal(again.total.products, sums.total.products)


@pytest.mark.parametrize("column", ["pattern", "squares_1"])
def test_a_changed_byte_of_pixels_is_an_error_that_says_what_to_do(database, samples, column):
    entry = database.write("a", sums_of(samples, range(2)))
    metadata = pq.ParquetFile(database.folder.open(entry.file)).metadata
    chunk = metadata.row_group(0).column(metadata.schema.to_arrow_schema().names.index(column))
    data = bytearray(database.folder.read(entry.file))
    data[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 0x10
    database.folder.write(entry.file, bytes(data))
    with pytest.raises(ValueError, match=r"damaged .*; remove it and enrol the device again"):
        database.pattern(entry) if column == "pattern" else database.sums(entry)


def test_a_column_of_another_name_is_damage(database, samples):
    entry = database.write("a", sums_of(samples, range(2)))
    data, spoilt = database.folder.read(entry.file), 0
    place = data.rfind(b"squares_1")
    while place > 0:
        database.folder.write(entry.file, data[:place] + b"squares_2" + data[place + 9 :])
        try:
            database.sums(entry)
        except ValueError as error:
            spoilt += "damaged" in str(error)
        place = data.rfind(b"squares_1", 0, place)
    assert spoilt


def test_files_that_are_no_entries_are_damaged_and_hide_no_entry(database, samples):
    entry = database.write("a", sums_of(samples, range(2)))
    data = database.folder.read(entry.file)
    database.folder.write("device=b/half.parquet", data[: len(data) // 2])
    database.folder.write("device=b/moved.parquet", data)
    database.folder.write("notes.txt", b"mine")
    assert database.entries() == [entry]
    assert [name for name, _ in database.damaged()] == [
        "device=b/half.parquet",
        "device=b/moved.parquet",
    ]


def test_an_entry_of_another_version_is_told_in_one_sentence(database, samples):
    entry = database.write("a", sums_of(samples, range(2)))
    table = pq.read_table(database.folder.open(entry.file))
    facts = json.loads(table.schema.metadata[b"camid.fingerprint"])
    facts["schema_version"] = 99
    path = f"{database.folder.local_path}/{entry.file}"
    pq.write_table(table.replace_schema_metadata({b"camid.fingerprint": json.dumps(facts)}), path)
    with pytest.raises(ValueError, match=r"schema version 99, and this camid reads 1; enrol"):
        database.pattern(entry)
    assert database.entries() == []
    assert len(database.damaged()) == 1


def test_an_entry_says_what_is_wrong_with_its_images(database, samples):
    sums = Sums.empty(SIZE, SIZE)
    for number, model in enumerate(["X1", "X1", "Z9"]):
        one = image(number, make="Acme", model=model, warnings=("dark",) * (number == 1))
        sums = sums.plus(one, samples[number])
    entry = database.write("a", sums)
    assert (entry.make, entry.model) == ("Acme", "X1")
    assert "1.jpg: dark" in entry.warnings
    assert any(f"3 images; {FEW} or more" in words for words in entry.warnings)
    assert any("2 of Acme X1, 1 of Acme Z9" in words for words in entry.warnings)


def test_images_without_a_common_pattern_are_said_to_have_none(database):
    rng = np.random.default_rng(0)
    sums = Sums.empty(256, 256)
    for number in range(FEW):
        noise = rng.integers(-20, 20, (256, 256)).astype(np.int8)
        sums = sums.plus(image(number), Sample(noise, np.full((256, 256), 128, np.uint8)))
    assert database.write("a", sums).warnings == (
        "its halves do not agree: these images show no pattern that they share",
    )


def test_where_nothing_was_enrolled_there_is_no_entry(database):
    assert database.entries() == database.damaged() == []
    assert database.remove("a") == 0
    assert database.entry("a", lens="", width=10, height=10) is None
