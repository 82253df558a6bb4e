"""Pictures of another size are a device's where its EXIF or its pattern says so."""

import io

import pytest
from PIL import Image

from camid.casework.database import Fingerprints
from camid.casework.enrol import enrol
from camid.casework.received import FEW
from camid.config import Simulate
from camid.dataset.simulate import phones

SETTINGS = Simulate(
    num_devices=2,
    num_models=2,
    sizes=((448, 384),),
    portraits=0,
    pattern_strength=0.02,
    pattern_spread=0,
)
NUM = 9


@pytest.fixture(scope="module")
def walls():
    return [
        [phone.photograph("background", number) for number in range(NUM + 3)]
        for phone in phones(SETTINGS, seed=12)
    ]


@pytest.fixture
def folder(walls, tmp_path):
    """A folder of a phone's photographs, to which others are added."""
    place = tmp_path / "mine"
    place.mkdir()
    for number, data in enumerate(walls[0][:NUM]):
        (place / f"{number}.jpg").write_bytes(data)
    return place


def added(folder, photographs, change, *, has_exif=False):
    """Add changed photographs to a folder; return their paths."""
    paths = []
    for number, data in enumerate(photographs):
        with Image.open(io.BytesIO(data)) as image:
            exif = {"exif": image.getexif()} if has_exif else {}
            path = folder / f"other-{number}.jpg"
            change(image).save(path, quality=95, **exif)
        paths.append(str(path))
    return paths


def smaller(image):
    return image.resize((320, 274))


def cropped(image):
    return image.crop((32, 48, 400, 352))


def enrolled(folder, tmp_path):
    found = enrol(Fingerprints(str(tmp_path / "db")), "mine", [str(folder)])
    names = {entry.name for entry in Fingerprints(str(tmp_path / "db")).entries()}
    assert names == {entry.name for entry in found.entries}
    return found


@pytest.mark.parametrize("change", [smaller, cropped])
def test_received_pictures_are_left_out_and_named(walls, folder, tmp_path, change):
    paths = added(folder, walls[1][:2], change)
    found = enrolled(folder, tmp_path)
    assert [entry.num_images for entry in found.entries] == [NUM]
    assert [path for path, reason in found.rejected if "received or edited" in reason] == paths
    assert any("received or edited" in words for words in found.notes)


@pytest.mark.parametrize("change", [smaller, cropped])
def test_the_device_s_own_pictures_of_another_size_are_found_by_their_pattern(
    walls, folder, tmp_path, change
):
    added(folder, walls[0][NUM:], change)
    found = enrolled(folder, tmp_path)
    assert sorted(entry.num_images for entry in found.entries) == [3, NUM]


def test_the_device_s_exif_ties_a_size_to_it(walls, folder, tmp_path):
    added(folder, walls[0][NUM:], lambda image: smaller(image).rotate(9), has_exif=True)
    assert len(enrolled(folder, tmp_path).entries) == 2


def test_many_pictures_of_another_size_and_turned_ones_are_taken_for_the_device_s(
    walls, folder, tmp_path
):
    number = int(FEW * NUM) + 1
    added(folder, walls[1][:number], smaller)
    assert len(enrolled(folder, tmp_path).entries) == 2


def test_turned_pictures_are_of_one_sensor_s_size(walls, folder, tmp_path):
    added(folder, walls[0][NUM : NUM + 1], lambda image: image.transpose(Image.Transpose.ROTATE_90))
    assert len(enrolled(folder, tmp_path).entries) == 2


def test_a_picture_that_comes_later_is_held_against_what_is_enrolled(walls, folder, tmp_path):
    enrolled(folder, tmp_path)
    late = tmp_path / "late"
    late.mkdir()
    paths = added(late, walls[1][:1], smaller)
    found = enrol(Fingerprints(str(tmp_path / "db")), "mine", [str(late)])
    assert [path for path, _ in found.rejected] == paths
    assert found.entries == ()
