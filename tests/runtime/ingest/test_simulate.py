from dataclasses import replace

import numpy as np
import pytest

from camid.config import Simulate
from camid.dataset.simulate import phones
from camid.runtime.ingest.simulate import simulate, simulated_with

SETTINGS = Simulate(
    num_devices=3, num_models=2, num_background=2, num_foreground=2, sizes=((256, 256),)
)


@pytest.fixture
def place(ray_here, tmp_path):
    from camid.io.folder import Folder

    return Folder(str(tmp_path / "phones"))


def test_workers_write_what_a_phone_takes(place):
    assert simulate(place, SETTINGS, seed=3) == 12
    for phone in phones(SETTINGS, seed=3):
        name = f"Eurecom_{phone.device}_picFG_002.jpg"
        assert place.read(name) == phone.photograph("foreground", 2)


def test_only_what_is_missing_is_written_again(place):
    simulate(place, SETTINGS, seed=3)
    lost = "Eurecom_101_picBG_001.jpg"
    before = place.read(lost)
    place.delete(lost)
    assert simulate(place, SETTINGS, seed=3) == 1
    assert place.read(lost) == before


def test_planted_patterns_lie_beside_the_photographs(place, tmp_path):
    simulate(place, SETTINGS, seed=3)
    assert not (tmp_path / "phones-patterns").exists()
    assert simulate(place, replace(SETTINGS, write_patterns=True), seed=3) == 0
    for phone in phones(SETTINGS, seed=3):
        planted = np.load(tmp_path / f"phones-patterns/{phone.device}.npy", allow_pickle=False)
        np.testing.assert_array_equal(planted, phone.pattern())
    assert len(place.files()) == 12


def test_a_folder_says_what_it_was_simulated_with_and_takes_nothing_else(place):
    simulate(place, SETTINGS, seed=3)
    stated = simulated_with(place.uri)
    assert (stated["seed"], stated["num_devices"]) == (3, 3)
    with pytest.raises(ValueError, match=r"simulated with other settings \(seed was 3, now 4\)"):
        simulate(place, SETTINGS, seed=4)
    with pytest.raises(ValueError, match="num_foreground was 2, now 3"):
        simulate(place, replace(SETTINGS, num_foreground=3), seed=3)


def test_a_folder_of_real_photographs_is_left_alone(place):
    place.write("holiday.jpg", b"mine")
    with pytest.raises(ValueError, match="holds files that were not simulated"):
        simulate(place, SETTINGS, seed=3)
    assert simulated_with(place.uri) is None
