import numpy as np
import pytest
from scipy.stats import norm

from camid.cases import shortlist
from camid.cases.identify import FLOOR
from camid.cases.shortlist import STEP, Named, Patterns, Sketches, digest, refresh, rows
from camid.folder import Folder

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
    monkeypatch.setattr(shortlist, "PIECE", 2 * 8 * len(digest(planes(1)[0])))
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


def test_each_pixel_size_has_a_file_and_loses_it_with_its_last_entry(folder):
    both = Patterns({"a": planes(1)[0], "b": planes(1, shape=(50, 60))[0]})
    refresh(both, folder)
    assert set(files(folder)) == {"digests/131x90.bits", "digests/60x50.bits"}
    refresh(Patterns({"a": planes(1)[0]}), folder)
    assert set(files(folder)) == {"digests/131x90.bits"}


def test_of_a_large_pattern_the_middle_is_taken(monkeypatch):
    monkeypatch.setattr(shortlist, "MOST_SAMPLES", 40 * SHAPE[1])
    pattern, query = planes(2)
    outside = query.copy()
    outside[:20] = outside[-20:] = 9
    first, second = Sketches.of([query, outside]).scores(digest(pattern))
    assert first == second
    assert len(digest(pattern)) == -(-40 * SHAPE[1] // 64)


def test_a_name_and_its_photographs_make_a_key():
    base = Named("a", 10, 20, ("1", "2"))
    assert shortlist.entry_key(base) == shortlist.entry_key(Named("a", 10, 20, ("2", "1")))
    for other in (Named("b", 10, 20, ("1", "2")), Named("a", 10, 20, ("1",))):
        assert shortlist.entry_key(base) != shortlist.entry_key(other)
