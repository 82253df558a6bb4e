import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from camid.casework.alignment import View, heat, resampled, search
from camid.casework.false_alarm import evidence_energy, log_false_alarm
from camid.casework.query import THRESHOLD
from camid.casework.transforms import (
    ANGLE_STEP,
    TURNS,
    Hypothesis,
    edits,
    finer,
    hypotheses,
    scales_for,
)
from camid.prnu.correlation import false_alarm_probability, ncc, pce

SHAPE = 240, 320
ENERGIES = st.floats(-50, 1e6)
COUNTS = st.integers(1, 10**12)


@pytest.fixture(scope="module")
def pattern():
    return np.random.default_rng(1).standard_normal(SHAPE, np.float32)


def noisy(plane, noise, seed=2):
    drawn = np.random.default_rng(seed).standard_normal(plane.shape, np.float32)
    return np.asarray(plane + np.float32(noise) * drawn, np.float32)


def test_a_whole_image_has_the_pce_and_the_correlation_of_matching(pattern):
    query = noisy(pattern, 10)
    match = search(query, pattern, tried=[Hypothesis(0, 1.0)])
    assert match.num_lags == 1
    assert match.pce == pytest.approx(pce(pattern, query).pce, rel=1e-4)
    assert match.ncc == pytest.approx(ncc(pattern, query), abs=1e-3)


@pytest.mark.parametrize("turn", TURNS)
def test_the_turn_and_place_of_a_cropped_image_are_found(pattern, turn):
    crop = pattern[41:161, 57:250]
    match = search(noisy(np.rot90(crop, -(turn // 90)), 6), pattern)
    assert (match.turn, match.scale, match.top, match.left) == (turn, 1.0, 41, 57)
    assert match.false_alarm < 1e-6


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.5, 2.0])
@pytest.mark.parametrize("turn", [0, 270])
def test_the_scale_of_a_resized_image_is_found(pattern, scale, turn):
    made = resampled(pattern, (round(SHAPE[0] * scale), round(SHAPE[1] * scale)))
    match = search(noisy(np.rot90(made, -(turn // 90)), 1.5), pattern)
    assert (match.turn, match.scale, match.top, match.left) == (turn, scale, 0, 0)


@pytest.mark.parametrize("scale", [0.7, 1.5])
def test_the_place_of_an_image_resized_and_cropped_is_found_to_a_pixel(pattern, scale):
    made = resampled(pattern, (round(SHAPE[0] * scale), round(SHAPE[1] * scale)))
    match = search(noisy(made[31:-20, 45:-37], 1), pattern)
    assert match.scale == scale
    assert match.top == pytest.approx(31 / scale, abs=1)
    assert match.left == pytest.approx(45 / scale, abs=1)


@pytest.mark.parametrize("turn", TURNS)
def test_a_mirrored_image_is_found_and_its_map_lies_as_the_image_does(pattern, turn):
    made = np.rot90(pattern, -(turn // 90))[:, ::-1]
    query = noisy(made, 3)
    half = query.shape[0] // 2
    query[half:] = noisy(np.zeros_like(query[half:]), 3, seed=9)
    pool = edits(query.shape, SHAPE, scales=[1.0])
    match = search(query, pattern, tried=pool)
    assert match.hypothesis.is_mirrored
    cells = heat(query, pattern, match, cell=40)
    assert cells[: half // 40].mean() > 5
    assert abs(cells[-(half // 40) :].mean()) < 1


def test_a_squeezed_image_is_found(pattern):
    made = resampled(pattern, (SHAPE[0], round(0.9 * SHAPE[1])))
    pool = edits(made.shape, SHAPE, scales=[1.0])
    match = search(noisy(made, 2), pattern, tried=pool)
    assert (match.is_stretched, match.is_mirrored, match.turn) == (True, False, 0)


def test_what_an_editor_does_is_tried_beside_what_cameras_do_and_not_twice():
    for query in (SHAPE, SHAPE[::-1], (220, 300), (200, 340)):
        scales = scales_for(query, SHAPE)
        edited = edits(query, SHAPE, scales=scales)
        assert all(hypothesis.is_edited for hypothesis in edited)
        assert len(set(edited)) == len(edited)
        assert not set(edited) & set(hypotheses(query, SHAPE))
    assert not any(hypothesis.is_stretched for hypothesis in edits(SHAPE, SHAPE, scales=[1.0]))


def test_between_two_angles_finer_ones_are_tried():
    (first, *_, last) = finer(Hypothesis(0, 1.0, angle=1.0))
    assert (first.angle, last.angle) == (1 - ANGLE_STEP / 2, 1 + ANGLE_STEP / 2)


def test_agreement_that_repeats_is_no_sensor_s(pattern):
    tile = np.random.default_rng(5).standard_normal((64, 64), np.float32)
    tiles = np.tile(tile, (4, 5))[: SHAPE[0], : SHAPE[1]]
    shared = search(noisy(tiles, 3), noisy(tiles, 3, seed=4), tried=[Hypothesis(0, 1.0)])
    alone = search(noisy(pattern, 3), noisy(pattern, 3, seed=4), tried=[Hypothesis(0, 1.0)])
    both = search(
        noisy(pattern + tiles, 3), noisy(pattern + tiles, 3, seed=4), tried=[Hypothesis(0, 1.0)]
    )
    assert shared.pce < 0.1 * alone.pce
    assert both.pce > THRESHOLD


def test_an_image_that_reaches_beyond_an_entry_is_found(pattern):
    match = search(noisy(pattern, 6), pattern[30:150, 40:])
    assert (match.turn, match.scale, match.top, match.left) == (0, 1.0, -30, -40)


def test_an_image_that_rounding_made_a_pixel_short_is_compared_as_a_whole(pattern):
    one = Hypothesis(0, 0.3)
    assert one.shapes((72, 95), SHAPE) == ((72, 95), (72, 95))
    assert one.num_lags((72, 95), SHAPE) == 1


def test_scales_hold_one_and_what_the_sizes_imply():
    found = scales_for((2000, 1500), (3024, 4032))
    assert found[0] == 1
    for ratio in (2000 / 3024, 2000 / 4032, 1500 / 3024, 1500 / 4032):
        assert min(abs(scale / ratio - 1) for scale in found) < 1e-3


def test_the_ratio_of_both_sides_comes_before_those_of_one():
    assert scales_for((1331, 998), (3024, 4032))[1] == pytest.approx(0.33, rel=1e-3)


def test_the_number_of_threads_changes_nothing(pattern):
    query = noisy(pattern[20:, :-17], 6)
    assert search(query, pattern, num_threads=1) == search(query, pattern, num_threads=2)


def test_views_that_keep_their_spectra_change_nothing(pattern):
    query = noisy(pattern[20:, :-17], 6)
    views = View(query, keep=8), View(pattern, keep=8)
    assert search(*views) == search(*views) == search(query, pattern)


def test_strangers_false_alarms_are_as_rare_as_they_say():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        query = rng.standard_normal((50, 70), np.float32)
        entry = rng.standard_normal((80, 96), np.float32)
        found.append(search(query, entry, tried=hypotheses((50, 70), (80, 96), scales=[1.0])))
    assert kstest([match.false_alarm for match in found], "uniform").pvalue > 1e-3
    energies = np.array([match.energy for match in found])
    assert np.mean(energies > 2.706) == pytest.approx(0.05, abs=0.03)  # of one normal lag


def blocky(rng, height, width):
    """Return noise and, in every block of 8 pixels, so much of one cosine as JPEG may leave."""
    cosine = np.cos(np.pi * (np.arange(8) + 0.5) * 3 / 8)
    amounts = rng.standard_normal((height // 8, width // 8))
    made = np.kron(amounts, np.outer(cosine, cosine))
    return (made + rng.standard_normal((height, width))).astype(np.float32)


@pytest.mark.parametrize("shape", [(176, 240), (96, 120)])
def test_strangers_blocks_make_no_false_alarm(shape):
    """Noise of all lags alone would find one in three of these strangers rarer than 1 in 100."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(200):
        query, entry = blocky(rng, *shape), blocky(rng, 176, 240)
        every = hypotheses(query.shape, entry.shape, scales=[1.0])
        found.append(search(query, entry, tried=every))
    assert np.mean([match.false_alarm < 0.01 for match in found]) < 0.05


@given(ENERGIES, COUNTS, COUNTS)
def test_more_lags_never_make_a_false_alarm_rarer(energy, few, more):
    few, more = sorted((few, more))
    assert log_false_alarm(energy, num_lags=more) >= log_false_alarm(energy, num_lags=few) - 1e-9
    one, other = (evidence_energy(energy, num_lags=k) for k in (few, more))
    assert other <= one + 1e-6 * max(1, abs(one))


@given(st.floats(-5, 1e6), COUNTS)
def test_one_lag_with_the_evidence_s_energy_is_as_rare_as_the_search(energy, num_lags):
    chance = log_false_alarm(energy, num_lags=num_lags)
    alone = log_false_alarm(evidence_energy(energy, num_lags=num_lags), num_lags=1)
    assert alone == pytest.approx(chance, rel=1e-6, abs=1e-12)


@given(st.floats(-5, 1000), COUNTS)
def test_the_logarithm_is_that_of_matching_where_a_float_can_tell(energy, num_lags):
    plain = false_alarm_probability(energy, num_lags=num_lags)
    assert np.exp(log_false_alarm(energy, num_lags=num_lags)) == pytest.approx(plain, rel=1e-6)


def test_a_search_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one lag, got num_lags=0"):
        evidence_energy(60, num_lags=0)


def test_heat_shows_where_in_the_image_as_it_is_seen_the_pattern_is(pattern):
    half = noisy(np.zeros_like(pattern), 1)
    half[:, 160:] += pattern[:, 160:]
    seen = np.ascontiguousarray(np.rot90(half, 1))  # what was right is above
    match = search(seen, pattern)
    cells = heat(seen, pattern, match, cell=40)
    assert match.turn == 270
    assert cells.shape == (8, 6)
    assert cells[:4].min() > 10
    assert abs(cells[4:].mean()) < 1
    assert cells[4:].std() == pytest.approx(1, abs=0.4)


def test_heat_of_what_lies_beyond_the_pattern_is_zero(pattern):
    query = noisy(pattern, 2)
    match = search(query, pattern[:, 80:])
    cells = heat(query, pattern[:, 80:], match, cell=40)
    assert not cells[:, :2].any()
    assert cells[:, 2:].min() > 5
