"""A copy of an enrolled photograph agrees with the photograph, not with the sensor."""

import io

import pytest
from PIL import Image

from camid.casework.database import Fingerprints
from camid.casework.fingerprint_sums import EnrolledImage, Sample, Sums
from camid.casework.identify import answers
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.io.images import pixels

SETTINGS = Simulate(
    num_devices=2,
    num_models=1,
    sizes=((640, 480),),
    portraits=0,
    pattern_strength=0.02,
    pattern_spread=0,
)
NUM = 8
STRANGE = "f" * 64
"""The digest of the received photograph: of the second half."""


@pytest.fixture(scope="module")
def shots():
    """Return each phone's scenes."""
    return [
        [phone.photograph("foreground", number) for number in range(NUM + 3)]
        for phone in phones(SETTINGS, seed=12)
    ]


@pytest.fixture(scope="module")
def database(shots, tmp_path_factory):
    """Return a database whose device has, beside its own, a photograph that another phone took."""
    sums = Sums.empty(480, 640)
    taken = [*shots[0][:NUM], shots[1][0]]
    for number, data in enumerate(taken):
        sha256 = STRANGE if number == NUM else f"{number:064x}"
        sums = sums.plus(EnrolledImage(sha256=sha256, name=str(number)), Sample.of(pixels(data)))
    fingerprints = Fingerprints(str(tmp_path_factory.mktemp("db")))
    fingerprints.write("mine", sums)
    return fingerprints


def asked(database, image, tmp_path):
    path = tmp_path / "question.jpg"
    image.save(path, quality=92)
    ((answer, _),) = answers(database, [str(path)], budget=10**9)
    return answer


EDITS = {
    "as it is": lambda image: image,
    "cropped": lambda image: image.crop((100, 60, 600, 440)),
    "smaller": lambda image: image.resize((480, 360), Image.Resampling.LANCZOS),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_of_a_received_photograph_is_not_given_to_who_received_it(
    database, shots, tmp_path, edit
):
    with Image.open(io.BytesIO(shots[1][0])) as image:
        answer = asked(database, EDITS[edit](image), tmp_path)
    assert answer["decision"] != "mine"
    if answer["candidates"][0]["pce"] > 60:
        assert any("as a copy of one of them does" in words for words in answer["warnings"])


def test_a_cropped_copy_of_an_enrolled_photograph_is_named_one(database, shots, tmp_path):
    with Image.open(io.BytesIO(shots[0][1])) as image:
        answer = asked(database, EDITS["cropped"](image), tmp_path)
    assert any("as a copy of one of them does" in words for words in answer["warnings"])


@pytest.mark.parametrize("number", range(NUM, NUM + 3))
def test_another_photograph_of_the_device_is_no_copy(database, shots, tmp_path, number):
    with Image.open(io.BytesIO(shots[0][number])) as image:
        answer = asked(database, image, tmp_path)
    assert answer["decision"] == "mine"
    assert not any("copy" in words for words in answer["warnings"])
