"""Sets of photographs of simulated cameras, asked as one question of planted fingerprints."""

import json
import math
import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from camid.casework.database import Fingerprints
from camid.casework.enrol import enrol
from camid.casework.identify import answers
from camid.casework.identify_answer import UNFOUND, bounds
from camid.casework.identify_set import answer_together
from camid.casework.identify_set_answer import Searched, summed
from camid.casework.photograph_set import STRANGER, PhotographSet
from camid.casework.query import Candidate, Ranking
from camid.casework.reference_population import IDENTIFICATION_FILE, shipped_reference
from camid.casework.verbal_scale import DECIDED
from camid.cli import main
from camid.config import Simulate
from camid.dataset.simulate import phones

NUM_DEVICES, NUM_ENROLLED, NUM_ASKED = 16, 5, 8
WEAK = Simulate(
    num_devices=NUM_DEVICES,
    num_models=NUM_DEVICES // 2,
    sizes=((224, 256),),
    portraits=0,
    pattern_strength=0.003,
    pattern_spread=0,
)
STRONG = Simulate(
    num_devices=3,
    num_models=3,
    sizes=((384, 512),),
    portraits=0,
    pattern_strength=0.02,
    pattern_spread=0,
)


def photographed(folder, settings, *, kind, number, seed):
    """Return the photographs' paths of each camera."""
    paths = []
    for camera, phone in enumerate(phones(settings, seed=seed)):
        place = folder / f"camera-{camera}"
        place.mkdir()
        paths.append([str(place / f"{image:02d}.jpg") for image in range(number)])
        for image, path in enumerate(paths[-1]):
            (place / path).write_bytes(phone.photograph(kind, image + 1))
    return paths


@pytest.fixture(scope="module")
def weak(tmp_path_factory):
    """Return two databases, of one camera each of a model, and the other photographs."""
    folder = tmp_path_factory.mktemp("weak")
    number = NUM_ENROLLED + NUM_ASKED
    paths = photographed(folder, WEAK, kind="background", number=number, seed=3)
    databases = [Fingerprints(str(folder / f"db-{half}")) for half in range(2)]
    for camera, some in enumerate(paths):
        half = camera >= NUM_DEVICES // 2
        enrol(databases[half], f"camera-{camera}", some[:NUM_ENROLLED])
    return databases, [some[NUM_ENROLLED:] for some in paths]


@pytest.fixture(scope="module")
def strong(tmp_path_factory):
    """Return a database of two of three cameras, and the other photographs of all."""
    folder = tmp_path_factory.mktemp("strong")
    paths = photographed(folder, STRONG, kind="foreground", number=12, seed=5)
    database = Fingerprints(str(folder / "db"))
    for camera in (0, 1):
        enrol(database, f"camera-{camera}", paths[camera][:5])
    return database, paths


def asked(database, files, **how):
    answer, _ = answer_together(database, files, **how)
    return answer


def supported(database, files):
    return asked(database, files, budget=0)["supported"]


def left_out(answer):
    return {row["path"]: row["reason"] for row in answer["left_out"]}


def untold(answer):
    """Return of how many photographs it is said that they may be of another camera."""
    words = " ".join(answer["warnings"])
    return re.findall(r"whether one camera took all cannot be told of (.*?):", words)


def test_strangers_sets_are_supported_no_more_often_than_their_ratio_says(weak):
    """Every set is asked of a database that holds another camera of its model."""
    databases, paths = weak
    others = [(databases[camera < NUM_DEVICES // 2], some) for camera, some in enumerate(paths)]
    sets = [
        (database, some[start : start + number])
        for database, some in others
        for start, number in ((0, 2), (2, 2), (4, 2), (0, NUM_ASKED))
    ]
    named = [found for found in (supported(*one) for one in sets) if found]
    assert len(sets) >= 60
    assert named == []


def test_photographs_that_are_too_weak_alone_support_their_camera_together(weak):
    databases, paths = weak
    won, lost = set(), set()
    for camera, some in enumerate(paths[: NUM_DEVICES // 2]):
        name = f"camera-{camera}"
        single = [
            name in answer["supported"] for answer, _ in answers(databases[0], some, budget=0)
        ]
        is_weak, is_supported = sum(single) < len(single) / 2, name in supported(databases[0], some)
        won |= {name} if is_weak and is_supported else set()
        lost |= {name} if not is_weak and not is_supported else set()
    assert len(won) >= 3
    assert lost == set()


def test_a_set_of_one_photograph_has_the_answer_of_the_photograph(strong):
    database, paths = strong
    (answer, _), *_ = answers(database, paths[0][6:7])
    found = asked(database, paths[0][6:7])
    for name in ("decision", "supported", "llr", "bounds", "grade", "searched"):
        assert found[name] == answer[name], name
    assert found["answer"] == answer["answer"].replace(" took it", " took them")
    assert found["photographs"] == [answer["photograph"]]
    assert not any("approximate" in words for words in found["warnings"])


def test_the_order_of_photographs_makes_no_difference(strong):
    database, paths = strong
    found, other = (asked(database, some, budget=0) for some in (paths[0][6:], paths[0][:5:-1]))
    assert found["llr"] == other["llr"]
    assert found["candidates"] == other["candidates"]


def test_a_set_is_told_to_be_approximate(strong):
    database, paths = strong
    found = asked(database, paths[0][6:9], budget=0)
    assert any("so that this one is approximate" in words for words in found["warnings"])
    assert found["decision"] == "camera-0"
    assert [row["path"] for row in found["photographs"]] == paths[0][6:9]


@pytest.mark.parametrize("number", [2, 3, 5])
def test_a_photograph_of_another_camera_is_left_out_and_named(strong, number):
    database, paths = strong
    stranger = paths[2][7]
    found = asked(database, [*paths[0][6 : 6 + number], stranger], budget=0)
    assert left_out(found) == {stranger: STRANGER}
    assert any(words.startswith(f"{stranger}: left out: ") for words in found["warnings"])
    alone = asked(database, paths[0][6 : 6 + number], budget=0)
    assert found["llr"] == alone["llr"]
    assert alone["left_out"] == []


@pytest.mark.parametrize("camera", [0, 1, 2])
def test_no_photograph_of_the_camera_is_left_out(strong, camera):
    database, paths = strong
    assert left_out(asked(database, paths[camera][5:], budget=0)) == {}


def test_of_two_cameras_in_a_set_one_is_asked_and_the_other_s_photographs_are_left_out(strong):
    database, paths = strong
    found = asked(database, [*paths[0][5:9], *paths[1][6:9]], budget=0)
    assert found["supported"] == ["camera-0"]
    assert set(left_out(found)) == set(paths[1][6:9])


def test_of_photographs_that_show_too_little_it_is_said_that_they_may_be_of_several_cameras(weak):
    databases, paths = weak
    found = asked(databases[0], paths[0], budget=0)
    assert len(untold(found)) == 1


@pytest.mark.parametrize("number", [1, 2, 4])
def test_where_photographs_show_what_they_share_it_is_not_said(strong, number):
    database, paths = strong
    assert untold(asked(database, paths[0][6 : 6 + number], budget=0)) == []


def test_a_copy_and_an_enrolled_file_and_one_that_is_no_photograph_are_left_out(strong, tmp_path):
    database, paths = strong
    copy, text = tmp_path / "copy.jpg", tmp_path / "text.jpg"
    shutil.copy(paths[0][6], copy)
    text.write_text("no photograph")
    found = asked(database, [*paths[0][6:8], str(copy), paths[1][0], str(text)], budget=0)
    reasons = left_out(found)
    assert reasons[str(copy)] == f"the very file is {paths[0][6]}, which counts"
    assert "enrolled camera-1/" in reasons[paths[1][0]]
    decisions = {row["path"]: row["decision"] for row in found["left_out"]}
    assert decisions == dict.fromkeys(reasons, "refused") | {str(text): "unreadable"}
    assert found["llr"] == asked(database, paths[0][6:8], budget=0)["llr"]


def test_a_set_that_was_cropped_and_turned_alike_is_found_where_it_lies(strong, tmp_path):
    database, paths = strong
    files = []
    for path in paths[0][6:9]:
        image = Image.open(path).crop((40, 80, 340, 420)).transpose(Image.Transpose.ROTATE_90)
        files.append(str(tmp_path / f"{len(files)}.png"))
        image.save(files[-1])
    found = asked(database, files)
    assert found["decision"] == "camera-0"
    first = found["candidates"][0]
    assert (first["top"], first["left"], first["turn"]) == (80, 40, 270)
    assert found["searched"]["parts"] > 0


def test_sizes_are_searched_apart_and_their_evidence_adds_up(strong, tmp_path):
    database, paths = strong
    small = tmp_path / "small.png"
    image = Image.open(paths[0][9])
    image.resize((round(0.8 * image.width), round(0.8 * image.height))).save(small)
    apart = [asked(database, some) for some in (paths[0][6:8], [str(small)])]
    found = asked(database, [str(small), *paths[0][6:8]])
    _, high = found["bounds"]
    llrs = [answer["candidates"][0]["llr"] for answer in apart]
    assert found["llr"] == pytest.approx(min(sum(llrs), high), rel=1e-4)
    assert [row["photographs"] for row in found["sizes"]] == [2, 1]
    assert {row["size"] for row in found["candidates"]} == {"384x512", "307x410"}


def ranking(**llrs):
    """Return a ranking whose candidates have log-likelihood ratios, nats."""
    reference = shipped_reference(IDENTIFICATION_FILE).calibrator
    places = {"ncc": 0.0, "turn": 0, "scale": 1.0, "top": 0, "left": 0, "num_hypotheses": 1}
    scores = {name: (llr - reference.intercept) / reference.slope for name, llr in llrs.items()}
    candidates = [
        Candidate(device=name, entry=f"{name}/1x1", pce=s * abs(s), num_lags=1, **places)
        for name, s in scores.items()
    ]
    return Ranking(
        candidates=tuple(candidates), num_aligned=2, num_searched=0, num_lags=0, num_left=0
    )


def sums(*rankings):
    facts = [{"size": "1x1"}]
    sizes = [Searched(photographs=PhotographSet(facts=facts), ranking=one) for one in rankings]
    return summed(sizes, shipped_reference(IDENTIFICATION_FILE))


def test_evidence_of_sizes_adds_up_within_the_bounds_of_one():
    _, high = bounds(shipped_reference(IDENTIFICATION_FILE))
    found = sums(ranking(a=1.5, b=-0.5), ranking(a=1.25, b=0.25))
    assert found == pytest.approx({"a": 2.75, "b": -0.25})
    assert sums(ranking(a=-0.5), ranking(a=-0.5)) == pytest.approx({"a": UNFOUND})
    assert sums(ranking(a=5.0), ranking(a=5.0)) == pytest.approx({"a": high})


def test_a_device_that_a_search_did_not_come_to_is_not_helped_by_that():
    assert sums(ranking(a=3.0), ranking(b=-0.5))["a"] == pytest.approx(2.5)
    assert sums(ranking(a=3.0), ranking(b=1.0))["a"] == pytest.approx(3.0)
    assert sums(ranking(a=3.0), ranking())["a"] == pytest.approx(3.0)


def run(*words):
    return CliRunner().invoke(main, [*map(str, words)])


def test_the_command_answers_once_in_every_form_and_writes_a_report(strong, tmp_path):
    database, paths = strong
    bad = tmp_path / "bad.jpg"
    bad.write_text("no photograph")
    words = ("identify", "--together", *paths[0][6:9], bad, "--db", database.uri, "--budget", 0)
    (found,) = json.loads(run(*words, "--json", "--candidates", 1).stdout)
    assert len(found["candidates"]) == 1
    done = run(*words, "--jsonl", "--report", tmp_path / "case.html")
    assert json.loads(done.stdout)["llr"] == found["llr"]
    assert done.exit_code == 0
    page = (tmp_path / "case.html").read_text()
    for shown in (found["answer"], "Which enrolled device took these?", str(bad), *paths[0][6:9]):
        assert shown in page
    assert page.count("data:image/png;base64,") == 2
    assert "The sum of 3 photographs of 384x512 px and the best" in page
    shown = run(*words).stdout
    assert shown.startswith("3 photographs together, 1 left out: What is seen is")


def test_a_set_of_which_no_photograph_can_be_used_is_no_answer(strong, tmp_path):
    database, _ = strong
    for name, decision in (("text.jpg", "unreadable"), ("black.png", "refused")):
        Image.fromarray(np.zeros((256, 256, 3), np.uint8)).save(tmp_path / "black.png")
        (tmp_path / "text.jpg").write_text("no photograph")
        words = ("identify", "--together", tmp_path / name, "--db", database.uri)
        done = run(*words, "--json", "--report", tmp_path / "case.html")
        (found,) = json.loads(done.stdout)
        assert (done.exit_code, found["decision"], found["llr"]) == (1, decision, None)
        assert found["left_out"][0]["reason"] in (tmp_path / "case.html").read_text()


def test_a_set_and_ray_are_one_sentence(strong):
    database, paths = strong
    done = run("identify", "--together", paths[0][6], "--db", database.uri, "--ray")
    assert done.exit_code == 2
    assert done.stderr == (
        "camid: --together is one question, which one process answers, without --ray\n"
    )


def test_a_likelihood_ratio_of_a_set_is_within_the_bounds(strong):
    database, paths = strong
    found = asked(database, paths[0][5:], budget=0)
    low, high = found["bounds"]
    assert DECIDED < found["llr"] <= high
    assert low < 0
    assert math.isclose(found["log10_lr"], found["llr"] / math.log(10), rel_tol=1e-5)
