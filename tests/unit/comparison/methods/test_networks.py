"""A trained network as a method, held against its logits on averages made one pair at a time."""

from dataclasses import replace
from functools import reduce

import keras
import numpy as np
import pytest

from camid.comparison.by_position import position_evidence
from camid.comparison.comparison_list import Crop
from camid.comparison.draw_list import drawn_list
from camid.comparison.located_list import located
from camid.comparison.methods import METHODS, chosen_methods, networks
from camid.comparison.methods.networks import network_method, network_name, network_samples
from camid.comparison.networks.classifier import classifier
from camid.comparison.networks.files import network_bytes
from camid.comparison.networks.siamese import siamese
from camid.comparison.sufficient_statistics import Evidence, scores
from camid.config import Classifier, Comparisons, Siamese, Strips
from camid.io.folder import Folder
from camid.store.strip_reader import RowGroups
from tests.unit.stores import SIZE, Chunk, small_store, strip

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CROP = 16
SETTINGS = Comparisons(num_images=(4, 3), num_pairs=14, crop_size=CROP, num_crops=(1, 3, 9))
DEVICES = {
    "a": [Chunk(images=9), Chunk(images=7, kind="background")],
    "b": [Chunk(images=12), Chunk(images=16)],
    "c": [Chunk(images=16, size=(64, 64))],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(str(tmp_path_factory.mktemp("store")), DEVICES)


@pytest.fixture(scope="module")
def listed(store):
    return drawn_list(store.images(), settings=SETTINGS, strips=Strips(size=SIZE), seed=3)


def built(seed=1, *, size=CROP, extractor="small"):
    keras.utils.set_random_seed(seed)
    return siamese(Siamese(extractor=extractor, width=0.2), size=size)


@pytest.fixture
def written(tmp_path):
    """Write a network below the test's folder; return its path."""

    def write(network, name="network.keras"):
        Folder(str(tmp_path)).write(name, network_bytes(network))
        return f"{tmp_path}/{name}"

    return write


def gathered(listed, store, address, *, num_crops=SETTINGS.num_crops):
    methods = {"network": network_method(address)}
    whole = located(listed, store)
    with RowGroups(store) as row_groups:
        parts = [
            position_evidence(whole, position, row_groups, methods, num_crops=num_crops)
            for position in whole.positions
        ]
    return scores(reduce(Evidence.__add__, parts), methods)["network"]


def plain(store, listed, network, num_crops=SETTINGS.num_crops):
    """Return the mean logits of each comparison's first crops, one pair at a time."""
    of = {image.sha256: image for image in store.images()}
    found = []
    for pair in listed.comparisons:
        windows = []
        for crop in pair.crops:
            cut = np.s_[crop.y : crop.y + listed.crop_size, crop.x : crop.x + listed.crop_size]
            windows.append(
                [
                    np.mean(
                        [
                            strip(of[image], (crop.top, crop.left))[cut] * 0.125
                            for image in listed.sides[side].images
                        ],
                        axis=0,
                    )
                    for side in (pair.first, pair.second)
                ]
            )
        logits = np.asarray(network(np.float32(windows), training=False))[:, 0]
        found.append([logits[:number].mean() for number in num_crops])
    return np.array(found)


@pytest.mark.parametrize("extractor", ["small", "report"])
def test_scores_are_the_mean_logits_of_a_comparison_s_crops(store, listed, written, extractor):
    network = built(extractor=extractor)
    found = gathered(listed, store, written(network))
    expected = plain(store, listed, network)
    assert np.ptp(expected, axis=0).min() > 1e-2
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_how_many_windows_are_seen_at_once_changes_nothing(store, listed, written, monkeypatch):
    address = written(built())
    whole = gathered(listed, store, address)
    monkeypatch.setattr(networks, "WINDOWS", 5)
    np.testing.assert_allclose(gathered(listed, store, address), whole, atol=1e-5)


def test_two_networks_are_two_methods_beside_the_named_ones(store, listed, written):
    one, other = built(1), built(2)
    addresses = [written(one, "one.keras"), written(other, "other.keras")]
    methods = chosen_methods(["lukas"], addresses)
    assert list(methods) == ["lukas", "one", "other"]
    whole = located(listed, store)
    with RowGroups(store) as row_groups:
        parts = [
            position_evidence(whole, position, row_groups, methods, num_crops=(9,))
            for position in whole.positions
        ]
    found = scores(reduce(Evidence.__add__, parts), methods)
    for name, network in (("one", one), ("other", other)):
        np.testing.assert_allclose(found[name], plain(store, listed, network, (9,)), atol=1e-4)


def test_a_network_that_is_written_anew_is_read_anew(store, listed, written):
    first = gathered(listed, store, written(built(1)))
    assert not np.allclose(first, plain(store, listed, built(2)), atol=1e-2)
    again = gathered(listed, store, written(built(2)))
    np.testing.assert_allclose(again, plain(store, listed, built(2)), atol=1e-4)


def test_a_network_is_not_read_before_it_scores(store, listed, tmp_path):
    (name,) = chosen_methods([], [f"{tmp_path}/absent.keras"])
    assert name == "absent"
    with pytest.raises(ValueError, match="/absent.keras: no such network"):
        gathered(listed, store, f"{tmp_path}/absent.keras")


def test_crops_that_a_network_s_own_do_not_fill_are_refused(store, listed, written):
    address = written(built(size=24))
    sentence = (
        "the network is for crops of 24 px, and the comparison list has 16, which they do not "
        "fill; set comparisons.crop_size=24"
    )
    with pytest.raises(ValueError, match=sentence):
        gathered(listed, store, address)


def with_windows(listed, corners, size):
    """Return a list of windows of a size, at these corners of all strips that a list looks at."""
    strips = [dict.fromkeys(crop[:2] for crop in pair.crops) for pair in listed.comparisons]
    pairs = [
        replace(pair, crops=tuple(Crop(*place, *corner) for place in places for corner in corners))
        for pair, places in zip(listed.comparisons, strips, strict=True)
    ]
    return replace(listed, crop_size=size, comparisons=tuple(pairs))


def test_larger_crops_get_the_mean_of_the_windows_that_fill_them(store, listed, written):
    network = built()
    whole = with_windows(listed, [(0, 0)], SIZE)
    quarters = with_windows(listed, [(y, x) for y in (0, CROP) for x in (0, CROP)], CROP)
    found = gathered(whole, store, written(network), num_crops=(1,))
    np.testing.assert_allclose(found, plain(store, quarters, network, (4,)), atol=1e-4)


def test_a_network_of_anything_else_is_refused(store, listed, written):
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="sides"):
        gathered(listed, store, written(other))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("siamese.keras", "siamese"),
        ("/results/my first.keras", "my first"),
        ("s3://bucket/runs/3/small.v2.keras", "small.v2"),
        (Folder("s3://bucket/out?endpoint_override=127.0.0.1:9").address("one.keras"), "one"),
    ],
)
def test_a_network_is_called_as_its_file(address, name):
    assert network_name(address) == name


def test_a_network_is_a_method_of_its_name():
    assert list(chosen_methods([], ["siamese.keras", "/results/my first.keras"])) == [
        "siamese",
        "my first",
    ]


@pytest.mark.parametrize("address", ["network.h5", "runs/3", ".keras", "runs/.keras", "keras", ""])
def test_a_file_of_another_kind_is_refused(address):
    sentence = f"^{address}: expected a network, a file that ends in .keras$"
    with pytest.raises(ValueError, match=sentence):
        network_name(address)
    with pytest.raises(ValueError, match=sentence):
        network_method(address)


def test_names_that_are_alike_are_refused():
    with pytest.raises(ValueError, match="^b/one.keras: another method is called 'one'; rename"):
        chosen_methods([], ["a/one.keras", "b/one.keras"])
    for named in (["lukas"], ["li"], []):
        with pytest.raises(ValueError, match="^a/lukas.keras: another method is called 'lukas'"):
            chosen_methods(named, ["a/lukas.keras"])


def test_methods_come_in_the_registry_s_order_and_networks_after_them():
    assert list(chosen_methods(["li", "lukas"], ["b.keras", "a.keras"])) == [
        "lukas",
        "li",
        "b",
        "a",
    ]
    assert list(chosen_methods(["all"], ["a.keras"])) == [*METHODS, "a"]


def test_an_unknown_method_is_refused_with_those_that_there_are():
    sentence = "^no method 'luka'; there are lukas, li, .*classical, pairnet, or all$"
    with pytest.raises(ValueError, match=sentence):
        chosen_methods(["lukas", "luka"], ["a.keras"])


def classifier_of_noise(seed=1):
    keras.utils.set_random_seed(seed)
    settings = Classifier(network="freire2019", width=0.1)
    return classifier(settings, size=8, num_devices=3, is_residual=True)


def plain_cosines(store, listed, network):
    """Return the mean cosine of each comparison's crops, an image and a patch at a time."""
    embedding = keras.Model(network.input, network.get_layer("embedding").output)
    of = {image.sha256: image for image in store.images()}
    found = []
    for pair in listed.comparisons:
        cosines = []
        for crop in pair.crops:
            starts = [range(-(-at // 8) * 8, at + CROP - 7, 8) for at in (crop.y, crop.x)]
            means = []
            for side in (pair.first, pair.second):
                patches = [
                    strip(of[name], crop[:2])[y : y + 8, x : x + 8] * np.float32(0.125)
                    for name in listed.sides[side].images
                    for y in starts[0]
                    for x in starts[1]
                ]
                means.append(np.asarray(embedding(np.stack(patches))).mean(axis=0))
            norms = np.linalg.norm(means[0]) * np.linalg.norm(means[1])
            cosines.append(means[0] @ means[1] / norms)
        found.append(np.mean(cosines))
    return np.array(found)


def test_a_classifier_compares_by_the_cosine_of_its_embedding(store, listed, written):
    network = classifier_of_noise()
    found = gathered(listed, store, written(network))
    np.testing.assert_allclose(found[:, -1], plain_cosines(store, listed, network), rtol=1e-4)
    assert (np.abs(found) <= 1).all()


def test_a_classifier_of_larger_patches_than_the_crops_is_refused(store, listed, written):
    keras.utils.set_random_seed(1)
    large = classifier(Classifier(width=0.1), size=24, num_devices=3, is_residual=True)
    with pytest.raises(ValueError, match="takes patches of 24 px, and crops of 16 px hold none"):
        gathered(listed, store, written(large))
    larger = classifier(Classifier(width=0.1), size=48, num_devices=3, is_residual=True)
    with pytest.raises(ValueError, match="takes patches of 48 px, and the store has strips of 32"):
        gathered(listed, store, written(larger, "larger.keras"))


def test_what_a_classifier_s_patches_are_of_is_known_from_its_file(written):
    keras.utils.set_random_seed(1)
    pixels = classifier(Classifier(width=0.1), size=32, num_devices=3, is_residual=False)
    assert network_samples(written(pixels, "pixels.keras")) == "uint8"
    assert network_samples(written(classifier_of_noise(), "residuals.keras")) == "int8"
    assert network_samples(written(built(), "pairs.keras")) is None
    assert network_samples("/absent.keras") is None


def test_a_damaged_file_is_no_classifier_and_is_named_when_it_scores(store, listed, tmp_path):
    (tmp_path / "half.keras").write_bytes(network_bytes(classifier_of_noise())[:500])
    address = f"{tmp_path}/half.keras"
    assert network_samples(address) is None
    with pytest.raises(ValueError, match="half.keras: not a network, or damaged"):
        gathered(listed, store, address)
