import numpy as np
import pytest

from camid.evaluation.metrics import single_threshold
from camid.evaluation.published import STUDY, study_figures

BASELINES = ("lukas", "li")


@pytest.mark.parametrize("method", BASELINES)
def test_the_baselines_figures_are_those_of_one_threshold(method):
    """A knee at no false accept and 2·AUC − 1 true accepts gives their EER, AUC and crossing."""
    stated = STUDY[method]
    num_accepted = round(10000 * (2 * stated.auc - 1))
    positives = np.where(np.arange(10000) < num_accepted, 2.0, 0.0)
    scores = np.concatenate([positives, np.linspace(0, 1, 10000)])
    found = single_threshold(np.repeat([1, 0], 10000), scores, fpr=1e-5)
    assert found.auc == pytest.approx(stated.auc, abs=1e-4)
    assert found.eer == pytest.approx(stated.eer, abs=1e-4)
    assert found.crossing == pytest.approx(stated.crossing, abs=1e-3)
    assert found.eer + found.auc == 1


def test_what_the_study_does_not_state_is_no_figure():
    assert study_figures("lukas")["study_rank1"] == 0.9191
    assert "study_rank1" not in study_figures("siamese")
    assert study_figures("classical") == {}
