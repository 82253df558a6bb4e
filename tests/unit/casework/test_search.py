import numpy as np
import pytest

from camid.casework.alignment import query_plane, resampled, search
from camid.casework.binarized import Patterns
from camid.casework.digest_cache import refresh
from camid.casework.query import THRESHOLD
from camid.casework.search import identify, rankings
from camid.casework.transforms import Hypothesis
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.io.folder import Folder
from camid.io.images import pixels
from camid.prnu.cleaning import cleaned

SHAPES = (120, 160), (150, 200)
NUM = 12


def drawn(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def patterns(num=NUM):
    return {f"d{seed:02}": drawn(seed, SHAPES[seed % 2]) for seed in range(num)}


def planted(name, energy, *, turn=0, seed=1000):
    """Return an image that holds a pattern, with a PCE of about ``energy``."""
    pattern = np.rot90(patterns()[name], -(turn // 90))
    strength = np.float32(np.sqrt(energy / pattern.size))
    return drawn(seed, pattern.shape) + strength * pattern


def full_loop(query, known):
    """Return name and PCE of the best entry, all of them tested in full in the turns that fit."""
    found = []
    for name, pattern in known.items():
        for turn in (0, 90, 180, 270):
            one = Hypothesis(turn, 1.0)
            view, laid = one.shapes(query.shape, pattern.shape)
            if view == laid:
                found.append((search(query, pattern, tried=[one]).pce, name, turn))
    return max(found)


@pytest.fixture(scope="module")
def queries():
    crop = np.rot90(patterns()["d05"][30:130, 40:170], 1)
    small = resampled(patterns()["d07"][20:, 10:], (91, 133))
    return [
        planted("d03", 300, turn=180),
        planted("d04", 150, turn=90),
        drawn(77, SHAPES[0]),
        np.asarray(drawn(78, crop.shape) + 0.2 * crop, np.float32),
        np.asarray(0.5 * drawn(79, small.shape) + small, np.float32),
        drawn(80, (99, 101)),
    ]


def test_the_shortlist_decides_as_the_full_loop():
    known = patterns()
    for seed in range(60):
        name, turn = f"d{seed % NUM:02}", (0, 90, 180, 270)[seed % 4]
        query = planted(name, (60, 90, 150)[seed % 3], turn=turn, seed=2000 + seed)
        energy, best, at = full_loop(query, known)
        ranking = identify(query, Patterns(known), budget=0)
        if energy >= THRESHOLD:
            first = ranking.candidates[0]
            assert (first.entry, first.turn, first.pce) == (best, at, energy)
        else:
            assert all(one.pce < THRESHOLD for one in ranking.candidates)


def test_turned_images_are_found_without_a_search(queries):
    for query, name, turn in zip(queries, ("d03", "d04"), (180, 90), strict=False):
        ranking = identify(query, Patterns(patterns()))
        first = ranking.candidates[0]
        assert (first.entry, first.turn, first.top, first.left) == (name, turn, 0, 0)
        assert ranking.num_searched == ranking.num_lags == 0


def test_a_whole_image_that_was_resized_is_found_without_a_search():
    made = resampled(patterns()["d06"], (84, 112))
    ranking = identify(
        np.asarray(made + 0.5 * drawn(5, made.shape), np.float32), Patterns(patterns())
    )
    assert ranking.candidates[0].entry == "d06"
    assert ranking.candidates[0].scale == pytest.approx(0.7)
    assert ranking.num_searched == 0


def test_a_cropped_image_is_found_by_the_search(queries):
    first = identify(queries[3], Patterns(patterns())).candidates[0]
    assert (first.entry, first.turn, first.scale, first.top, first.left) == (
        "d05",
        270,
        1.0,
        30,
        40,
    )
    assert first.false_alarm < 1e-6


def test_a_cropped_and_resized_image_is_found_by_the_search(queries):
    first = identify(queries[4], Patterns(patterns())).candidates[0]
    assert (first.entry, first.scale) == ("d07", 0.7)


def test_strangers_find_no_match_and_say_how_likely_their_best_is():
    known, energies = Patterns(patterns(4)), []
    for seed in range(60):
        shape = ((120, 160), (100, 110))[seed % 2]
        ranking = identify(drawn(3000 + seed, shape), known, scales=[1.0])
        assert all(one.pce < THRESHOLD for one in ranking.candidates)
        energies.append(ranking.candidates[0].energy)
    assert np.mean(np.array(energies) > 2.706) <= 0.05 + 0.05
    assert np.mean(np.array(energies) > 0) > 0.2


def test_more_entries_never_lower_the_false_alarm_of_a_candidate():
    few, more = (identify(planted("d03", 150), Patterns(patterns(n)), budget=0) for n in (6, NUM))
    assert few.candidates[0].entry == more.candidates[0].entry == "d03"
    assert few.candidates[0].pce == more.candidates[0].pce
    assert few.candidates[0].false_alarm < more.candidates[0].false_alarm
    assert few.candidates[0].energy > more.candidates[0].energy


def test_an_answer_depends_on_no_other_image_and_no_number_of_threads(queries):
    known = Patterns(patterns())
    alone = [identify(query, known, num_threads=1) for query in queries]
    assert list(rankings(queries, known)) == alone
    assert list(rankings(queries[::-1], known, num_threads=2)) == alone[::-1]


def test_an_answer_depends_on_no_order_of_entries_and_no_digests_in_a_folder(queries, tmp_path):
    known, folder = Patterns(patterns()), Folder(str(tmp_path))
    refresh(known, folder)
    turned = Patterns(dict(reversed(patterns().items())))
    for query in queries[:3]:
        alone = identify(query, known, budget=0)
        assert identify(query, known, folder=folder, budget=0) == alone
        assert identify(query, turned, budget=0) == alone


def test_a_budget_bounds_the_search_and_what_it_leaves_is_told(queries):
    known = Patterns(patterns())
    whole = identify(queries[5], known)
    assert whole.num_left == 0
    part, less = (identify(queries[5], known, budget=budget) for budget in (2_000_000, 1_000_000))
    assert whole.num_searched > part.num_searched > less.num_searched > 0
    for ranking in (part, less):
        assert ranking.num_searched + ranking.num_left == whole.num_searched
    unsearched = identify(queries[5], known, budget=0)
    assert unsearched.num_searched == unsearched.num_lags == 0
    assert all(match.is_stretched for match in unsearched.candidates)


def test_where_nothing_is_enrolled_there_is_no_candidate(queries):
    ranking = identify(queries[0], Patterns({}))
    assert (ranking.candidates, ranking.num_aligned, ranking.num_searched) == ((), 0, 0)


def test_a_phone_s_photograph_is_found_turned_cropped_and_not_where_it_is_not_enrolled():
    settings = Simulate(
        num_devices=4,
        num_models=2,
        sizes=((320, 256),),
        portraits=0,
        pattern_strength=0.02,
        pattern_spread=0,
    )
    known, taken = {}, {}
    for number, phone in enumerate(phones(settings, seed=5)):
        planes = [query_plane(pixels(phone.photograph("background", n + 1))) for n in range(8)]
        known[f"phone {number}"] = cleaned(np.mean(planes, axis=0), whiten=True)
        taken[f"phone {number}"] = pixels(phone.photograph("background", 20))
    turned = query_plane(np.ascontiguousarray(np.rot90(taken["phone 1"])))
    crop = query_plane(taken["phone 1"][33:, 21:])
    for query, turn, top, left in ((turned, 270, 0, 0), (crop, 0, 33, 21)):
        first = identify(query, Patterns(known)).candidates[0]
        assert (first.entry, first.turn, first.top, first.left) == ("phone 1", turn, top, left)
        assert first.pce >= THRESHOLD
    without = Patterns({name: plane for name, plane in known.items() if name != "phone 1"})
    assert all(one.pce < THRESHOLD for one in identify(turned, without).candidates)
