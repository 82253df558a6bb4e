import math
import tracemalloc
from itertools import combinations

import numpy as np
import pytest

from camid.casework import database_check
from camid.casework.database import STEP, Fingerprints
from camid.casework.database_check import ONE_DEVICE, SHARED, Middles, problems
from camid.casework.database_entry import Entry
from camid.casework.fingerprint_sums import EnrolledImage, Sample, Sums
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.dataset.simulate.artefacts import ARTEFACTS
from camid.io.images import pixels
from camid.prnu.correlation import ncc
from camid.prnu.residual import quantised, restored

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


def sums_of(samples, *, first=0, step=1, model="X1"):
    """Return sums of images that are numbered by a step; if it is even, one half has none."""
    made = Sums.empty(*samples[0].noise.shape)
    for number, sample in zip(range(first, 10**6, step), samples, strict=False):
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


def test_patterns_are_compared_whatever_their_models_and_of_many_where_models_may_be_one(
    database, taken, monkeypatch
):
    first, second = taken[0][: NUM // 2], taken[0][NUM // 2 :]
    database.write("a", sums_of(first))
    database.write("b", sums_of(second, first=100, model="Z9"))
    assert len(problems(database)) == 1
    monkeypatch.setattr(database_check, "TILE", 1)
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
    (tiles, found) = problems(database)
    assert tiles.startswith("b/320x320: its pattern repeats every 32 px")
    assert found.startswith("a/320x320 and c/320x320: ")
    assert "they share an artefact, " in found


@pytest.mark.parametrize(
    ("name", "place"), [("watermark", "within the "), ("noise", "all over the picture")]
)
def test_what_devices_of_any_models_share_is_named_with_its_place(database, name, place):
    for device, phone in zip("ab", phones(SETTINGS, seed=4), strict=False):
        images = (pixels(phone.photograph("background", n)) for n in range(NUM))
        samples = [Sample.of(ARTEFACTS[name](image, n)) for n, image in enumerate(images)]
        database.write(device, sums_of(samples, first=100 * ord(device), model=device))
    (found,) = problems(database)
    assert f"they share an artefact, {place}" in found


@pytest.mark.parametrize("unknown", ["a", "b", "ab"])
def test_of_entries_without_a_reliability_it_is_said_that_it_cannot_be_told(
    database, taken, unknown
):
    for name, samples in {"a": taken[0][: NUM // 2], "b": taken[0][NUM // 2 :]}.items():
        step = 2 if name in unknown else 1
        database.write(name, sums_of(samples, first=100 * ord(name), step=step))
    (found,) = problems(database)
    assert found.startswith("a/320x320 and b/320x320: their patterns agree by 0.")
    names = " and ".join(f"{name}/320x320" for name in unknown)
    has, them = ("has", "it") if len(unknown) == 1 else ("have", "them")
    assert found.endswith(
        "; whether they are one device's or share an artefact cannot be told, as "
        f"{names} {has} no measured reliability; enrol more images of {them}"
    )


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


SIDE = 96


def drawn(database):
    """Write twelve entries of five patterns and three models, some of whose images are the same."""
    rng = np.random.default_rng(2)
    patterns = rng.normal(0, 4, (5, SIDE, SIDE))
    for number in range(12):
        sums = Sums.empty(SIDE, SIDE)
        for image in range(4):
            noise = rng.normal(patterns[number % 5], 16).clip(-127, 127).astype(np.int8)
            name = image if image < number % 3 else 100 * number + image
            model = ("X1", "Z9", "")[number % 3 if number < 9 else 0]
            sums = sums.plus(
                EnrolledImage(sha256=f"{name:064x}", name=f"{name}.jpg", model=model),
                Sample(noise, np.full((SIDE, SIDE), 128, np.uint8)),
            )
        device = f"d{number // 2 if number < 4 else number}"
        database.write(device, sums, lens=("", "tele")[number % 2])


def plain_problems(database, *, tile):
    """Return sentences on all pairs, one after the other."""
    images, patterns = [], []
    for first, second in combinations(database.entries(), 2):
        if first.device == second.device:
            continue
        both = f"{first.name} and {second.name}: "
        if count := len(set(first.sha256s) & set(second.sha256s)):
            are, them = ("is", "it") if count == 1 else ("are", "them")
            images.append(
                f"{both}{count} of their images {are} the same; one of the devices did not take "
                f"{them}"
            )
        agreed = ncc(database.pattern(first), database.pattern(second))
        are_few = len(database.entries()) <= tile
        may_be_one = are_few or len({first.model, second.model} - {""}) < 2
        if may_be_one and agreed * SIDE >= SHARED:
            known = [2 * one.split_half / (1 + one.split_half) for one in (first, second)]
            is_one = agreed > ONE_DEVICE * math.sqrt(known[0] * known[1])
            patterns.append(f"{both}their patterns agree by {agreed:.4f}{is_one}")
    return [*images, *patterns]


@pytest.mark.parametrize(("tile", "memory"), [(1, 2**28), (3, 2**28), (5, 2**14), (12, 2**16)])
def test_entries_that_are_compared_many_at_once_have_the_problems_of_all_pairs(
    database, monkeypatch, tile, memory
):
    drawn(database)
    monkeypatch.setattr(database_check, "TILE", tile)
    monkeypatch.setattr(database_check, "MEMORY", memory)
    expected = plain_problems(database, tile=tile)
    assert sum("agree" in words for words in expected) > 5
    assert sum("images" in words for words in expected) > 5
    found = [
        words.replace(", as those of one device do; is it enrolled under two names?", "True")
        for words in problems(database)
    ]
    assert found == expected


class Counted(Fingerprints):
    """A database that counts how often each pattern is read."""

    def pattern(self, entry):
        self.read.append(entry.name)
        return super().pattern(entry)


def test_each_pattern_is_read_once_and_what_is_done_is_told(database, monkeypatch):
    drawn(database)
    monkeypatch.setattr(database_check, "TILE", 2)
    counted, told = Counted(database.uri), []
    object.__setattr__(counted, "read", [])
    problems(counted, tell=told.append)
    names = [entry.name for entry in database.entries()]
    assert counted.read == names
    assert told[:12] == [f"{n} of 12 fingerprints: {name}" for n, name in enumerate(names, 1)]
    assert "comparing 2 patterns of 96x96 px with 2" in told[12:]


def entry_of(name, height, width):
    return Entry(
        device=name,
        make="",
        model="",
        lens="",
        width=width,
        height=height,
        sha256s=(),
        split_half=math.nan,
        warnings=(),
    )


def stored(rng, shape):
    """Return a pattern as it comes from its file."""
    return restored(quantised(rng.standard_normal(shape, np.float32), step=STEP), step=STEP)


@pytest.mark.parametrize("shape", [(60, 70), (1100, 1030)])
@pytest.mark.parametrize("memory", [2**12, 2**28])
def test_agreements_are_normalised_correlations(monkeypatch, shape, memory):
    monkeypatch.setattr(database_check, "MEMORY", memory if shape[0] == 60 else 2**11 * memory)
    rng = np.random.default_rng(3)
    common = rng.standard_normal(shape, np.float32)
    patterns = [stored(rng, shape) + np.float32(STEP) for _ in range(3)]
    patterns += [
        np.clip(np.rint((common + p) / STEP), -127, 127) * np.float32(STEP) for p in patterns
    ]
    patterns += [np.full(shape, 3, np.float32), np.zeros(shape, np.float32)]
    entries = [entry_of(str(number), *shape) for number in range(len(patterns))]
    top, left = (max(0, (side - database_check.CENTRE) // 2) for side in shape)
    middles = [
        p[top : top + database_check.CENTRE, left : left + database_check.CENTRE] for p in patterns
    ]
    plain = np.array([[ncc(a, b) for b in middles] for a in middles])
    with Middles() as kept:
        for entry, pattern in zip(entries, patterns, strict=True):
            kept.keep(entry, pattern)
        found = kept.agreements(entries, entries)
        apart = kept.agreements(entries[:2], entries[2:])
    np.testing.assert_allclose(found, plain, atol=1e-6)
    np.testing.assert_allclose(apart, plain[:2, 2:], atol=1e-6)


def test_no_more_middles_are_in_memory_than_are_allowed(monkeypatch):
    monkeypatch.setattr(database_check, "MEMORY", 2**20)
    rng = np.random.default_rng(4)
    entries = [entry_of(str(number), 256, 256) for number in range(48)]
    pattern = stored(rng, (256, 256))
    with Middles() as kept:
        tracemalloc.start()
        for entry in entries:
            kept.keep(entry, pattern)
        kept.agreements(entries, entries)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(entries) * 256 * 256 > 2 * database_check.MEMORY
    assert most < 1.5 * database_check.MEMORY
