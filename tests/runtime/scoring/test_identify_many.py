"""Many photographs at once: the answers are those of one after the other, in their order."""

from camid.casework.database import Fingerprints
from camid.casework.enrol import enrol
from camid.casework.identify import answers
from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.runtime.scoring import identify_many

SETTINGS = Simulate(
    num_devices=2,
    num_models=2,
    sizes=((384, 256),),
    portraits=0,
    pattern_strength=0.02,
    pattern_spread=0,
)


def test_rays_answers_are_those_of_one_process_in_their_order(ray_here, tmp_path, monkeypatch):
    monkeypatch.setattr(identify_many, "PORTION", 2)
    paths = []
    database = Fingerprints(str(tmp_path / "db"))
    for number, phone in enumerate(phones(SETTINGS, seed=3)):
        some = [tmp_path / f"{number}-{image}.jpg" for image in range(5)]
        for image, path in enumerate(some):
            path.write_bytes(phone.photograph("background", image + 1))
        enrol(database, f"camera-{number}", [str(path) for path in some[:3]])
        paths += [str(path) for path in some[3:]]
    bad = tmp_path / "bad.jpg"
    bad.write_text("no photograph")
    enrolled = str(tmp_path / "0-0.jpg")
    asked = [paths[3], str(bad), *paths[:3], enrolled, str(tmp_path / "gone[1].jpg")]
    expected = [answer for answer, _ in answers(database, asked)]
    found = [answer for answer, _ in identify_many.answers_by_ray(database, asked)]
    assert found == expected
    assert [row["decision"] for row in found] == [
        "camera-1", "unreadable", "camera-0", "camera-0", "camera-1", "refused", "unreadable",
    ]  # fmt: skip
    assert found[-1]["answer"] == "No answer: cannot be read: No such file or directory."
