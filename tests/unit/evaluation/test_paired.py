"""Methods of several runs on the comparisons that all of them made."""

from dataclasses import replace

import numpy as np
import pytest

from camid.evaluation.labels import Compared
from camid.evaluation.paired import merged, paired_rows
from camid.evaluation.score_table import Scored

NUM_DEVICES = 12


@pytest.fixture
def run(rng) -> Scored:
    """Twelve devices of four models, three comparisons of every two, one of them hard."""
    first, second = (np.repeat(a.ravel(), 3) for a in np.mgrid[:NUM_DEVICES, :NUM_DEVICES])
    names = np.array([f"d{i:02d}" for i in range(NUM_DEVICES)])
    models = np.array([f"m{i // 3}" for i in range(NUM_DEVICES)])
    same = first == second
    akin = models[first] == models[second]
    levels = np.where(same, "same-device", np.where(akin, "same-model", "other-make"))
    values = 3.0 * same + rng.standard_normal(len(same)) - (first == 3)
    return Scored(
        keys=np.array([f"{i:05d}" for i in range(len(same))]),
        compared=Compared(labels=same.astype(np.int64), first=names[first], second=names[second]),
        models=(models[first], models[second]),
        levels=levels,
        scores={"lukas": values, "net": values + rng.standard_normal(len(same))},
        kind="pairs",
    )


def shuffled(run: Scored, rng, **scores) -> Scored:
    order = rng.permutation(len(run.keys))
    return replace(run, scores=run.scores | scores).where(order)


def test_runs_are_paired_by_what_they_compared_whatever_their_order(run, rng):
    better = run.scores["net"] + 5 * run.compared.labels
    found = merged({"a": run, "b": shuffled(run, rng, net=better)})
    assert found.repeated == ["lukas B"]
    assert list(found.scored.scores) == ["lukas", "net A", "net B"]
    lift = found.scored.scores["net B"] - found.scored.scores["net A"]
    assert lift == pytest.approx(5.0 * found.scored.compared.labels)
    assert found.pairs == [("net A", "lukas"), ("net B", "net A"), ("net B", "lukas")]


def test_only_what_all_runs_compared_counts(run, rng):
    part = shuffled(run, rng, net=-run.scores["net"]).where(np.arange(200))
    scored = merged({"a": run, "b": part}).scored
    assert set(scored.keys) == set(part.keys)
    alone = merged({"b": part}).scored.scores
    assert list(alone) == ["lukas", "net"]


def test_runs_of_other_images_are_refused(run):
    other = replace(run, keys=np.char.add(run.keys, "x"))
    with pytest.raises(ValueError, match="a and b: no comparison in common; judge them on one"):
        merged({"a": run, "b": other})
    with pytest.raises(ValueError, match="a: has no method 'li'; it has lukas, net"):
        merged({"a": run}, than="li")
    with pytest.raises(ValueError, match="a: has one method alone"):
        merged({"a": replace(run, scores={"net": run.scores["net"]})})
    twice = replace(run, keys=np.array(["k"] * len(run.keys)))
    with pytest.raises(ValueError, match="a: compares the same images twice"):
        merged({"a": twice})


def test_a_lead_is_told_from_one_that_is_inside_its_interval(run, rng):
    clear = run.scores["lukas"] + 4 * run.compared.labels
    alike = run.scores["lukas"] + 1e-3 * rng.standard_normal(len(run.keys))
    scored, pairs, _ = merged({"a": replace(run, scores=run.scores | {"c": clear, "e": alike})})
    rows, differences = paired_rows(scored, pairs, seed=1)
    told = {(d.method, d.negatives): d for d in differences if d.figure == "eer"}
    assert told["c", "all"].verdict == "better"
    assert told["c", "all"].high < 0
    assert told["e", "all"].verdict == "undecided"
    assert told["net", "all"].verdict == "worse"
    by_name = {(row.method, row.negatives): row.figures for row in rows}
    for (method, negatives), found in told.items():
        assert found.of_method == pytest.approx(by_name[method, negatives]["eer"])
        assert found.of_baseline == pytest.approx(by_name["lukas", negatives]["eer"])
    assert by_name["c", "same-model"]["num_negatives"] == NUM_DEVICES * 2 * 3
