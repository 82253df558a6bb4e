"""Networks: their shapes, what they see and what they don't, and their files."""

import io
import json
import re
import resource
import zipfile

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.comparison.networks import siamese as described
from camid.comparison.networks.files import network_bytes, read_network
from camid.comparison.networks.layers import Distance, Standardised, Unblocked
from camid.comparison.networks.siamese import EXTRACTORS, siamese
from camid.config import Siamese
from camid.io.folder import Folder
from camid.training.checkpoint import Progress, checkpoint_bytes

SIZE = 32

CONVOLUTIONS = re.compile("conv|stem|features")
WITH_MAPS = ["residual", "small"]


def network(extractor, *, size=SIZE, width=0.2, seed=1, **settings):
    """Return a network whose every weight tells, as after some training."""
    keras.utils.set_random_seed(seed)
    built = siamese(Siamese(extractor=extractor, width=width, **settings), size=size)
    rng = np.random.default_rng(seed)
    for weight in built.weights:
        noise = 0.1 * rng.standard_normal(weight.shape)
        weight.assign(weight + (np.abs(noise) if "variance" in weight.path else noise))
    return built


def sides(rng, num_pairs, size=SIZE):
    return rng.standard_normal((num_pairs, 2, size, size, 3), np.float32)


def logits(of, pairs):
    return np.asarray(of(pairs, training=False))


def stated(pattern):
    """Return the numbers that the networks' description states."""
    (found,) = re.findall(pattern, described.__doc__)
    return [int(number.replace(",", "")) for number in found]


@pytest.fixture(scope="module")
def networks():
    return {extractor: network(extractor) for extractor in EXTRACTORS}


@pytest.fixture(scope="module")
def whole():
    """The study's networks of full size."""
    names = ("report", "report-code")
    return {name: siamese(Siamese(extractor=name), size=128) for name in names}


@pytest.fixture
def mixed():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path))


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_a_pair_has_one_logit_whichever_side_is_first_and_whatever_else_is_scored(
    extractor, networks, rng
):
    built, pairs = networks[extractor], sides(rng, 5)
    found = logits(built, pairs)
    assert found.shape == (5, 1)
    assert np.ptp(found) > 1e-3
    np.testing.assert_allclose(logits(built, pairs[:, ::-1]), found, rtol=1e-4)
    np.testing.assert_allclose(logits(built, pairs[3:]), found[3:], rtol=1e-4)


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_all_pairs_of_equal_sides_have_one_logit(extractor, networks, rng):
    pairs = sides(rng, 3)[:, :1].repeat(2, axis=1)
    assert np.ptp(logits(networks[extractor], pairs)) < 1e-5


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_the_number_of_parameters_is_the_stated_one(extractor):
    found = re.search(rf"``{extractor}`` \(([\d,]*\d)", described.__doc__)
    total = siamese(Siamese(extractor=extractor), size=128).count_params()
    assert found[1] == f"{total:,}"


def test_crops_that_are_no_multiple_of_a_block_are_refused_where_blocks_are_taken_out():
    with pytest.raises(ValueError, match="pairs.crop_size = 27: expected a multiple of 8 px"):
        siamese(Siamese(), size=27)


@pytest.mark.parametrize(
    ("extractor", "pattern"),
    [("report", r"(\d+)×(\d+)×(\d+) → dense 1024"), ("report-code", r"\(→ (\d+)×(\d+)×(\d+)\)")],
)
def test_maps_shrink_to_the_stated_shape(extractor, pattern, whole):
    built = whole[extractor]
    assert list(built.get_layer("flat").input.shape[1:]) == stated(pattern)
    assert built.get_layer("features").output.shape == (None, 1024)


@pytest.mark.parametrize(
    ("extractor", "channels"),
    [("report", "32, 64, 128, 256, 512 channels, R"), ("report-code", "32, 64, 128, 128, 128 ch")],
)
def test_blocks_have_the_stated_numbers_of_channels(extractor, channels, whole):
    convolutions = [whole[extractor].get_layer(f"conv{block}") for block in range(5)]
    assert channels in described.__doc__
    assert [c.filters for c in convolutions] == [int(n) for n in re.findall(r"\d+", channels)]
    assert {c.kernel_size for c in convolutions} == {(3, 3)}


@pytest.mark.parametrize(
    ("extractor", "convolutions"),
    [
        ("residual", [("stem", 3, 16), ("conv0a", 3, 16), ("conv2b", 3, 16), ("features", 1, 8)]),
        ("small", [("conv0", 5, 8), ("features", 3, 8)]),
    ],
)
def test_full_resolution_networks_have_the_stated_convolutions(extractor, convolutions):
    built = siamese(Siamese(extractor=extractor), size=SIZE)
    for name, kernel, channels in convolutions:
        layer = built.get_layer(name)
        assert layer.kernel_size == (kernel, kernel)
        assert layer.output.shape == (None, SIZE, SIZE, channels)
    assert built.get_layer("distance").output.shape == (None, 8)


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_features_are_left_out_where_it_is_asked_for_and_in_training_alone(
    extractor, networks, rng
):
    pairs = sides(rng, 4)
    for built, is_left_out in ((networks[extractor], False), (network(extractor, dropout=0.3), 1)):
        assert any("dropout" in layer.name for layer in built.layers) == is_left_out
        for training in (False, True):
            first, second = (np.asarray(built(pairs, training=training)) for _ in range(2))
            assert np.allclose(first, second, rtol=1e-5) != (training and is_left_out)


@pytest.mark.parametrize("extractor", WITH_MAPS)
def test_full_resolution_networks_take_any_crop_size_with_the_same_weights(extractor, rng):
    shapes = set()
    for size in (16, 40):
        built = network(extractor, size=size)
        shapes.add(tuple(weight.shape for weight in built.weights))
        assert np.isfinite(logits(built, sides(rng, 2, size))).all()
    assert len(shapes) == 1


@pytest.mark.parametrize("extractor", WITH_MAPS)
def test_how_strong_and_how_bright_a_side_is_tells_nothing(extractor, networks, rng):
    built, pairs = networks[extractor], sides(rng, 3)
    others = pairs * rng.uniform(2, 5, (3, 2, 1, 1, 3)) + rng.uniform(-9, 9, (3, 2, 1, 1, 3))
    found = logits(built, others.astype(np.float32))
    np.testing.assert_allclose(found, logits(built, pairs), rtol=1e-3)


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize("width", [0.3, 1e-3])
def test_width_is_a_factor_on_channels_of_which_one_is_left_at_least(extractor, width):
    plain, other = (siamese(Siamese(extractor=extractor, width=w), size=16) for w in (1.0, width))
    pairs = [
        (one.output.shape[-1], two.output.shape[-1])
        for one, two in zip(plain.layers, other.layers, strict=True)
        if CONVOLUTIONS.match(one.name)
    ]
    assert len(pairs) >= 2
    assert all(found == max(1, round(count * width)) for count, found in pairs)


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_half_precision_is_of_layers_and_neither_of_weights_nor_logits(
    extractor, networks, rng, mixed
):
    built, pairs = network(extractor), sides(rng, 3)
    assert {weight.dtype for weight in built.weights} == {"float32"}
    assert built.get_layer("features").compute_dtype == "bfloat16"
    found = logits(built, pairs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, logits(networks[extractor], pairs), rtol=0.1, atol=0.1)


def test_equal_seeds_give_equal_networks_and_others_others():
    def weights(seed):
        keras.utils.set_random_seed(seed)
        return siamese(Siamese(), size=16).get_layer("conv0").kernel.numpy()

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.allclose(weights(1), weights(2))


@given(st.integers(1, 3), st.integers(3, 9), st.floats(0.2, 50), st.floats(-50, 50), st.data())
def test_standardised_maps_have_mean_0_and_deviation_1_each(count, side, scale, shift, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    maps = (scale * rng.standard_normal((2, side, side + 1, count)) + shift).astype(np.float32)
    found = np.asarray(Standardised()(maps))
    mean, deviation = maps.mean(axis=(1, 2), keepdims=True), maps.std(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found, (maps - mean) / deviation, rtol=1e-3, atol=1e-3)
    assert found.shape == Standardised().compute_output_shape(maps.shape)


def test_a_flat_map_is_standardised_to_nothing():
    assert (np.asarray(Standardised()(np.full((1, 4, 4, 2), 7, np.float32))) == 0).all()


@pytest.mark.parametrize("shape", [(5,), (4, 3, 5)])
def test_distance_is_between_neighbours_and_over_pixels_a_mean(rng, shape):
    features = rng.standard_normal((6, *shape), np.float32)
    plain = [np.abs(one - other) for one, other in zip(features[0::2], features[1::2], strict=True)]
    expected = np.array([d.mean(axis=(0, 1)) if d.ndim == 3 else d for d in plain])
    np.testing.assert_allclose(np.asarray(Distance()(features)), expected, rtol=1e-5)
    assert Distance().compute_output_shape(features.shape) == (None, 5)


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_a_network_that_was_saved_and_read_gives_equal_logits(extractor, networks, rng, folder):
    built, pairs = networks[extractor], sides(rng, 3)
    folder.write("one.keras", network_bytes(built))
    again = read_network(folder, "one.keras")
    np.testing.assert_array_equal(logits(again, pairs), logits(built, pairs))
    assert not again.compiled


def test_a_network_of_half_precision_is_read_as_one_anywhere(rng, folder, mixed):
    built, pairs = network("small"), sides(rng, 3)
    folder.write("one.keras", network_bytes(built))
    keras.config.set_dtype_policy("float32")
    again = read_network(folder, "one.keras")
    assert again.get_layer("features").compute_dtype == "bfloat16"
    np.testing.assert_array_equal(logits(again, pairs), logits(built, pairs))


@pytest.mark.parametrize(
    "data", [b"", b"some\ntext", checkpoint_bytes([np.ones(3)], Progress()), network_bytes]
)
def test_what_is_no_network_is_refused_with_one_sentence(data, networks, folder):
    if callable(data):
        data = data(networks["small"])[:-100]
    folder.write("one.keras", data)
    with pytest.raises(ValueError, match="^/.*/one.keras: not a network, or damaged: [^\n]*$"):
        read_network(folder, "one.keras")


def test_a_damaged_network_is_refused_with_one_sentence(networks, folder):
    data = bytearray(network_bytes(networks["small"]))
    data[len(data) // 2] ^= 1
    folder.write("one.keras", bytes(data))
    with pytest.raises(ValueError, match="^/.*/one.keras: not a network, or damaged: [^\n]*$"):
        read_network(folder, "one.keras")


@pytest.mark.parametrize(
    "layers",
    [
        [keras.layers.Dense(10**9)],
        [keras.layers.Dense(40_000), keras.layers.Dense(40_000)],
        [keras.layers.Embedding(10**10, 64)],
    ],
    ids=["wide", "wide twice", "long"],
)
def test_a_small_file_of_a_huge_network_takes_no_memory(layers, folder, networks):
    described = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {
            "name": "huge",
            "layers": [
                keras.saving.serialize_keras_object(layer)
                for layer in (keras.layers.InputLayer(batch_shape=(None, 4)), *layers)
            ],
        },
        "build_config": {"input_shape": [None, 4]},
    }
    folder.write("huge.keras", with_member(networks["small"], "config.json", described))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="huge.keras: not a network, or damaged: its layers have"):
        read_network(folder, "huge.keras")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB
    assert network("small").count_params() > 0  # and networks can be made after it


def with_member(network, name, value):
    """Return a network's file with another member of JSON."""
    held, file = io.BytesIO(network_bytes(network)), io.BytesIO()
    with zipfile.ZipFile(held) as old, zipfile.ZipFile(file, "w") as new:
        for member in old.namelist():
            new.writestr(member, json.dumps(value) if member == name else old.read(member))
    return file.getvalue()


@pytest.mark.parametrize(
    "described",
    [None, [], {}, {"config": 1}, {"module": "keras", "class_name": "Sequential", "config": {}}],
)
def test_a_description_of_no_network_is_refused_with_one_sentence(described, folder, networks):
    folder.write("one.keras", with_member(networks["small"], "config.json", described))
    with pytest.raises(ValueError, match="^/.*/one.keras: not a network, or damaged: [^\n]*$"):
        read_network(folder, "one.keras")


def test_a_network_that_is_not_there_is_named(folder):
    with pytest.raises(ValueError, match="^/.*/none.keras: no such network$"):
        read_network(folder, "none.keras")


def test_code_in_a_file_is_not_run(folder):
    unsafe = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
    folder.write("one.keras", network_bytes(unsafe))
    with pytest.raises(ValueError, match="one.keras: not a network, or damaged: .*Lambda"):
        read_network(folder, "one.keras")


def test_a_file_holds_names_of_layers_and_no_pickle(networks, tmp_path, folder):
    folder.write("one.keras", network_bytes(networks["small"]))
    with zipfile.ZipFile(tmp_path / "one.keras") as file:
        assert not [name for name in file.namelist() if "pkl" in name]
        assert "camid>Distance" in file.read("config.json").decode()


def test_unblocked_takes_the_mean_block_out_and_nothing_else(rng):
    images = rng.standard_normal((3, 32, 48, 3), np.float32)
    tiles = images.reshape(3, 4, 8, 6, 8, 3)
    expected = (tiles - tiles.mean(axis=(1, 3), keepdims=True)).reshape(images.shape)
    assert np.allclose(Unblocked()(images), expected, atol=1e-5)
    grid = np.tile(rng.standard_normal((1, 8, 8, 3)), (1, 4, 6, 1)).astype(np.float32)
    assert np.allclose(Unblocked()(images + grid), expected, atol=1e-5)
