"""Trials of a search as records: which wins, what stopping saved, and what mattered."""

import numpy as np
import pytest

from camid.evaluation.report.figures import png
from camid.io.folder import Folder
from camid.training.search_figures import trials_figure
from camid.training.search_space import Domain
from camid.training.trials import (
    Trial,
    coordinate,
    importances,
    read_trials,
    savings,
    trial_rows,
    winner,
    write_trial,
)

FIGURE = "validation_auc"
RATE = Domain(field="training.learning_rate", sampler="loguniform", arguments=(1e-4, 1e-2))
KIND = Domain(field="siamese.extractor", sampler="choice", arguments=("small", "report"))
IMAGES = Domain(field="pairs.num_images", sampler="choice", arguments=([4, 4], [[1, 8], 2]))


def trial(number, *aucs, state="finished", rate=1e-3, kind="small", seconds=10.0, start=0.0):
    rows = [{"step": 10 * i, "validation_auc": auc} for i, auc in enumerate(aucs)]
    values = {RATE.field: rate, KIND.field: kind, IMAGES.field: [4, 4]}
    return Trial(
        number=number,
        values=values,
        state=state,
        validations=rows,
        seconds=seconds,
        start_seconds=start,
    )


def test_trials_are_read_as_they_were_written_by_their_numbers(tmp_path):
    folder = Folder(str(tmp_path))
    trials = [
        trial(n, 0.5, 0.7, state=s) for n, s in ((11, "stopped"), (2, "failed"), (0, "running"))
    ]
    for one in trials:
        write_trial(folder, one)
    (tmp_path / "trials/ray").mkdir()
    (tmp_path / "trials/ray/other.json").write_text("{}")
    assert read_trials(folder) == trials[::-1]
    assert all(
        isinstance(row["step"], int) for one in read_trials(folder) for row in one.validations
    )
    assert trials[0].name == "trials/00011"


def test_the_winner_is_the_finished_trial_of_the_best_validation():
    trials = [
        trial(0, 0.5, 0.7, 0.6),
        trial(1, 0.9, state="stopped"),
        trial(2, 0.5, 0.8, 0.5),
        trial(3, 0.8, 0.8),
        trial(4, 1.0, state="running"),
    ]
    assert winner(trials, figure=FIGURE).number == 2
    assert trials[2].best(FIGURE)["step"] == 10


def test_no_trial_that_finished_is_told_with_a_reason():
    lost = trial(1, state="failed")
    lost.reason = "the loss of step 3 is nan"
    with pytest.raises(ValueError, match="no trial of 2 came to its end; trial 1: the loss of st"):
        winner([trial(0, 0.5, state="stopped"), lost], figure=FIGURE)


def test_rows_have_what_was_drawn_and_the_best_comes_first():
    rows = trial_rows([trial(0), trial(1, 0.5, 0.6), trial(2, 0.9, state="stopped")], figure=FIGURE)
    assert [row["trial"] for row in rows] == [2, 1, 0]
    assert rows[0] == {
        **{"trial": 2, "state": "stopped", "steps": 0, "seconds": 10.0, FIGURE: 0.9},
        **{RATE.field: 1e-3, KIND.field: "small", IMAGES.field: [4, 4], "reason": ""},
    }


def test_what_stopping_saved_is_the_steps_that_were_not_taken():
    trials = [
        trial(0, 0.5, 0.6, 0.7, seconds=40.0),
        trial(1, 0.5, 0.6, state="stopped", seconds=15.0, start=5.0),
        trial(2, 0.5, state="failed", seconds=3.0),
    ]
    assert savings(trials, num_steps=40) == {
        **{"trials": 3, "stopped": 1, "failed": 1, "steps": 30, "steps_of_all": 120},
        **{"seconds": 58.0, "seconds_saved": pytest.approx((15.0 - 5.0) / 10 * 30)},
    }


def test_the_field_that_decides_is_the_most_important():
    rng = np.random.default_rng(3)
    rates, kinds = 10 ** rng.uniform(-4, -2, 24), rng.permutation(["small", "report"] * 12)
    by_rate = [
        trial(i, 0.5 + 0.1 * (np.log10(r) + 4), rate=float(r), kind=str(k))
        for i, (r, k) in enumerate(zip(rates, kinds, strict=True))
    ]
    by_kind = [
        trial(t.number, 0.6 + 0.3 * (t.values[KIND.field] == "small"), **_drawn(t)) for t in by_rate
    ]
    space = [RATE, KIND, IMAGES]
    for trials, field in ((by_rate, RATE.field), (by_kind, KIND.field)):
        shares = importances(trials, space, figure=FIGURE, seed=1)
        assert next(iter(shares)) == field
        assert shares[field] > 0.8
        assert shares[IMAGES.field] == 0
        assert sum(shares.values()) == pytest.approx(1)


def _drawn(one):
    return {"rate": one.values[RATE.field], "kind": one.values[KIND.field]}


def test_one_trial_tells_nothing_of_what_matters():
    shares = importances([trial(0, 0.5)], [RATE, KIND], figure=FIGURE, seed=1)
    assert shares == {RATE.field: 0.0, KIND.field: 0.0}


@pytest.mark.parametrize(
    ("domain", "value", "at"), [(RATE, 1e-3, -3.0), (KIND, "report", 1.0), (IMAGES, [4, 4], 0.0)]
)
def test_a_value_lies_at_its_logarithm_or_its_place_in_the_choice(domain, value, at):
    assert coordinate(domain, {domain.field: value}) == pytest.approx(at)


def test_a_search_s_picture_has_a_panel_a_field_and_every_trial_in_each():
    trials = [
        trial(0, 0.5, 0.7),
        trial(1, 0.6, state="stopped", rate=1e-4),
        trial(2, state="failed"),
    ]
    shares = {KIND.field: 0.75, RATE.field: 0.25, IMAGES.field: 0.0}
    drawn = trials_figure(
        trials, [RATE, KIND, IMAGES], figure=FIGURE, shares=shares, best=trials[0]
    )
    assert [panel.get_title() for panel in drawn.axes] == [
        "siamese.extractor   75%",
        "training.learning_rate   25%",
        "pairs.num_images   0%",
    ]
    for panel in drawn.axes:
        marks = {line.get_label(): line.get_xydata() for line in panel.get_lines()}
        assert marks["finished"][:, 1].tolist() == [0.7]
        assert marks["stopped"][:, 1].tolist() == [0.6]
        assert marks["best"][0].tolist() == marks["finished"][0].tolist()
    assert png(drawn)[:4] == b"\x89PNG"
