import numpy as np
import pytest
from PIL import Image

from camid.casework.database import Fingerprints
from camid.casework.decisions import RESERVED
from camid.casework.enrol import enrol, withdraw
from camid.casework.outliers import FEWEST
from camid.config import Simulate
from camid.dataset.simulate import phones

SETTINGS = Simulate(
    num_devices=3,
    num_models=2,
    sizes=((384, 320),),
    portraits=0.5,
    pattern_strength=0.02,
    pattern_spread=0,
)
NUM = FEWEST + 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of each phone's walls; the phones 100 and 102 are of one model."""
    root = tmp_path_factory.mktemp("photographs")
    for phone in phones(SETTINGS, seed=5):
        place = root / phone.device / "walls"
        place.mkdir(parents=True)
        for number in range(NUM):
            (place / f"{number:02d}.jpg").write_bytes(phone.photograph("background", number))
    return root


@pytest.fixture
def database(tmp_path):
    return Fingerprints(str(tmp_path / "db"))


def files(folder, device):
    return sorted(str(path) for path in (folder / device).rglob("*.jpg"))


def sums(database):
    return database.sums(database.entries()[0])


def strange(entry):
    return [words for words in entry.warnings if "does not carry the pattern" in words]


def test_a_folder_is_enrolled_with_all_below_it(database, folder):
    told = []
    found = enrol(database, "mine", [str(folder / "100")], tell=told.append)
    (entry,) = found.entries
    assert (entry.num_images, entry.width, entry.height) == (NUM, 384, 320)
    assert list(found.accepted) == files(folder, "100")
    assert database.entries() == [entry]
    assert len(told) == NUM
    assert "10 accepted" in found.lines()[-1]
    assert found.facts()["entries"][0]["images"] == NUM
    assert not any("mixed" in words for words in entry.warnings)


def test_two_goes_are_as_good_as_one(database, folder, tmp_path):
    some = files(folder, "101")
    enrol(database, "a", some[6:])
    enrol(database, "a", some[:6])
    other = Fingerprints(str(tmp_path / "other"))
    enrol(other, "a", [*some[4:], *some[:4]])
    assert database.entries() == other.entries()
    for found, expected in zip(sums(database).halves, sums(other).halves, strict=True):
        np.testing.assert_array_equal(found.products, expected.products)
        np.testing.assert_array_equal(found.squares, expected.squares)


@pytest.mark.parametrize("stopped_at", [1, 3, 4, 5, 9])
def test_a_call_that_is_stopped_keeps_what_it_read_and_the_same_one_completes_it(
    database, folder, tmp_path, monkeypatch, stopped_at
):
    monkeypatch.setattr("camid.casework.enrol.KEPT_EVERY", 4)
    told = []

    def stop(words):
        if len(told) == stopped_at:
            raise KeyboardInterrupt
        told.append(words)

    with pytest.raises(KeyboardInterrupt):
        enrol(database, "a", files(folder, "100"), tell=stop)
    assert database.entries()[0].num_images == stopped_at
    completed = enrol(database, "a", files(folder, "100"))
    assert len(completed.skipped) == stopped_at
    whole = Fingerprints(str(tmp_path / "whole"))
    monkeypatch.setattr("camid.casework.enrol.KEPT_EVERY", NUM + 1)
    assert enrol(whole, "a", files(folder, "100")).entries == completed.entries
    name = completed.entries[0].file
    assert database.folder.read(name) == whole.folder.read(name)


def test_two_enrolments_of_a_device_at_once_are_refused_and_other_devices_are_not(database, folder):
    some = files(folder, "100")[:2]
    with database.alone("a"):
        with pytest.raises(ValueError, match="a is being enrolled by another; wait for it"):
            enrol(database, "a", some)
        enrol(database, "b", some)
    assert [entry.device for entry in database.entries()] == ["b"]
    assert enrol(database, "a", some).accepted == tuple(some)


def test_what_is_enrolled_already_is_skipped_and_said(database, folder, tmp_path):
    some = files(folder, "100")
    copy = tmp_path / "copy.jpg"
    copy.write_bytes((folder / "100/walls/00.jpg").read_bytes())
    first = enrol(database, "a", [*some[:2], str(copy)])
    assert first.skipped == ((str(copy), "enrolled already"),)
    before = sums(database).total.products
    again = enrol(database, "a", some[:3])
    assert [path for path, _ in again.skipped] == some[:2]
    assert again.accepted == (some[2],)
    assert again.entries[0].num_images == 3
    third = enrol(database, "a", some[:3])
    assert third.entries == again.entries
    assert (before != sums(database).total.products).any()


def test_photographs_of_another_device_are_told(database, folder):
    some = files(folder, "100")
    assert enrol(database, "a", some[:4]).shared == {}
    found = enrol(database, "b", some[3:6])
    assert found.shared == found.facts()["shared"] == {"a": 1}
    assert "1 of its photographs enrolled a too: one of the two did not take it" in found.lines()


def test_every_file_that_is_left_out_has_a_reason(database, folder, tmp_path):
    bad = {"text.jpg": b"text", "zero.jpg": b"", "clip.mp4": b"x", "raw.nef": b"x"}
    bad["half.jpg"] = (folder / "100/walls/00.jpg").read_bytes()[:3000]
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    Image.new("RGB", (400, 400), "white").save(tmp_path / "white.png")
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "small.png")
    paths = [str(tmp_path / name) for name in [*bad, "white.png", "small.png"]]
    found = enrol(database, "a", [*paths, *files(folder, "100")[:1]])
    assert sorted(path for path, _ in found.rejected) == sorted(paths)
    assert all(reason and "\n" not in reason for _, reason in found.rejected)
    assert "saturated" in dict(found.rejected)[str(tmp_path / "white.png")]
    assert "too small" in dict(found.rejected)[str(tmp_path / "small.png")]
    assert len(found.accepted) == 1


def test_where_nothing_is_accepted_nothing_is_written(database, tmp_path):
    (tmp_path / "text.jpg").write_bytes(b"text")
    assert enrol(database, "a", [str(tmp_path / "text.jpg")]).entries == ()
    assert database.entries() == []


@pytest.mark.parametrize("name", [" ", "a\nb", "Undecided", *sorted(RESERVED)])
def test_what_cannot_be_a_device_s_name_is_refused(database, folder, name):
    with pytest.raises(ValueError, match="a device needs a name"):
        enrol(database, name, [str(folder / "100")])


def test_photographs_that_are_withdrawn_leave_what_the_others_make(database, folder, tmp_path):
    mine, others = files(folder, "100"), files(folder, "101")[:3]
    enrol(database, "a", [*mine, *others])
    taken, left = withdraw(database, "a", [*others, files(folder, "102")[0]])
    assert taken == others
    assert left == [(files(folder, "102")[0], "has not enrolled a")]
    alone = Fingerprints(str(tmp_path / "alone"))
    enrol(alone, "a", mine)
    for found, expected in zip(sums(database).halves, sums(alone).halves, strict=True):
        np.testing.assert_array_equal(found.products, expected.products)
        np.testing.assert_array_equal(found.squares, expected.squares)
    assert database.entries()[0].sha256s == alone.entries()[0].sha256s
    withdraw(database, "a", mine)
    assert database.entries() == []
    assert not (tmp_path / "db/device=a").exists()


def test_each_size_and_lens_is_an_entry_with_pixels_as_stored(database, folder, tmp_path):
    with Image.open(files(folder, "100")[0]) as image:
        for name, turn, exif in [("turned", 6, {}), ("lens", 1, {0xA434: "tele 6mm"})]:
            facts = Image.Exif()
            facts[0x0112] = turn
            facts.get_ifd(0x8769).update(exif)
            image.save(tmp_path / f"{name}.jpg", exif=facts, quality=98)
        image.rotate(90, expand=True).save(tmp_path / "upright.jpg", quality=98)
    enrol(database, "a", [str(tmp_path)])
    assert [entry.name for entry in database.entries()] == [
        "a/320x384",
        "a/384x320",
        "a/384x320-tele 6mm",
    ]


def test_another_model_in_exif_is_enrolled_and_warned_of(database, folder):
    found = enrol(database, "a", [*files(folder, "100")[:4], *files(folder, "101")[:1]])
    (entry,) = found.entries
    assert entry.num_images == 5
    assert any(words.startswith("mixed input: ") for words in entry.warnings)


@pytest.mark.parametrize("device", ["100", "101", "102"])
def test_no_image_of_a_device_is_suspected(database, folder, device):
    (entry,) = enrol(database, "a", files(folder, device)).entries
    assert strange(entry) == []


@pytest.mark.parametrize("goes", [1, 2])
def test_an_image_of_another_phone_of_the_model_is_suspected(database, folder, tmp_path, goes):
    other = tmp_path / "other.jpg"
    other.write_bytes((folder / "102/walls/03.jpg").read_bytes())
    own = files(folder, "100")
    if goes == 2:
        enrol(database, "a", own)
    (entry,) = enrol(database, "a", [*own, str(other)]).entries
    assert [words.split(":")[0] for words in strange(entry)] == ["other.jpg"]
    assert entry.num_images == NUM + 1


def test_few_images_are_not_judged_by_one_another(database, folder):
    some = [*files(folder, "100")[: FEWEST - 2], files(folder, "102")[0]]
    (entry,) = enrol(database, "a", some).entries
    assert strange(entry) == []
