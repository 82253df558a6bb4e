import os

import numpy as np
import pytest
from PIL import Image

from camid.dataset.records import OK
from camid.dataset.sources import find_files, read_headers
from camid.dataset.sources.folders import place as place_in_folders
from camid.dataset.sources.socrates import place as place_in_socrates

PIXELS = np.zeros((64, 96, 3), np.uint8)


def records(data, *, reader="auto", min_side=64, max_megapixels=1.0):
    files = find_files(str(data), reader=reader)
    return {
        r.image_id: r for r in read_headers(files, min_side=min_side, max_megapixels=max_megapixels)
    }


@pytest.mark.parametrize(
    ("name", "device", "kind"),
    [
        ("Eurecom_100_picBG_001.jpg", "100", "background"),
        ("part 2/whatever/EURECOM_224_PICFG_050.JPG", "224", "foreground"),
        ("eurecom_104_picFG_0_30.jpeg", "104", "foreground"),
    ],
)
def test_socrates_is_read_from_the_name_alone(name, device, kind):
    placement = place_in_socrates(name)
    assert (placement.device, placement.kind) == (device, kind)


@pytest.mark.parametrize("name", ["IMG_001.jpg", "Eurecom_picBG_001.jpg", "Eurecom_1_picXG_1.jpg"])
def test_other_names_are_no_socrates(name):
    with pytest.raises(ValueError, match="not a SOCRatES name"):
        place_in_socrates(name)


@pytest.mark.parametrize(
    ("name", "device", "kind"),
    [
        ("d1/a.jpg", "d1", "foreground"),
        ("d1/flat/a.jpg", "d1", "background"),
        ("d1/Background/day 1/a.jpg", "d1", "background"),
        ("d1/nat/a.jpg", "d1", "foreground"),
        ("a.jpg", "holiday", "foreground"),
    ],
)
def test_folders_name_device_and_kind(name, device, kind):
    placement = place_in_folders(name, root="holiday")
    assert (placement.device, placement.kind) == (device, kind)


def test_every_file_becomes_a_row(tmp_path, write_image):
    write_image("d1/flat/good.png", PIXELS)
    write_image("d1/small.png", PIXELS[:32])
    write_image("d2/large.png", np.zeros((1100, 1100), np.uint8))
    (tmp_path / "d2/empty.jpg").touch()
    (tmp_path / "d2/text.jpg").write_text("no picture")
    (tmp_path / "notes.txt").write_text("notes")
    found = records(tmp_path)
    assert {name: r.status.removeprefix("rejected: ") for name, r in found.items()} == {
        "d1/flat/good.png": OK,
        "d1/small.png": "96x32 px is smaller than one strip of 64x64 px",
        "d2/large.png": "1100x1100 px is beyond the limit of 1 megapixels (images.max_megapixels)",
        "d2/empty.jpg": "empty file (0 bytes)",
        "d2/text.jpg": "not an image in one of the formats JPEG, PNG, TIFF, WEBP",
        "notes.txt": "not a photograph that is read (.txt)",
    }
    good = found["d1/flat/good.png"]
    assert (good.device, good.kind, good.width, good.height) == ("d1", "background", 96, 64)


def test_a_folder_of_socrates_names_is_recognised(tmp_path, write_image):
    write_image("parts/1/Eurecom_100_picBG_001.jpg", PIXELS)
    write_image("Eurecom_101_picFG_001.jpg", PIXELS)
    write_image("holiday.jpg", PIXELS)
    (tmp_path / "Eurecom_100_video_1.mp4").write_bytes(b"film")
    found = records(tmp_path)
    assert found["parts/1/Eurecom_100_picBG_001.jpg"].device == "100"
    assert found["holiday.jpg"].status.startswith("rejected: not a SOCRatES name")
    assert found["Eurecom_100_video_1.mp4"].status == "rejected: a video (.mp4)"


def test_make_and_model_come_from_exif_unless_the_table_tells(tmp_path, write_image):
    exif = Image.Exif()
    exif[271], exif[272] = "Aurora", "A1"
    write_image("x/a.jpg", PIXELS, exif=exif)
    write_image("x/b.jpg", PIXELS, exif=exif)
    table = tmp_path / "list.csv"
    table.write_text(
        "path,device,kind,model,extra\nx/a.jpg,007,background,,1\nx/b.jpg,8,,B2,2\nx/c.jpg,8,,,3\n"
        "x/a2.jpg,,,,\n"
    )
    found = records(table)
    assert (found["x/a.jpg"].device, found["x/a.jpg"].kind) == ("007", "background")
    assert (found["x/a.jpg"].make, found["x/a.jpg"].model) == ("Aurora", "A1")
    assert found["x/b.jpg"].model == "B2"
    assert found["x/c.jpg"].status == "rejected: no such file"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,device\na.jpg,1\n", "expected the columns path and device, got file, device"),
        ("path,device\na.jpg,1\na.jpg,2\n", "'a.jpg' stands in it twice"),
        ("path,device\n", "the table is empty"),
        ("", "cannot be read as a table"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_sentence(tmp_path, text, sentence):
    table = tmp_path / "list.csv"
    table.write_text(text)
    with pytest.raises(ValueError, match=sentence):
        find_files(str(table))


@pytest.mark.parametrize(
    "outside",
    [
        "../other/a.png",
        "d1/../../other/a.png",
        "/etc/hostname.png",
        "http://127.0.0.1:1/a.png",
        "hdfs://somewhere/a.png",
        "s3://bucket/a.png",
        "file:///etc/a.png",
    ],
)
def test_a_table_names_what_is_in_its_own_folder_unless_more_is_allowed(
    tmp_path, write_image, outside
):
    """Nothing outside is touched: no server is asked."""
    inside = write_image("set/d1/a.png", PIXELS)
    table = tmp_path / "set/list.csv"
    table.write_text(f"path,device\nd1/a.png,1\n{inside},1\n{outside},1\n")
    found = find_files(str(table))
    a, b, c = read_headers(found, min_side=64, max_megapixels=1)
    assert (a.status, b.status) == (OK, OK)
    assert c.status == ("rejected: outside the table's folder; images.elsewhere=true allows it")
    assert not find_files(str(table), elsewhere=True)[2].refused


def test_names_that_are_not_utf_8_and_links_that_lead_nowhere_are_rows_too(tmp_path, write_image):
    good = write_image("d1/good é\n.png", PIXELS)
    os.link(good, os.fsencode(tmp_path) + b"/d1/\xff.png")
    (tmp_path / "d1/round").symlink_to(tmp_path)
    (tmp_path / "d1/gone.png").symlink_to(tmp_path / "nowhere")
    assert {name: r.status for name, r in records(tmp_path).items()} == {
        "d1/good é\n.png": OK,
        "d1/\\udcff.png": "rejected: its name is not UTF-8; rename it",
        "d1/gone.png": "rejected: no such file",
    }


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no such folder or table; name your photographs"):
        find_files(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="the folder is empty"):
        find_files(str(tmp_path))


def test_awkward_real_files_all_become_rows(bad_inputs):
    found = records(bad_inputs, min_side=256, max_megapixels=250)
    assert len(found) == len(list(bad_inputs.iterdir()))
    assert {"all_black.jpg", "png_16bit_grey.png", "sugarshack.mpo"} <= {
        name for name, record in found.items() if record.status == OK
    }
