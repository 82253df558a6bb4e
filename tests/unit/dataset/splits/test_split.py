from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.config import Enrolment, Splits
from camid.dataset.records import ImageRecord
from camid.dataset.splits import enrolled, named_split

SETTINGS = Enrolment()


def split_of(name, devices, **settings):
    """Return the split of devices with one image each."""
    records = [image(device, 1) for device in devices]
    return named_split(name, records, settings=Splits(**settings), seed=1)


def image(device, number, kind="foreground", **changes):
    image_id = f"{device}/{kind}/{number}"
    known = {"width": 512, "height": 384, "sha256": image_id, "make": "Aurora", "model": "A1"}
    return ImageRecord(
        image_id=image_id, path=image_id, device=device, kind=kind, **{**known, **changes}
    )


def images(device, *, background=0, foreground=0):
    return [
        *(image(device, n, "background") for n in range(background)),
        *(image(device, n) for n in range(foreground)),
    ]


OTHER = images("other", foreground=4)


@given(st.integers(0, 70), st.integers(0, 30), st.integers(0, 5))
def test_no_image_enrols_and_asks(background, foreground, seed):
    mine = images("1", background=background, foreground=foreground)
    gallery = enrolled([*mine, *images("2", foreground=4), *OTHER], settings=SETTINGS, seed=seed)
    for device, chosen in gallery.enrolled.items():
        ids = [r.image_id for r in (*chosen, *gallery.queries[device])]
        assert len(set(ids)) == len(ids)
        assert chosen
        assert gallery.queries[device]
    parts = [*gallery.enrolled.values(), *gallery.queries.values()]
    assert sum(map(len, parts)) + len(gallery.left_out) == len(mine) + 8


@pytest.mark.parametrize(
    ("background", "foreground", "enrols", "asks"),
    [
        (60, 40, 50, 50),  # the study's: 50 background images
        (20, 40, 20, 40),  # fewer, and all of them
        (9, 31, 20, 20),  # too few: half of everything
        (30, 0, 15, 15),  # nothing else to ask: half of them
        (0, 7, 3, 4),
    ],
)
def test_enrolment_is_decided_per_device(background, foreground, enrols, asks):
    mine = images("1", background=background, foreground=foreground)
    gallery = enrolled([*mine, *OTHER], settings=SETTINGS, seed=3)
    assert (len(gallery.enrolled["1"]), len(gallery.queries["1"])) == (enrols, asks)
    if background >= 10 and foreground:
        assert {r.kind for r in gallery.enrolled["1"]} == {"background"}


def test_the_seed_chooses_the_images():
    mine = [*images("1", foreground=20), *OTHER]
    first, again, other = (enrolled(mine, settings=SETTINGS, seed=s).enrolled for s in (1, 1, 2))
    assert first == again != other


def test_most_of_a_device_s_images_decide_its_size():
    odd = [image("1", n, width=640) for n in (100, 101)]
    gallery = enrolled([*images("1", foreground=9), *odd, *OTHER], settings=SETTINGS, seed=1)
    assert {i.image_id for i in gallery.left_out} == {"1/foreground/100", "1/foreground/101"}
    assert gallery.left_out[0].reason == "640x384 px, most of the device's are 512x384"


def test_exif_orientation_does_not_split_a_device():
    turned = [replace(r, orientation=6) for r in images("1", foreground=4)]
    rest = [image("1", n, orientation=1) for n in range(10, 14)]
    gallery = enrolled([*turned, *rest, *OTHER], settings=SETTINGS, seed=1)
    assert not gallery.left_out


def test_copies_of_an_image_never_stand_on_both_sides():
    copy = image("1", 99, sha256="1/foreground/3")
    gallery = enrolled([*images("1", foreground=6), copy, *OTHER], settings=SETTINGS, seed=1)
    assert [(i.image_id, i.reason) for i in gallery.left_out] == [
        ("1/foreground/99", "the same file as 1/foreground/3")
    ]


def test_two_devices_are_the_least():
    lonely = images("3", foreground=1)
    with pytest.raises(ValueError, match="at least 2 devices with 2 images each are needed, got 1"):
        enrolled([*OTHER, *lonely], settings=SETTINGS, seed=1)


def test_models_are_what_most_images_state():
    edited = image("1", 50, make="", model="Editor 3")
    gallery = enrolled([*images("1", foreground=5), edited, *OTHER], settings=SETTINGS, seed=1)
    assert gallery.models() == {"1": "Aurora A1", "other": "Aurora A1"}


def test_the_report_s_split_is_disjoint_and_has_its_counts():
    every = [str(number) for number in range(100, 225)]
    split = split_of("report2021", every)
    assert (len(split.validation), len(split.test)) == (7, 20)
    assert len({*split.train, *split.validation, *split.test}) == len(every)
    assert {"103", "224"} <= set(split.test)
    assert "132" in split.validation


def test_all_tests_every_device():
    assert split_of("all", ["b", "a", "b"]).test == ("a", "b")


def test_a_split_says_what_the_data_lack():
    assert "104" not in split_of("report2021", ["103", "100"]).missing
    assert "123" in split_of("report2021", ["103", "100"]).missing
    with pytest.raises(ValueError, match="tests the devices 103, 123.* have none of them"):
        split_of("report2021", ["x"])


def test_a_split_may_be_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("validation: [a]\ntest: [b, c]\n")
    split = split_of(str(file), "abcd")
    assert (split.train, split.validation, split.test) == (("d",), ("a",), ("b", "c"))
    file.write_text("validation: [a]\ntest: [a, c]\n")
    with pytest.raises(ValueError, match="in both validation and test: a"):
        split_of(str(file), "abcd")
    file.write_text("test: [a]\n")
    with pytest.raises(ValueError, match="expected the two lists validation and test"):
        split_of(str(file), "abcd")
    with pytest.raises(ValueError, match="no split 'vision'; there are all, report2021"):
        split_of("vision", "abcd")
