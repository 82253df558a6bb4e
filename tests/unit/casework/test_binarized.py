import os
import resource
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from scipy.stats import norm

from camid.casework import digest_cache
from camid.casework.binarized import STEP, Named, Patterns, Sketches, digest
from camid.casework.digest_cache import SEAL, refresh, rows
from camid.casework.query import FLOOR
from camid.io.folder import Folder
from tests.unit.conftest import as_nobody

SHAPE = 90, 131  # not a multiple of a word's bits


def planes(num, seed=1, shape=SHAPE):
    return list(np.random.default_rng(seed).standard_normal((num, *shape), np.float32))


class Read(Patterns):
    """Patterns that know which of them were read."""

    def __init__(self, patterns):
        super().__init__(patterns)
        self.names = []

    def pattern(self, entry, /):
        self.names.append(entry.name)
        return super().pattern(entry)


class Spoilt(Read):
    """Patterns of which one cannot be read."""

    def __init__(self, patterns, name):
        super().__init__(patterns)
        self.name = name

    def pattern(self, entry, /):
        if entry.name == self.name:
            raise ValueError(f"{self.name}: damaged")
        return super().pattern(entry)


def gallery(*seeds):
    return Read({f"device {seed}": planes(1, seed)[0] for seed in seeds})


def files(folder):
    return {name: folder.read(name) for name in folder.files()}


def found(patterns, folder):
    ordered = sorted(patterns.entries(), key=lambda entry: entry.name)
    return {entry.name: row.tobytes() for entry, row in rows(patterns, ordered, folder)}


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path))


def test_a_score_is_the_correlation_of_signs_with_four_levels():
    pattern, *queries = planes(4)
    scores = Sketches.of(queries).scores(digest(pattern))
    for query, score in zip(queries, scores, strict=True):
        levels = np.sign(query) * np.where(np.abs(query) > STEP * query.std(), 3.0, 1.0)
        plain = (levels * np.sign(pattern)).sum() / np.sqrt((levels**2).sum())
        assert score == pytest.approx(plain, rel=1e-6)


def test_strangers_scores_are_standard_normal_numbers():
    scores = [
        Sketches.of(planes(10, seed)).scores(digest(planes(1, ~seed & 1023)[0]))
        for seed in range(40)
    ]
    assert abs(np.mean(scores)) < 0.2
    assert np.std(scores) == pytest.approx(1, abs=0.1)


def test_of_a_match_at_the_field_s_threshold_hardly_any_is_lost():
    """By pattern strength: what is expected of the energy that is left, and what is found."""
    rng, num_draws, lost = np.random.default_rng(5), 400, {}
    left = 2 / np.pi * 0.8812  # signs, and four levels
    for energy in (15, 30, 60, 120):
        scores = []
        for pattern in rng.standard_normal((num_draws, 64, 80), np.float32):
            noise = rng.standard_normal(pattern.shape, np.float32)
            query = noise + np.float32(np.sqrt(energy / pattern.size)) * pattern
            scores.append(Sketches.of([query]).scores(digest(pattern))[0])
        assert np.mean(scores) == pytest.approx(np.sqrt(left * energy), abs=0.25)
        lost[energy] = np.mean(np.array(scores) < FLOOR)
        expected = norm.cdf(FLOOR - np.sqrt(left * energy))
        assert lost[energy] == pytest.approx(expected, abs=0.08)
    assert lost[15] > lost[30] > lost[60]
    assert lost[60] <= 0.01
    assert lost[120] == 0


def test_digests_from_a_folder_are_those_of_the_patterns(folder):
    entries = gallery(1, 2, 3)
    refresh(entries, folder)
    plain = found(gallery(1, 2, 3), None)
    entries.names.clear()
    assert found(entries, folder) == plain
    assert entries.names == []


def test_digests_that_are_read_piece_by_piece_are_the_same(folder, monkeypatch):
    refresh(gallery(1, 2, 3, 4, 5), folder)
    monkeypatch.setattr(digest_cache, "PIECE", 2 * 8 * (len(digest(planes(1)[0])) + SEAL))
    assert found(gallery(1, 2, 3, 4, 5), folder) == found(gallery(1, 2, 3, 4, 5), None)


def test_only_entries_that_changed_are_read_again(folder):
    refresh(gallery(1, 2, 3), folder)
    entries = Read({f"device {seed}": planes(1, 7 if seed == 2 else seed)[0] for seed in range(4)})
    refresh(entries, folder)
    assert sorted(entries.names) == ["device 0", "device 2"]
    entries.names.clear()
    assert found(entries, folder) == found(entries, None)
    refresh(entries, folder)
    assert len(entries.names) == 4  # for the digests without a folder alone


def test_the_same_entries_have_the_same_bytes_however_they_came(folder, tmp_path):
    for seeds in ((3,), (3, 1), (1, 2, 3)):
        refresh(gallery(*seeds), folder)
    other = Folder(str(tmp_path / "other"))
    refresh(gallery(2, 3, 1), other)
    assert files(other) == {
        name: data for name, data in files(folder).items() if "other" not in name
    }


def test_entries_that_the_folder_lacks_are_read(folder):
    refresh(gallery(1, 2), folder)
    entries = gallery(1, 2, 3)
    assert found(entries, folder) == found(gallery(1, 2, 3), None)
    assert entries.names == ["device 3"]


@pytest.mark.parametrize("spoil", [lambda data: data[:-9], lambda _: b"?" * 100, lambda _: b""])
def test_a_file_that_is_cut_off_or_none_of_ours_is_made_again(folder, spoil):
    refresh(gallery(1, 2), folder)
    whole = files(folder)
    (name,) = whole
    folder.write(name, spoil(whole[name]))
    assert found(gallery(1, 2), folder) == found(gallery(1, 2), None)
    refresh(gallery(1, 2), folder)
    assert files(folder) == whole


def changed(data, rng, how):
    """Return a file of digests of three entries that is as long, its rows changed in a way."""
    row = 8 * (len(digest(planes(1)[0])) + SEAL)
    start = len(data) - 3 * row
    octets = np.frombuffer(data, np.uint8).copy()
    middle = octets[start + row : start + 2 * row]
    match how:
        case "a bit":
            middle[rng.integers(row)] ^= 1 << rng.integers(8)
        case "the highest bit of all words":
            middle[7::8] ^= 128
        case "random bits":
            middle[: row - 8 * SEAL] = rng.integers(0, 256, row - 8 * SEAL)
        case "zeros":
            middle[:] = 0
        case "another's":
            middle[:] = octets[start : start + row]
        case "moved by a word":
            middle[: row - 8 * SEAL] = np.roll(middle[: row - 8 * SEAL], 8)
    return octets.tobytes()


@pytest.mark.parametrize(
    "how",
    [
        *["a bit"] * 8,
        *("the highest bit of all words", "random bits", "zeros", "another's", "moved by a word"),
    ],
)
def test_bits_that_changed_are_noticed_and_made_anew(folder, how, request):
    refresh(gallery(1, 2, 3), folder)
    whole = files(folder)
    ((name, data),) = whole.items()
    rng = np.random.default_rng(list(request.node.name.encode()))
    folder.write(name, changed(data, rng, how))
    entries = gallery(1, 2, 3)
    assert found(entries, folder) == found(gallery(1, 2, 3), None)
    assert entries.names == ["device 2"]
    assert refresh(entries, folder) == ""
    assert entries.names == ["device 2"] * 2
    assert files(folder) == whole


@pytest.mark.parametrize("seed", range(16))
def test_a_changed_byte_anywhere_in_a_file_changes_no_digest(folder, seed):
    refresh(gallery(1, 2, 3), folder)
    ((name, data),) = files(folder).items()
    rng = np.random.default_rng(seed)
    for place in [*rng.integers(0, 500, 8), *rng.integers(0, len(data), 2)]:
        spoilt = bytearray(data)
        spoilt[place] ^= rng.integers(1, 256)
        folder.write(name, bytes(spoilt))
        assert found(gallery(1, 2, 3), folder) == found(gallery(1, 2, 3), None)


@pytest.mark.parametrize("num_words", [0, 1, 3, 4, 5, 183, 184])
def test_a_seal_is_made_of_xxhash_s_rounds_in_four_lanes(num_words):
    rng = np.random.default_rng(num_words)
    words, start = (rng.integers(0, 2**64, num, np.uint64) for num in (num_words, 4))
    lanes = [int(lane) for lane in start]
    for number, word in enumerate(words):
        state = (lanes[number % 4] + int(word) * 0xC2B2AE3D27D4EB4F) % 2**64
        state = (state << 31 | state >> 33) % 2**64
        lanes[number % 4] = state * 0x9E3779B185EBCA87 % 2**64
    assert digest_cache._seal(words, start).tolist() == lanes


def test_a_file_that_is_cut_off_while_it_is_read_loses_no_entry(folder, monkeypatch):
    entries = Read({name: planes(1, ord(name), (400, 500))[0] for name in "abcd"})
    plain = found(entries, None)
    refresh(entries, folder)
    entries.names.clear()
    ((name, data),) = files(folder).items()
    monkeypatch.setattr(digest_cache, "PIECE", 1)
    reading = rows(entries, entries.entries(), folder)
    read = {"a": next(reading)[1].tobytes()}
    os.truncate(f"{folder.local_path}/{name}", len(data) * 5 // 8)
    read |= {entry.name: row.tobytes() for entry, row in reading}
    assert read == plain
    assert entries.names == ["c", "d"]


def test_an_entry_whose_pattern_cannot_be_read_is_left_out_until_it_can(folder):
    patterns = {f"device {seed}": planes(1, seed)[0] for seed in (1, 2, 3)}
    spoilt = Spoilt(patterns, "device 2")
    assert refresh(spoilt, folder) == ""
    before = files(folder)
    spoilt.names.clear()
    plain = found(gallery(1, 3), None)
    assert found(spoilt, None) == found(spoilt, folder) == plain
    assert refresh(spoilt, folder) == ""
    assert files(folder) == before
    assert spoilt.names == ["device 1", "device 3"]  # without a folder
    whole = Read(patterns)
    assert found(whole, folder) == found(whole, None)
    refresh(whole, folder)
    whole.names.clear()
    assert found(whole, folder) == found(Read(patterns), None)
    assert whole.names == []


def test_refreshing_leaves_alone_what_another_one_is_writing(folder):
    place = Path(folder.local_path) / "digests"
    entries = gallery(1, 2)
    refresh(entries, folder)
    for name in ("131x90.bits.1.part", "9x9.bits.2.part", "9x9.bits", "notes.txt"):
        (place / name).write_bytes(b"x")
    old = place / "9x9.bits.3.part"
    old.write_bytes(b"x")
    os.utime(old, (1, old.stat().st_mtime - 2 * digest_cache.ABANDONED))
    assert refresh(entries, folder) == ""
    assert {path.name for path in place.iterdir()} == {
        "131x90.bits",
        "131x90.bits.1.part",
        "9x9.bits.2.part",
        "notes.txt",
    }


def test_of_two_refreshes_at_once_none_fails(folder):
    class Interrupted(Read):
        """Patterns during the first reading of which another one comes and goes."""

        def pattern(self, entry, /):
            if not self.names:
                assert refresh(gallery(1, 2, 3), folder) == ""
            return super().pattern(entry)

    slow = Interrupted({f"device {seed}": planes(1, seed)[0] for seed in (1, 2)})
    assert refresh(slow, folder) == ""
    assert set(files(folder)) == {"digests/131x90.bits"}
    assert found(slow, folder) == found(gallery(1, 2), None)


@pytest.mark.parametrize("kept", [(), (1, 2), (1, 2, 3)])
def test_a_folder_that_may_not_be_written_is_asked_all_the_same(kept):
    with TemporaryDirectory(dir="/tmp") as place:
        folder = Folder(place)
        if kept:
            refresh(gallery(*kept), folder)
            Path(place, "digests").chmod(0o555)
        Path(place).chmod(0o555)
        before = files(folder)
        with as_nobody():
            told = refresh(gallery(1, 2, 3), folder)
            assert found(gallery(1, 2, 3), folder) == found(gallery(1, 2, 3), None)
        reason = "digests cannot be kept, so that questions take longer: permission denied"
        assert told == ("" if kept == (1, 2, 3) else f"{place}: {reason}")
        assert files(folder) == before
        for path in (place, f"{place}/digests"):
            if Path(path).exists():
                Path(path).chmod(0o755)


@contextmanager
def files_of_at_most(num_bytes):
    """Let no file grow larger, which is told as a full disk is."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_and_the_question_goes_on(folder):
    entries = gallery(1, 2, 3)
    with files_of_at_most(3000):
        told = refresh(entries, folder)
        assert found(entries, folder) == found(entries, None)
    assert told.startswith(f"{folder.uri}: digests cannot be kept, so that questions take longer")
    assert told.endswith(": cannot be written: file too large; make room and run again")
    assert files(folder) == {}
    assert refresh(entries, folder) == ""


def test_each_pixel_size_has_a_file_and_loses_it_with_its_last_entry(folder):
    both = Patterns({"a": planes(1)[0], "b": planes(1, shape=(50, 60))[0]})
    refresh(both, folder)
    assert set(files(folder)) == {"digests/131x90.bits", "digests/60x50.bits"}
    refresh(Patterns({"a": planes(1)[0]}), folder)
    assert set(files(folder)) == {"digests/131x90.bits"}


def test_of_a_large_pattern_the_middle_is_taken(monkeypatch):
    monkeypatch.setattr("camid.casework.binarized.MOST_SAMPLES", 40 * SHAPE[1])
    pattern, query = planes(2)
    outside = query.copy()
    outside[:20] = outside[-20:] = 9
    first, second = Sketches.of([query, outside]).scores(digest(pattern))
    assert first == second
    assert len(digest(pattern)) == -(-40 * SHAPE[1] // 64)


def test_a_name_and_its_photographs_make_a_key():
    base = Named("a", 10, 20, ("1", "2"))
    assert digest_cache.entry_key(base) == digest_cache.entry_key(Named("a", 10, 20, ("2", "1")))
    for other in (Named("b", 10, 20, ("1", "2")), Named("a", 10, 20, ("1",))):
        assert digest_cache.entry_key(base) != digest_cache.entry_key(other)
