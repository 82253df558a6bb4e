"""What reference devices scored, as it is kept, read, shipped and told."""

import json
import re
from importlib import resources

import numpy as np
import pytest

from camid.casework.quality import GRADES
from camid.casework.reference_population import (
    IDENTIFICATION_FILE,
    NUM_QUANTILES,
    VERIFICATION_FILE,
    Reference,
    quantiles,
    reference,
    shipped_reference,
)
from camid.evaluation.calibration import Logistic

TOLD = Reference(
    made_of="two cameras",
    num_devices=2,
    num_positives=3,
    num_negatives=4,
    positives=(1.0, 2.0),
    negatives=(-1.0, 0.5),
    same_model=(-0.5, 0.25),
    num_same_model=2,
    calibrator=Logistic(slope=1, intercept=-1, low=-2, high=2),
    grades={"A": {"count": 3, "unanswered": 1, "wrong": 0, "stranger_count": 3}},
)
COUNTS = ("count", "unanswered", "wrong", "stranger_count", "stranger_named")


def kept(told):
    return json.loads(json.dumps(told.facts()))


def test_what_is_kept_is_read_as_it_was():
    assert reference(kept(TOLD)) == TOLD


def test_facts_without_two_of_one_model_are_read_too():
    facts = kept(TOLD)
    del facts["same_model"], facts["num_same_model"]
    told = reference(facts)
    assert (told.same_model, told.num_same_model) == ((), 0)
    assert told.negatives == TOLD.negatives


@pytest.mark.parametrize("name", ["positives", "negatives", "num_devices", "calibrator"])
def test_facts_that_lack_something_are_refused(name):
    facts = kept(TOLD)
    del facts[name]
    with pytest.raises(ValueError, match=f"not the facts of reference devices: .*{name}"):
        reference(facts)


def test_quantiles_go_from_the_least_to_the_greatest_score(rng):
    scores = rng.standard_normal(1000)
    found = quantiles(scores)
    assert len(found) == NUM_QUANTILES
    assert list(found) == sorted(found)
    np.testing.assert_allclose([found[0], found[-1]], [scores.min(), scores.max()], rtol=1e-3)


@pytest.mark.parametrize("name", [IDENTIFICATION_FILE, VERIFICATION_FILE])
def test_shipped_references_have_more_comparisons_of_two_devices_than_of_two_of_one_model(name):
    told = shipped_reference(name)
    assert told.num_devices > 1
    assert told.num_negatives > told.num_same_model
    assert bool(told.same_model) == bool(told.num_same_model)


def test_scores_of_two_of_one_model_are_among_those_of_two_devices():
    told = shipped_reference(IDENTIFICATION_FILE)
    assert told.negatives[0] <= told.same_model[0]
    assert told.same_model[-1] <= told.negatives[-1]


def test_every_photograph_of_the_reference_has_a_grade_and_is_asked_with_and_without_its_device():
    told = shipped_reference(IDENTIFICATION_FILE)
    assert set(told.grades) <= set(GRADES)
    assert sum(grade["count"] for grade in told.grades.values()) == told.num_positives
    for grade in told.grades.values():
        assert set(grade) == set(COUNTS)
        assert grade["unanswered"] + grade["wrong"] <= grade["count"]
        assert grade["stranger_named"] <= grade["stranger_count"] == grade["count"]


def test_the_card_tells_the_counts_of_the_grades():
    card = (resources.files("camid.comparison.pretrained") / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| ([ABC]) \| (.+) \|$", card, re.MULTILINE)
    told = shipped_reference(IDENTIFICATION_FILE)
    assert {grade: tuple(map(int, row.split(" | "))) for grade, row in rows} == {
        grade: tuple(counts[name] for name in COUNTS if name != "stranger_count")
        for grade, counts in told.grades.items()
    }
