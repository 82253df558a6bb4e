"""What an answer warns of: input that was mixed, and what EXIF says."""

import io

import pytest
from PIL import Image

from camid.casework.database import Fingerprints
from camid.casework.enrol import enrol
from camid.casework.identify import answers
from camid.config import Simulate
from camid.dataset.simulate import phones

SETTINGS = Simulate(
    num_devices=2,
    num_models=2,
    sizes=((480, 400),),
    portraits=0,
    pattern_strength=0.02,
    pattern_spread=0,
)


def written(data, path, **tags):
    """Write a photograph with a make, a model and a software in its EXIF."""
    exif = Image.Exif()
    for name, number in (("make", 0x010F), ("model", 0x0110), ("software", 0x0131)):
        exif[number] = tags.get(name, "")
    with Image.open(io.BytesIO(data)) as image:
        image.save(path, exif=exif, quality=96)
    return str(path)


@pytest.fixture(scope="module")
def walls():
    return [
        [phone.photograph("background", number) for number in range(9)]
        for phone in phones(SETTINGS, seed=31)
    ]


@pytest.fixture
def database(walls, tmp_path):
    known = Fingerprints(str(tmp_path / "db"))
    own = [
        written(data, tmp_path / f"{n}.jpg", make="Acme", model="X1")
        for n, data in enumerate(walls[0][:8])
    ]
    other = written(walls[1][0], tmp_path / "other.jpg", make="Acme", model="X1")
    assert enrol(known, "mine", [*own, other]).rejected[0][0] == other
    return known


def warned(database, path):
    ((answer, _),) = answers(database, [path], budget=0)
    assert answer["decision"] == "mine"
    return " ".join(answer["warnings"])


def test_of_a_supported_device_it_is_said_that_its_photographs_were_mixed(
    database, walls, tmp_path
):
    path = written(walls[0][8], tmp_path / "question.jpg", make="Acme", model="X1")
    words = warned(database, path)
    assert "mixed input" in words
    assert "EXIF" not in words


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"make": "Acme", "model": "Z9"}, "its EXIF names Acme Z9, and mine is Acme X1"),
        ({"software": "Adobe Photoshop 25.0"}, "its EXIF says: written by Adobe Photoshop 25.0"),
    ],
)
def test_what_exif_says_is_a_warning_and_changes_no_figure(
    database, walls, tmp_path, tags, expected
):
    plain = written(walls[0][8], tmp_path / "plain.jpg")
    told = written(walls[0][8], tmp_path / "told.jpg", **tags)
    assert expected not in warned(database, plain)
    assert expected in warned(database, told)
    found = [answer for answer, _ in answers(database, [plain, told], budget=0)]
    assert found[0]["candidates"] == found[1]["candidates"]
