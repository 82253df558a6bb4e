import pytest

from camid.cases.checks import problems
from camid.cases.fingerprints import Fingerprints
from camid.cases.sums import EnrolledImage, Sample, Sums
from camid.config import Simulate
from camid.images import pixels
from camid.simulate import phones

SETTINGS = Simulate(
    num_devices=3,
    num_models=2,
    sizes=((320, 320),),
    portraits=0,
    pattern_strength=0.02,
    pattern_spread=0,
    kinship=(0, 0),
)
NUM = 12


@pytest.fixture(scope="module")
def taken():
    """Return what images of each phone add; the first and the third are of one model."""
    return [
        [Sample.of(pixels(phone.photograph("background", n))) for n in range(NUM)]
        for phone in phones(SETTINGS, seed=4)
    ]


def sums_of(samples, *, first=0, model="X1"):
    made = Sums.empty(*samples[0].noise.shape)
    for number, sample in enumerate(samples, first):
        made = made.plus(
            EnrolledImage(sha256=f"{number:064x}", name=f"{number}.jpg", model=model), sample
        )
    return made


@pytest.fixture
def database(tmp_path):
    return Fingerprints(str(tmp_path / "db"))


def test_devices_of_one_model_that_share_nothing_are_no_problem(database, taken):
    database.write("a", sums_of(taken[0]))
    database.write("b", sums_of(taken[2], first=100))
    assert problems(database) == []


def test_a_device_under_two_names_is_found(database, taken):
    database.write("a", sums_of(taken[0][: NUM // 2]))
    database.write("b", sums_of(taken[0][NUM // 2 :], first=100))
    (found,) = problems(database)
    assert found.startswith("a/320x320 and b/320x320: their patterns agree by 0.")
    assert found.endswith("is it enrolled under two names?")


def test_patterns_are_compared_where_models_may_be_one(database, taken):
    first, second = taken[0][: NUM // 2], taken[0][NUM // 2 :]
    database.write("a", sums_of(first))
    database.write("b", sums_of(second, first=100, model="Z9"))
    assert problems(database) == []
    database.write("b", sums_of(second, first=100, model=""))
    assert len(problems(database)) == 1


def test_a_device_s_lenses_may_agree(database, taken):
    database.write("a", sums_of(taken[0][: NUM // 2]), lens="wide")
    database.write("a", sums_of(taken[0][NUM // 2 :], first=100), lens="tele")
    assert problems(database) == []


def test_what_a_model_s_devices_share_is_told_from_a_device_of_two_names(database, tmp_path):
    kin = SETTINGS.__class__(**{**vars(SETTINGS), "kinship": (0.45, 0.45)})
    for name, phone in zip("abc", phones(kin, seed=4), strict=True):
        images = [Sample.of(pixels(phone.photograph("background", n))) for n in range(NUM)]
        database.write(name, sums_of(images, first=100 * ord(name)))
    (found,) = problems(database)
    assert found.startswith("a/320x320 and c/320x320: ")
    assert found.endswith("they share an artefact")


def test_an_image_of_two_devices_is_found(database, taken):
    database.write("a", sums_of(taken[0][:4]))
    database.write("b", sums_of(taken[1][:4], first=3, model="Z9"))
    (found,) = problems(database)
    assert found.startswith("a/320x320 and b/320x320: 1 of their images is the same")


def test_a_damaged_file_is_named_and_the_others_are_checked(database, taken):
    entries = [database.write(name, sums_of(taken[0][:3])) for name in "ab"]
    data = bytearray(database.folder.read(entries[0].file))
    data[len(data) // 2] ^= 1
    database.folder.write(entries[0].file, bytes(data))
    database.folder.write("device=c/10x10.parquet", b"no parquet")
    found = problems(database)
    assert len(found) == 2
    assert "device=c/10x10.parquet" in found[0]
    assert entries[0].file in found[1]
    assert "enrol the device again" in found[1]
