import shutil

import pytest

from camid.io.csv_tables import write_csv
from camid.io.digested import write_digested
from camid.io.folder import Folder
from camid.runtime.run_folder.stage_times import Clock, stage_line, stage_seconds


def test_a_stage_s_time_is_kept_also_where_it_fails(tmp_path):
    clock = Clock()
    clock.keep(Folder(str(tmp_path)))
    with pytest.raises(ValueError, match="broken"), clock.stage("score"):
        raise ValueError("broken")
    assert list(stage_seconds(Folder(str(tmp_path)))) == ["score"]


def test_a_run_that_goes_on_adds_to_what_was_and_keeps_the_order(tmp_path):
    folder = Folder(str(tmp_path))
    earlier = [("simulate", "40.00"), ("enrol", "2.00")]
    write_csv(folder, "stages.csv", [{"stage": s, "seconds": t} for s, t in earlier])
    clock = Clock()
    with clock.stage("preprocess"):
        pass
    clock.keep(folder)
    with clock.stage("enrol"):
        pass
    found = stage_seconds(folder)
    assert list(found) == ["simulate", "enrol", "preprocess"]
    assert found["simulate"] == 40
    assert 2 <= found["enrol"] < 3


@pytest.mark.parametrize(
    "text", [b"", b"mine", b"stage,seconds\nenrol,soon\n", b"a,b\n1,2\n", b"\xff"]
)
def test_times_that_cannot_be_read_stop_nothing(tmp_path, text):
    folder = Folder(str(tmp_path))
    write_digested(folder, "stages.csv", text)
    clock = Clock()
    clock.keep(folder)
    with clock.stage("enrol"):
        pass
    assert list(stage_seconds(folder)) == ["enrol"]


def test_stages_are_one_line():
    line = stage_line({"simulate": 41.2, "report": 0.21})
    assert line == "simulate 41 s · report 0.2 s"
    assert stage_line({}) == ""


def test_a_stage_that_fails_tells_its_own_reason_where_times_cannot_be_written(tmp_path):
    clock = Clock()
    clock.keep(Folder(str(tmp_path / "out")))
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").write_text("a file now")
    with pytest.raises(ValueError, match="the real reason"), clock.stage("score"):
        raise ValueError("the real reason")
