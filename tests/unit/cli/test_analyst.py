"""The analyst's commands, as they are typed, on simulated cameras whose patterns are planted."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from camid.cli import main
from camid.config import Simulate
from camid.dataset.simulate import phones

SETTINGS = Simulate(
    num_devices=3,
    num_models=2,
    sizes=((384, 512),),
    portraits=0,
    pattern_strength=0.012,
    pattern_spread=0,
)
NUM_ENROLLED = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with ten photographs of each camera, two of which are enrolled."""
    folder = tmp_path_factory.mktemp("case")
    for number, phone in enumerate(phones(SETTINGS, seed=5)):
        place = folder / f"camera-{number}"
        place.mkdir()
        for image in range(10):
            (place / f"{image}.jpg").write_bytes(phone.photograph("foreground", image + 1))
    for number in (0, 1):
        some = [folder / f"camera-{number}/{image}.jpg" for image in range(NUM_ENROLLED)]
        done = run("enrol", f"camera-{number}", *some, "--db", folder / "db")
        assert done.exit_code == 0, done.output
    return folder


def run(*words):
    return CliRunner().invoke(main, [*map(str, words)])


def answer(*words, code=0):
    done = run(*words, "--json")
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def identified(*words, code=0):
    """Return the answer of one photograph."""
    (found,) = answer("identify", *words, code=code)
    return found


def test_an_enrolled_cameras_photograph_is_identified(folder):
    found = identified(folder / "camera-0/8.jpg", "--db", folder / "db")
    assert found["decision"] == "camera-0"
    assert found["candidates"][0]["device"] == "camera-0"
    assert found["candidates"][0]["pce"] > 60
    low, high = found["bounds"]
    assert low <= found["llr"] <= high


def test_a_camera_that_is_not_enrolled_is_none_of_these(folder):
    """The third is of the first one's model."""
    found = identified(folder / "camera-2/8.jpg", "--db", folder / "db")
    assert (found["decision"], found["supported"]) == ("none supported", [])
    assert found["answer"].startswith("Not found, and not excluded: of 2 enrolled entries")


@pytest.mark.parametrize("change", ["turned", "cropped", "smaller"])
def test_what_was_done_to_a_photograph_is_told_from_its_pixels(folder, tmp_path, change):
    image = Image.open(folder / "camera-0/8.jpg")
    if change == "turned":
        image = image.transpose(Image.Transpose.ROTATE_90)
    elif change == "cropped":
        image = image.crop((40, 80, 340, 420))
    else:
        image = image.resize((round(0.8 * image.width), round(0.8 * image.height)))
    image.save(tmp_path / "changed.png")
    found = identified(tmp_path / "changed.png", "--db", folder / "db")
    assert found["decision"] == "camera-0"
    first = found["candidates"][0]
    if change == "turned":
        assert first["turn"] == 270
    elif change == "cropped":
        assert (first["top"], first["left"]) == (80, 40)
    else:
        assert first["scale"] == pytest.approx(0.8, abs=0.01)


def test_several_photographs_have_an_answer_each_in_their_order(folder, tmp_path):
    (tmp_path / "none.jpg").write_text("no photograph")
    Image.fromarray(np.zeros((256, 256, 3), np.uint8)).save(tmp_path / "black.png")
    paths = [tmp_path / "none.jpg", folder / "camera-1/9.jpg", tmp_path / "black.png"]
    found = answer("identify", *paths, "--db", folder / "db")
    assert [row["photograph"]["path"] for row in found] == [*map(str, paths)]
    assert [row["decision"] for row in found] == ["unreadable", "camera-1", "refused"]
    assert [row["photograph"].get("decision") for row in found] == ["unreadable", None, "refused"]
    assert [row["supported"] for row in found] == [[], ["camera-1"], []]
    assert [row["grade"] == "refused" for row in found] == [True, False, True]


@pytest.fixture
def twice(folder, tmp_path):
    """Return the database with one of its cameras under a second name."""
    shutil.copytree(folder / "db", tmp_path / "db")
    some = [folder / f"camera-0/{image}.jpg" for image in range(NUM_ENROLLED - 1)]
    assert run("enrol", "alias", *some, "--db", tmp_path / "db").exit_code == 0
    return tmp_path / "db"


def test_a_camera_under_two_names_is_told_by_both(folder, twice):
    found = identified(folder / "camera-0/8.jpg", "--db", twice, "--candidates", "1")
    assert found["decision"] == "undecided"
    assert sorted(found["supported"]) == ["alias", "camera-0"]
    assert len(found["candidates"]) == 1
    assert re.search("(camera-0 or alias|alias or camera-0) took it than if a", found["answer"])
    (words,) = [words for words in found["warnings"] if "several names" in words]
    assert "camera-0" in words
    assert "alias" in words
    assert "camera-1" not in words


@pytest.mark.parametrize("part", ["footer", "pixels"])
def test_a_damaged_entry_is_left_out_and_named_in_every_answer(folder, tmp_path, part):
    shutil.copytree(folder / "db", tmp_path / "db")
    shutil.rmtree(tmp_path / "db/digests", ignore_errors=True)
    (file,) = (tmp_path / "db").glob("device=camera-0/*.parquet")
    data = bytearray(file.read_bytes())
    if part == "footer":
        data = data[:-100]
    else:
        data[100:200] = bytes(100)
    file.write_bytes(data)
    asked = [folder / f"camera-{number}/8.jpg" for number in (0, 1)]
    found = answer("identify", *asked, "--db", tmp_path / "db")
    assert [row["decision"] for row in found] == ["undecided", "camera-1"]
    for row in found:
        assert any(f"device=camera-0/{file.name}" in words for words in row["warnings"])
        assert row["searched"]["entries"] == 1
        assert not any("budget" in words for words in row["warnings"])


def test_answers_for_programs_are_a_list_also_of_one_photograph(folder, tmp_path):
    single = tmp_path / "single"
    single.mkdir()
    shutil.copy(folder / "camera-0/8.jpg", single)
    for count, asked in enumerate(([single], [single, folder / "camera-1/8.jpg"]), 1):
        found = answer("identify", *asked, "--db", folder / "db")
        assert [row["decision"] for row in found] == ["camera-0", "camera-1"][:count]


def test_a_name_that_is_no_utf_8_is_written_with_escapes(folder, tmp_path):
    place = os.fsencode(tmp_path / "wei") + b"\xdf.jpg"
    Path(os.fsdecode(place)).write_bytes((folder / "camera-0/8.jpg").read_bytes())
    done = run("identify", tmp_path, "--db", folder / "db")
    assert done.exit_code == 0, done.output
    assert "wei\\udcdf.jpg: What is seen" in done.stdout


def test_a_photograph_that_enrolled_a_device_is_not_compared_with_itself(folder):
    found = identified(folder / "camera-0/0.jpg", "--db", folder / "db", code=1)
    assert (found["decision"], found["llr"], found["grade"]) == ("refused", None, "refused")
    assert "one of those that enrolled camera-0/384x512" in found["answer"]


def test_where_nothing_can_be_compared_there_is_no_answer(folder, tmp_path):
    Image.open(folder / "camera-0/8.jpg").crop((0, 0, 380, 140)).save(tmp_path / "large.png")
    asked = (tmp_path / "large.png", "--db", folder / "db", "--scale", "0.5")
    found = identified(*asked)
    assert found["decision"] == "undecided"
    assert found["answer"].startswith("No answer: it could be compared with none")


def test_photographs_of_a_device_can_be_removed(folder, tmp_path):
    database = ("--db", tmp_path / "db")
    run("enrol", "one", *(folder / f"camera-0/{n}.jpg" for n in range(4)), *database)
    done = run("remove", "one", *(folder / f"camera-0/{n}.jpg" for n in (1, 2, 7)), *database)
    assert "one: 2 photographs removed, 1 not" in done.stdout
    assert f"{folder}/camera-0/7.jpg: has not enrolled one" in done.stdout
    (row,) = answer("list", *database)
    assert row["images"] == 2


def test_where_parts_are_not_looked_for_it_is_said(folder):
    asked = (folder / "camera-2/8.jpg", "--db", folder / "db")
    for budget, told in (("0", "whole photographs alone"), ("1e6", "as the budget was spent")):
        found = identified(*asked, "--budget", budget)
        (words,) = found["warnings"]
        assert told in words
        assert found["decision"] == "undecided"


def test_one_camera_took_both_sides(folder):
    words = ["--side", *(folder / f"camera-0/{n}.jpg" for n in range(3))]
    words += ["--side", *(folder / f"camera-0/{n}.jpg" for n in range(3, 5))]
    found = answer("verify", *words)
    assert found["decision"] == "same"
    assert [len(side) for side in found["sides"]] == [3, 2]
    low, high = found["bounds"]
    assert low <= found["llr"] <= high


def test_two_cameras_took_the_sides(folder):
    found = answer("verify", "--side", folder / "camera-0", "--side", folder / "camera-1")
    assert found["decision"] in {"different", "undecided"}
    assert found["llr"] < 0


@pytest.mark.parametrize(("other", "is_same"), [(0, True), (1, False)])
def test_a_side_that_was_cropped_is_looked_for_in_the_other(folder, tmp_path, other, is_same):
    for number in (6, 7, 8):
        image = Image.open(folder / f"camera-{other}/{number}.jpg")
        image.crop((40, 80, 360, 460)).save(tmp_path / f"{number}.png")
    first = (folder / f"camera-0/{number}.jpg" for number in range(4))
    found = answer("verify", "--side", *first, "--side", tmp_path)
    assert found["decision"] == "same" if is_same else found["llr"] < math.log(10)
    if is_same:
        assert (found["place"]["top"], found["place"]["left"]) == (80, 40)


def test_a_photograph_on_both_sides_is_taken_once_and_told(folder):
    first, second = (folder / f"camera-0/{n}.jpg" for n in (0, 1))
    found = answer("verify", "--side", first, "--side", first, second)
    assert [len(side) for side in found["sides"]] == [1, 1]
    assert any("already" in words for words in found["warnings"])


def test_a_side_without_a_photograph_that_can_be_used_is_refused(folder, tmp_path):
    (tmp_path / "none.jpg").write_text("no photograph")
    found = answer("verify", "--side", folder / "camera-0", "--side", tmp_path / "none.jpg", code=1)
    assert found["decision"] == "unreadable"
    (left_out,) = found["left_out"]
    assert (left_out["path"], left_out["decision"]) == (str(tmp_path / "none.jpg"), "unreadable")


@pytest.mark.parametrize("decision", ["refused", "unreadable"])
def test_questions_that_no_photograph_could_be_used_for_end_with_1(folder, tmp_path, decision):
    bad = tmp_path / "bad.png"
    if decision == "refused":
        Image.fromarray(np.full((256, 256, 3), 255, np.uint8)).save(bad)
    else:
        bad.write_bytes(b"no photograph")
    database = ("--db", folder / "db")
    assert identified(bad, *database, code=1)["decision"] == decision
    assert len(answer("identify", bad, folder / "camera-1/9.jpg", *database)) == 2
    sides = ("--side", folder / "camera-0/8.jpg", "--side", bad)
    assert answer("verify", *sides, code=1)["decision"] == decision


def lines(stdout):
    return [json.loads(line) for line in stdout.splitlines()]


def test_answers_by_line_are_those_of_the_list(folder, tmp_path):
    (tmp_path / "none.jpg").write_text("no photograph")
    asked = [folder / "camera-0/8.jpg", tmp_path / "none.jpg", folder / "camera-1/9.jpg"]
    words = ("identify", *asked, "--db", folder / "db")
    done = run(*words, "--jsonl", "--report", tmp_path / "case.html")
    assert (done.exit_code, lines(done.stdout)) == (0, answer(*words))
    assert json.loads((tmp_path / "case.json").read_text())["answers"] == lines(done.stdout)


@pytest.fixture
def endless(folder, tmp_path):
    """Return a command that answers of more photographs than a pipe is read for."""
    for number in range(24):
        shutil.copy(folder / "camera-0/8.jpg", tmp_path / f"{number:02d}.jpg")
    words = ["identify", str(tmp_path), "--db", str(folder / "db"), "--jsonl", "--budget", "0"]
    words += ["--report", str(tmp_path / "case.html")]
    heard = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"  # nohup's tests too
    code = f"{heard}; from camid.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, "closed"])
def test_answers_by_line_come_one_by_one_and_stay_when_the_rest_is_stopped(endless, tmp_path, end):
    line = endless.stdout.readline()
    first = json.loads(line or endless.stderr.read())
    assert first["decision"] == "camera-0"
    if end != "closed":
        endless.send_signal(end)
        rest, said = endless.communicate()
        assert all(row["decision"] == "camera-0" for row in lines(rest))
        assert len(lines(rest)) < 23
    else:
        endless.stdout.close()
        said = endless.stderr.read()
        endless.wait()
    code = 130 if end == "closed" else 128 + end
    report, *stopped = said.splitlines()
    assert (endless.returncode, stopped) == (code, ["camid: stopped"])
    assert report.startswith("report: ")
    number = len(json.loads((tmp_path / "case.json").read_text())["answers"])
    words = f"Not complete: it was stopped after {number} of 24 photographs."
    assert words in (tmp_path / "case.html").read_text()


def test_the_help_of_questions_names_the_exit_codes():
    for command in (["identify"], ["verify"], ["enrol"], []):
        words = " ".join(run(*command, "--help").stdout.split())
        assert "Exit codes: 0 answered, whatever the answer; 1 check" in words


@pytest.mark.parametrize("question", ["identify", "verify"])
def test_a_report_and_json_beside_it_say_what_was_answered(folder, tmp_path, question):
    asked = folder / "camera-0/8.jpg"
    words = ["--side", asked, "--side", folder / "camera-0/7.jpg"]
    if question == "identify":
        words = [asked, "--db", folder / "db"]
    done = run(question, *words, "--report", tmp_path / "case.html")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "case.html").read_text()
    facts = json.loads((tmp_path / "case.json").read_text())
    assert facts["answers"][0]["answer"] in page
    assert list(facts["references"]) == [facts["answers"][0]["reference"]]
    assert page.count("data:image/png;base64,") == 2


@pytest.mark.parametrize(("name", "content"), [("notes.json", "[1]"), ("notes.html", "<p>Mine")])
def test_a_report_replaces_reports_and_no_other_file(folder, tmp_path, name, content):
    words = [folder / "camera-0/8.jpg", "--db", folder / "db", "--report", tmp_path / "notes.html"]
    for _ in range(2):
        done = run("identify", *words)
        assert done.exit_code == 0, done.output
        assert "Not complete" not in (tmp_path / "notes.html").read_text()
    (tmp_path / name).write_text(content)
    before = sorted((file.name, file.read_bytes()) for file in tmp_path.iterdir())
    done = run("identify", *words)
    assert (done.exit_code, f"{name}: is there and no report of camid's" in done.output) == (
        2,
        True,
    )
    assert sorted((file.name, file.read_bytes()) for file in tmp_path.iterdir()) == before


def test_what_is_enrolled_is_listed_exported_and_removed(folder, tmp_path):
    database = ("--db", tmp_path / "db")
    run("enrol", "one", folder / "camera-0", *database)
    (row,) = answer("list", *database)
    assert (row["device"], row["size"], row["images"]) == ("one", "384x512", 10)
    assert run("export", "one", "--out", tmp_path / "out", *database).exit_code == 0
    (array,) = (tmp_path / "out").glob("*.npy")
    assert np.load(array).shape == (512, 384)
    assert array.with_suffix(".png").exists()
    assert run("remove", "one", *database).exit_code == 0
    assert run("list", *database).exit_code == 2


def test_more_photographs_improve_an_entry(folder, tmp_path):
    database = ("--db", tmp_path / "db")
    counts = []
    for some in (range(4), range(10)):
        paths = [folder / f"camera-1/{n}.jpg" for n in some]
        assert run("enrol", "one", *paths, *database).exit_code == 0
        (row,) = answer("list", *database)
        counts.append((row["images"], row["split_half"]))
    assert counts[0][0] == 4
    assert counts[1][0] == 10
    assert counts[1][1] > counts[0][1]


def test_one_device_under_two_names_is_a_problem(folder, tmp_path):
    database = ("--db", tmp_path / "db")
    run("enrol", "one", *(folder / f"camera-0/{n}.jpg" for n in range(5)), *database)
    assert run("check", *database).exit_code == 0
    run("enrol", "two", *(folder / f"camera-0/{n}.jpg" for n in range(5, 10)), *database)
    done = run("check", *database)
    assert done.exit_code == 1
    assert "two names" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ("identify", "nothing.jpg"),
        ("identify", __file__, "--db", "nowhere"),
        ("list", "--db", "nowhere"),
        ("remove", "one", "--db", "nowhere"),
        ("verify", "--side", __file__),
        ("verify", "--side", "nothing.jpg", "--side", "nothing.jpg"),
        ("enrol", "one", "nothing.jpg"),
        ("identify", "nothing.jpg", "--report", "case.pdf"),
        ("identify", __file__, "--budget", "inf"),
        ("identify", __file__, "--budget", "nan"),
        ("identify", __file__, "--budget", "-1"),
        ("identify", __file__, "--scale", "0"),
        ("identify", __file__, "--scale", "nan"),
        ("identify", __file__, "--json", "--jsonl"),
        ("enrol", "none supported", __file__),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(words, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "--budget" in words or "--scale" in words:
        words = (*words, "--db", folder / "db")
    done = run(*words)
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("question", ["identify", "verify"])
def test_a_report_s_wrong_name_is_told_before_any_work(tmp_path, monkeypatch, question):
    monkeypatch.chdir(tmp_path)
    words = ("nothing.jpg",) if question == "identify" else ("--side", "a", "--side", "b")
    done = run(question, *words, "--report", "case.pdf")
    assert (done.exit_code, "HTML file" in done.stderr) == (2, True)


def test_questions_load_neither_ray_nor_tensorflow(folder):
    code = (
        "import sys; from camid.cli import main\n"
        f"main(['identify', {str(folder / 'camera-0/8.jpg')!r}, '--db', {str(folder / 'db')!r}],"
        " standalone_mode=False)\n"
        "print(*({'ray', 'tensorflow', 'keras', 'mlflow'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder
    )
    assert "camera-0" in done.stdout
    assert not done.stderr.split()


def test_help_loads_no_library_but_click():
    code = (
        "import sys; from camid.cli import main\n"
        "main(['identify', '--help'], standalone_mode=False)\n"
        "print(*({'numpy', 'scipy', 'pyarrow', 'rich', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.splitlines()[-1].split()
