"""The data sets' readers: what their real names tell, and that nobody else's names are theirs."""

from typing import get_args, get_type_hints

import numpy as np
import pytest

from camid.config import Images
from camid.dataset.records import OK
from camid.dataset.sources import READERS, Placement, find_files, read_headers
from camid.dataset.sources.placement import folder_model

PIXELS = np.zeros((64, 96, 3), np.uint8)
SAMSUNG = {"make": "Samsung", "model": "GalaxyS3Mini"}
PLACES = {
    "socrates": {
        "Eurecom_100_picBG_001.jpg": Placement(
            device="100", kind="background", provenance="original"
        ),
        "eurecom_104_picFG_0_30.jpeg": Placement(device="104", provenance="original"),
    },
    "vision": {
        "D01_Samsung_GalaxyS3Mini/images/flat/D01_I_flat_0001.jpg": Placement(
            device="D01", kind="background", provenance="original", **SAMSUNG
        ),
        "VISION/dataset/D01_Samsung_GalaxyS3Mini/nat/D01_I_nat_0007.JPG": Placement(
            device="D01", scene="D01 nat 0007", provenance="original", **SAMSUNG
        ),
        "d01_samsung_galaxys3mini/IMAGES/natFBH/d01_i_natfbh_0007.jpeg": Placement(
            device="D01",
            scene="D01 nat 0007",
            provenance="facebook-high",
            make="samsung",
            model="galaxys3mini",
        ),
        "D12_I_natFBL_0007.jpg": Placement(
            device="D12", scene="D12 nat 0007", provenance="facebook-low"
        ),
        "D02_Apple_iPhone4s/images/natWA/D12_I_natWA_0161.png": Placement(
            device="D12", scene="D12 nat 0161", provenance="whatsapp"
        ),
    },
    "fodb": {
        "D01_Motorola_E3_1/orig/D01_img_orig_0001.jpg": Placement(
            device="D01", make="Motorola", model="E3", scene="0001", provenance="original"
        ),
        "fodb/D16_Samsung_GalaxyA6_2/whatsapp/D16_img_whatsapp_0143.jpg": Placement(
            device="D16", make="Samsung", model="GalaxyA6", scene="0143", provenance="whatsapp"
        ),
        "D25_Huawei_P9lite_2/D25_IMG_Telegram_12.JPG": Placement(
            device="D25", make="Huawei", model="P9lite", scene="0012", provenance="telegram"
        ),
        "D27_img_facebook_0100.jpg": Placement(device="D27", scene="0100", provenance="facebook"),
    },
    "dresden": {
        "Nikon_D200_0_14902.JPG": Placement(
            device="Nikon_D200_0", make="Nikon", model="D200", provenance="original"
        ),
        "ff-jpg/Nikon_D70s_1_23220.JPG": Placement(
            device="Nikon_D70s_1",
            kind="background",
            make="Nikon",
            model="D70s",
            provenance="original",
        ),
        "natural/Olympus_mju_1050SW(5)/Olympus_mju-1050SW_4/Olympus_mju-1050SW_4_25619.jpg": (
            Placement(
                device="Olympus_mju_1050SW_4",
                make="Olympus",
                model="mju_1050SW",
                provenance="original",
            )
        ),
        "Agfa_DC-733s_0_1.JPG": Placement(
            device="Agfa_DC-733s_0", make="Agfa", model="DC-733s", provenance="original"
        ),
        "FlatField/Praktica_DCZ5-9_2_34586.png": Placement(
            device="Praktica_DCZ5.9_2",
            kind="background",
            make="Praktica",
            model="DCZ5.9",
            provenance="original",
        ),
        "sony_dsc_h50_0_46956.jpg": Placement(
            device="Sony_DSC-H50_0", make="Sony", model="DSC-H50", provenance="original"
        ),
    },
    "daxing": {
        "image/1101-1104/1102/90/IMG_20181217_1.jpg": Placement(
            device="1102", make="Huawei", model="P20", provenance="original", angle=90
        ),
        "Daxing/image/1105/180/sky/a.JPG": Placement(
            device="1105", make="Huawei", model="P20", provenance="original", angle=180
        ),
        "2313/0/IMG_0001.JPG": Placement(
            device="2313", make="Apple", model="iPhone 6S", provenance="original"
        ),
    },
}
STRANGE = {
    "socrates": ["Eurecom_picBG_001.jpg"],
    "vision": [
        "D01_V_flat_0001.jpg",
        "D01_I_natYT_0001.jpg",
        "D01_I_nat_0001 (1).jpg",
        "nat/1.jpg",
    ],
    "fodb": ["D01_img_tiktok_0001.jpg", "D01_orig_0001.jpg", "inspection/helper.jpg"],
    "dresden": ["IMG_2019_01_0001.jpg", "alice_phone_1_002.jpg", "Nikon_D200_14902.JPG"],
    "daxing": ["image/1101-1104/90/a.jpg", "1101/a.jpg", "1101/45/a.jpg", "90/a.jpg"],
}
ORDINARY = [
    "anna/IMG_2019_01_0001.jpg",
    "anna/alice_phone_1_002.jpg",
    "bert/flat/DSC_0001.JPG",
    "bert/nat/D01_0001.jpg",
    "2019/IMG_0001.jpg",
    "2019/90/IMG_0002.jpg",  # a day of the year
    "D01_Samsung_Galaxy_S20Plus/20230101_120000.jpg",  # folders like VISION's, names of the phone
    "anna/Canon_EOS5D_1_0001.jpg",
    "bert/Canon_EOS5D_1_0001.jpg",
    "eurecom/img_orig_0001.jpg",
]


@pytest.mark.parametrize(
    ("reader", "name"), [(reader, name) for reader, names in PLACES.items() for name in names]
)
def test_a_file_is_placed_by_its_name(reader, name):
    assert READERS[reader].place(name) == PLACES[reader][name]


@pytest.mark.parametrize(
    ("reader", "name"), [(reader, name) for reader, names in STRANGE.items() for name in names]
)
def test_another_name_is_refused_with_what_was_expected(reader, name):
    with pytest.raises(ValueError, match=r"^not a .*\(expected .*\)$"):
        READERS[reader].place(name)


def test_a_dark_frame_is_no_photograph():
    with pytest.raises(ValueError, match="a dark frame by its folder"):
        READERS["dresden"].place("Nikon_D200_0/dark-frames/Nikon_D200_0_16000.JPG")


def test_a_camera_that_is_new_to_dresden_is_placed_and_not_recognised():
    place = READERS["dresden"].place("Canon_EOS5D_1_0001.jpg")
    assert (place.device, place.make, place.model) == ("Canon_EOS5D_1", "Canon", "EOS5D")
    assert not READERS["dresden"].is_named("Canon_EOS5D_1_0001.jpg")


def test_no_set_has_another_set_s_names():
    for reader, names in PLACES.items():
        for name in names:
            assert [r for r, source in READERS.items() if source.is_named(name)] == [reader], name


def test_the_configuration_lists_every_reader():
    known = get_args(get_type_hints(Images)["reader"])
    assert known == ("auto", *READERS, "folders", "table")


@pytest.mark.parametrize("reader", PLACES)
def test_a_folder_of_a_set_s_names_is_recognised_and_every_file_becomes_a_row(
    reader, tmp_path, write_image
):
    for name in PLACES[reader]:
        write_image(name, PIXELS)
    write_image("holiday/IMG_2019_01_0001.jpg", PIXELS)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/D01_V_flat_move_0001.mp4").write_bytes(b"film")
    found = {
        record.image_id: record
        for record in read_headers(find_files(str(tmp_path)), min_side=64, max_megapixels=1)
    }
    for name, place in PLACES[reader].items():
        record = found.pop(name)
        assert (record.status, record.width, record.height) == (OK, 96, 64)
        for field in ("device", "kind", "make", "model", "scene", "provenance", "angle"):
            assert getattr(record, field) == getattr(place, field), (name, field)
    assert found.pop("videos/D01_V_flat_move_0001.mp4").status == "rejected: a video (.mp4)"
    assert found.pop("holiday/IMG_2019_01_0001.jpg").status.startswith("rejected: not a ")
    assert not found


def test_ordinary_folders_are_no_set(tmp_path, write_image):
    for name in ORDINARY:
        write_image(name, PIXELS)
    records = list(read_headers(find_files(str(tmp_path)), min_side=64, max_megapixels=1))
    assert {r.status for r in records} == {OK}
    assert {r.device for r in records} == {name.split("/")[0] for name in ORDINARY}
    assert {(r.provenance, r.scene) for r in records} == {("", "")}


def test_the_reader_that_is_asked_for_is_taken(tmp_path, write_image):
    write_image("a/D01_I_nat_0001.jpg", PIXELS)
    write_image("a/b.jpg", PIXELS)
    write_image("a/c.jpg", PIXELS)
    for reader, device in (("auto", "a"), ("vision", "D01"), ("folders", "a")):
        files = find_files(str(tmp_path), reader=reader)
        assert next(read_headers(files, min_side=64, max_megapixels=1)).device == device


def test_a_table_may_tell_the_angle(tmp_path, write_image):
    for name in "abcd":
        write_image(f"{name}.jpg", PIXELS)
    table = tmp_path / "list.csv"
    table.write_text(
        "path,device,angle,provenance\na.jpg,1,90,whatsapp\nb.jpg,1,,\nc.jpg,1,270.0,\nd.jpg,1,45,\n"
    )
    a, b, c, d = read_headers(find_files(str(table)), min_side=64, max_megapixels=1)
    assert (a.angle, b.angle, c.angle, a.provenance) == (90, 0, 270, "whatsapp")
    assert d.status == "rejected: angle is '45', expected 0, 90, 180, 270 degrees"


@pytest.mark.parametrize(
    ("folder", "model"),
    [
        ("D16_Samsung_GalaxyA6_2", "GalaxyA6"),
        ("D01_Samsung_GalaxyS3Mini", "GalaxyS3Mini"),
        ("D17_Apple_iPhone_7", "iPhone_7"),
        ("D17_Apple_iPhone_7_2", "iPhone_7"),
        ("D99_Samsung_GalaxyA6_2", ""),
    ],
)
def test_a_last_number_is_a_body_s_only_behind_a_model_s_own(folder, model):
    device = folder[:3] if model else "D16"
    assert folder_model(f"{folder}/orig/x.jpg", device=device)[1] == model
