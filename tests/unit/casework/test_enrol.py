import numpy as np
import pytest
from PIL import Image

from camid.casework.database import Fingerprints
from camid.casework.decisions import RESERVED
from camid.casework.enrol import enrol, withdraw
from camid.casework.outliers import FEWEST
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.prnu.correlation import ncc

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


def strange(found):
    return [path for path, reason in found.rejected if "does not show the sensor pattern" in reason]


def saved(path, place, *, operations=(), exif=(), quality=97):
    """Save a photograph again, transposed by Pillow's operations, with tags of EXIF."""
    with Image.open(path) as image:
        lying = image.transpose(operations[0]) if operations else image
        facts = Image.Exif()
        facts.get_ifd(0x8769).update(dict(exif))
        lying.save(place, exif=facts, quality=quality)
    return str(place)


def agreement(database, name, other):
    patterns = {entry.device: database.pattern(entry) for entry in database.entries()}
    return ncc(patterns[name], patterns[other])


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


@pytest.mark.parametrize("stopped_at", [1, 4, 9])
def test_a_call_that_is_stopped_keeps_what_it_read_and_the_same_one_completes_it(
    database, folder, tmp_path, monkeypatch, stopped_at
):
    monkeypatch.setattr("camid.casework.growing_entry.KEPT_EVERY", 4)
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
    monkeypatch.setattr("camid.casework.growing_entry.KEPT_EVERY", NUM + 1)
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
    mine, others = files(folder, "100")[:7], files(folder, "100")[7:]
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
def test_no_image_of_a_device_is_left_out(database, folder, device):
    found = enrol(database, "a", files(folder, device))
    assert (found.rejected, found.skipped, found.notes) == ((), (), ())


@pytest.mark.parametrize(("goes", "model"), [(1, "another"), (1, "the same"), (2, "the same")])
def test_an_image_of_another_phone_is_left_out_and_named(database, folder, tmp_path, goes, model):
    stranger = tmp_path / "other.jpg"
    device = "102" if model == "the same" else "101"
    saved(folder / device / "walls/01.jpg", stranger)
    own = [saved(path, tmp_path / f"{n}.jpg") for n, path in enumerate(files(folder, "100"))]
    if goes == 2:
        enrol(database, "a", own)
    found = enrol(database, "a", [*own, str(stranger)])
    assert strange(found) == [str(stranger)]
    assert any("mixed input" in words for words in found.notes)
    (entry,) = found.entries
    assert entry.num_images == NUM
    assert any("other.jpg" in words for words in entry.warnings if "mixed input" in words)
    alone = Fingerprints(str(tmp_path / "alone"))
    enrol(alone, "a", own)
    np.testing.assert_array_equal(sums(database).total.products, sums(alone).total.products)


def test_few_images_are_not_judged_by_one_another(database, folder):
    some = [*files(folder, "100")[: FEWEST - 2], files(folder, "102")[0]]
    assert strange(enrol(database, "a", some)) == []


@pytest.mark.parametrize(("first", "second"), [("101", "100"), ("100", "102")])
def test_of_two_phones_in_one_folder_one_is_enrolled_and_the_other_named(
    database, folder, tmp_path, first, second
):
    plain = {
        device: [
            saved(path, tmp_path / f"{device}-{number}.jpg")
            for number, path in enumerate(files(folder, device)[:6])
        ]
        for device in (first, second)
    }
    found = enrol(
        database, "a", [path for pair in zip(*plain.values(), strict=True) for path in pair]
    )
    (entry,) = found.entries
    assert set(found.accepted) in [set(paths) for paths in plain.values()]
    assert set(strange(found)) in [set(paths) for paths in plain.values()]
    assert entry.num_images == 6
    assert "though no more than those" in " ".join(found.notes)


def test_of_two_phones_the_one_of_more_photographs_is_enrolled(database, folder, tmp_path):
    paths = [*files(folder, "101")[:4], *files(folder, "100")[:9]]
    plain = [saved(path, tmp_path / f"{number}.jpg") for number, path in enumerate(paths)]
    found = enrol(database, "a", plain)
    assert strange(found) == plain[:4]
    assert list(found.accepted) == plain[4:]


TURNS = {
    "turned": [Image.Transpose.ROTATE_180],
    "mirrored": [Image.Transpose.FLIP_LEFT_RIGHT],
    "upside down": [Image.Transpose.FLIP_TOP_BOTTOM],
}


@pytest.mark.parametrize("name", TURNS)
def test_photographs_that_lie_otherwise_are_turned_back(database, folder, tmp_path, name):
    own = files(folder, "100")
    mixed = [
        saved(path, tmp_path / f"{n}.jpg", operations=TURNS[name] if n % 3 == 1 else [])
        for n, path in enumerate(own)
    ]
    enrol(database, "as taken", own)
    (entry,) = enrol(database, "mixed", mixed).entries
    assert entry.num_images == NUM
    (words,) = [words for words in entry.warnings if "turned" in words]
    assert all(f"{n}.jpg" in words for n in range(1, NUM, 3))
    assert agreement(database, "as taken", "mixed") > 0.9
    withdraw(database, "mixed", mixed[1::3])
    upright = Fingerprints(str(tmp_path / "upright"))
    enrol(upright, "mixed", [path for path in mixed if path not in mixed[1::3]])
    remaining = [entry for entry in database.entries() if entry.device == "mixed"]
    np.testing.assert_array_equal(
        database.sums(remaining[0]).total.products, sums(upright).total.products
    )


def lens(folder, tmp_path, device, length, numbers):
    return [
        saved(
            folder / device / f"walls/{n:02d}.jpg",
            tmp_path / f"{device}-{n}-{length}.jpg",
            exif={0x920A: length},
        )
        for n in numbers
    ]


@pytest.mark.parametrize("goes", [1, 2])
def test_lenses_that_only_a_focal_length_tells_apart_are_entries_of_their_own(
    database, folder, tmp_path, goes
):
    wide = lens(folder, tmp_path, "101", 1.8, range(8))
    main = lens(folder, tmp_path, "100", 5.4, range(9))
    if goes == 1:
        found = enrol(database, "a", [*wide, *main])
        assert len(found.accepted) == 17
    else:
        enrol(database, "a", main)
        found = enrol(database, "a", wide)
        assert found.accepted == tuple(wide)
    assert found.rejected == found.skipped == ()
    assert "another lens" in " ".join(found.notes)
    counts = {entry.lens: entry.num_images for entry in database.entries()}
    assert counts == {"": 9, "1.8 mm": 8}
    more = lens(folder, tmp_path, "101", 1.8, [8])
    assert enrol(database, "a", more).accepted == tuple(more)
    counts = {entry.lens: entry.num_images for entry in database.entries()}
    assert counts == {"": 9, "1.8 mm": 9}


def test_a_lens_that_zooms_is_one_entry(database, folder, tmp_path):
    paths = [
        path
        for n in range(NUM)
        for path in lens(folder, tmp_path, "100", (18.0, 35.0, 55.0)[n % 3], [n])
    ]
    (entry,) = enrol(database, "a", paths).entries
    assert (entry.lens, entry.num_images) == ("", NUM)


def test_copies_of_one_wall_count_once(database, folder, tmp_path):
    own = files(folder, "100")
    copies = [
        saved(own[0], tmp_path / f"{quality}.jpg", quality=quality) for quality in (97, 93, 88)
    ]
    found = enrol(database, "a", [*copies, *own[1:]])
    assert sorted(path for path, _ in found.skipped) == sorted(copies)[:2]
    assert all("a copy of" in reason for _, reason in found.skipped)
    assert found.entries[0].num_images == NUM


def test_copies_of_one_scene_count_once_in_one_go_or_two(database, tmp_path):
    phone = phones(SETTINGS, seed=6)[0]
    scene = tmp_path / "scene.jpg"
    scene.write_bytes(phone.photograph("foreground", 0))
    again = [saved(scene, tmp_path / f"scene-{q}.jpg", quality=q) for q in (90, 70, 50)]
    again.append(saved(scene, tmp_path / "t.jpg", operations=TURNS["turned"], quality=80))
    found = enrol(database, "a", [str(scene), *again[:2]])
    assert found.accepted == (str(scene),)
    assert [path for path, _ in found.skipped] == again[:2]
    later = enrol(database, "a", again[2:])
    assert later.accepted == ()
    assert [path for path, _ in later.skipped] == again[2:]
    assert enrol(database, "b", again[3:]).shared == {"a": 1}


@pytest.mark.parametrize("other", ["MINE", "Mine", " mine"])
def test_a_name_that_people_take_for_an_enrolled_one_is_refused(database, folder, other):
    first, second, *_ = files(folder, "100")
    enrol(database, "mine", [first])
    with pytest.raises(
        ValueError, match="differ by case, spaces or the form|without spaces around"
    ):
        enrol(database, other, [second])
    assert {entry.device for entry in database.entries()} == {"mine"}
