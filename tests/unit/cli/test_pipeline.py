import signal
import time
from importlib import import_module

import pytest

from camid.cli.errors import one_sentence
from camid.cli.pipeline import print_results
from camid.comparison.methods import METHODS
from camid.evaluation.columns import LIST_TABLE
from camid.evaluation.published import study_figures
from camid.evaluation.result_rows import ResultRow

FIGURES = {
    "single_threshold_eer": 0.25,
    "eer": 0.1,
    "eer_low": 0.05,
    "eer_high": 0.2,
    "auc": 0.9,
    "cllr": 0.5,
}


@pytest.fixture
def printed(capsys, tmp_path):
    def lines(num_crops, **more):
        rows = [
            ResultRow(
                kind="pairs",
                method=method,
                images="4+4",
                crop_size=128,
                num_crops=num_crops,
                negatives=negatives,
                split="all",
                figures=FIGURES | more | (study_figures(method) if negatives == "all" else {}),
            )
            for method in METHODS
            for negatives in ("all", "different-model", "same-model")
        ]
        print_results(rows, LIST_TABLE, title="4+4 images", folder=str(tmp_path))
        return capsys.readouterr().out.splitlines()

    return lines


@pytest.mark.parametrize("condition", [{"num_crops": 40}, {"num_crops": None, "rank1": 0.8}])
def test_an_evaluation_fits_eighty_columns(printed, condition):
    lines = printed(**condition)
    table = [line for line in lines if line.strip().startswith(tuple(METHODS))]
    assert len(table) == 3 * len(METHODS)
    assert max(map(len, lines[:-1])) <= 80  # the last is a path
    assert "…" not in "".join(lines[:-1])


def test_what_the_study_states_is_beside_ours_once_and_its_convention_below(printed):
    lines = printed(num_crops=40)
    (lukas,) = [line for line in lines if line.startswith(" lukas ") and " all others " in line]
    assert lukas.split()[-3:] == ["0.250", "0.152", "0.089"]
    assert sum("0.152" in line for line in lines) == 1
    assert sum("Table 1 (50+1 images) has it: EER* + AUC* = 1" in line for line in lines) == 1


def test_a_package_that_is_missing_is_one_sentence_and_one_of_our_own_is_not(capsys):
    with pytest.raises(SystemExit) as ended, one_sentence():
        import_module("no_such_package.part")
    assert ended.value.code == 2
    told = "camid: the package no_such_package is not installed; `make setup` does it\n"
    assert capsys.readouterr().err == told
    with pytest.raises(ModuleNotFoundError), one_sentence():
        import_module("camid.no_such_module")


class _Deleted:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def deletes_and_works_on():
    gone = _Deleted()
    del gone
    for _ in range(600):
        time.sleep(0.1)


def test_ctrl_c_while_an_object_is_deleted_is_not_lost(capsys):
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended, one_sentence():
            deletes_and_works_on()
    finally:
        signal.signal(signal.SIGINT, kept)
    assert ended.value.code == 130
    assert "goes on where it was" in capsys.readouterr().err
