import time
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from camid.runtime.cluster import map_tasks
from camid.runtime.cluster.map_tasks import in_batches, streamed


def failing(table: pa.Table) -> pa.Table:
    number = table["number"][0].as_py()
    if number == 1:
        raise OSError("/full: cannot be written: no space left on device")
    if number == 2:
        raise ValueError("two is no answer")
    return table


def results(*numbers: int):
    tables = [pa.table({"number": [number]}) for number in numbers]
    return [t["number"][0].as_py() for t in streamed(tables, failing, description="", unit="")]


def test_every_table_comes_back_once(ray_here):
    assert sorted(results(0, 3, 4, 5)) == [0, 3, 4, 5]


@pytest.mark.parametrize(
    ("number", "kind", "sentence"), [(1, OSError, "/full: cannot be"), (2, ValueError, "two is no")]
)
def test_what_a_user_can_mend_comes_back_as_its_own_sentence(
    ray_here, capfd, number, kind, sentence
):
    with pytest.raises(kind, match=f"^{sentence}"):
        results(0, number)
    shown = capfd.readouterr()
    assert "Traceback" not in shown.out + shown.err


def test_tasks_that_ray_does_not_know_of_at_once_all_come_back(ray_here, monkeypatch):
    monkeypatch.setattr(map_tasks, "TASKS_AT_ONCE", 2)
    assert sorted(results(0, 3, 4, 5, 6)) == [0, 3, 4, 5, 6]


def test_bytes_that_ray_does_not_hold_at_once_all_come_back(ray_here, monkeypatch):
    monkeypatch.setattr(map_tasks, "BYTES_AT_ONCE", 1)
    assert sorted(results(0, 3, 4)) == [0, 3, 4]


def waiting_for_the_next(table: pa.Table, *, folder: Path) -> pa.Table:
    """Task 1 ends when task 2 has ended, which is of the next pass."""
    number = table["number"][0].as_py()
    while number == 1 and not (folder / "2").exists():
        time.sleep(0.05)
    (folder / str(number)).touch()
    return table


def test_a_pass_s_last_task_keeps_none_of_the_next_from_beginning(ray_here, monkeypatch, tmp_path):
    monkeypatch.setattr(map_tasks, "TASKS_AT_ONCE", 2)
    tables = [pa.table({"number": [number]}) for number in range(4)]
    work = partial(waiting_for_the_next, folder=tmp_path)
    found = [t["number"][0].as_py() for t in streamed(tables, work, description="", unit="")]
    assert sorted(found) == [0, 1, 2, 3]


def doubled(batch: list[int]) -> list[int]:
    time.sleep(0.2 * (batch[0] == 0))  # so that the first comes last
    if 13 in batch:
        raise ValueError("thirteen is no answer")
    return [2 * number for number in batch]


def test_batches_come_back_in_their_order(ray_here):
    batches = [[0, 1, 2], [3, 4], [5]]
    found = list(in_batches(iter(batches), doubled, description="", unit="", total=6))
    assert found == [[0, 2, 4], [6, 8], [10]]


def test_a_batch_that_a_user_can_mend_comes_back_as_its_sentence(ray_here):
    with pytest.raises(ValueError, match="^thirteen is no answer"):
        list(in_batches([[1], [13]], doubled, description="", unit="", total=2))
