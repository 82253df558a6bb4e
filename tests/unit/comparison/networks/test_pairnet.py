"""The pair network, and the same without Keras."""

import io
import zipfile

import keras
import numpy as np
import pytest

from camid.comparison.methods import METHODS
from camid.comparison.methods.method import Tile
from camid.comparison.methods.networks import network_method, network_samples
from camid.comparison.methods.pairnet import evidence_by_keras, products, shipped_network
from camid.comparison.networks.files import network_bytes, read_network
from camid.comparison.networks.pairnet import pairnet
from camid.comparison.networks.pairnet_numpy import (
    CHANNELS,
    LAGS,
    MEMBER,
    NUM_SUMS,
    STRENGTHS,
    evidence,
    likelihood_ratio,
    read_weights,
)
from camid.config import PairNet
from camid.io.folder import Folder
from camid.prnu.luminance import LUMA

SETTINGS = PairNet(filters=3, channels=5, blocks=1, planes=2)
SIZE = 24


@pytest.fixture(scope="module")
def network():
    """Return a network none of whose weights are as they begin."""
    keras.utils.set_random_seed(5)
    found = pairnet(SETTINGS)
    rng = np.random.default_rng(1)
    found.set_weights([w + rng.normal(0, 0.2, w.shape) for w in found.get_weights()])
    return found


@pytest.fixture(scope="module")
def weights(network):
    return read_weights(network_bytes(network))


def images(count, *, size=SIZE, seed=2):
    """Return residuals ``(image, size, size, 3)`` and intensities."""
    rng = np.random.default_rng(seed)
    residuals = rng.normal(0, 2, (count, size, size, 3)).astype(np.float32)
    return residuals, rng.integers(0, 256, (count, size // 4, size // 4)).astype(np.uint8)


def levels(residuals, intensities):
    """Return what the network takes ``(image, size, size, 4)``."""
    large = intensities.repeat(4, axis=1).repeat(4, axis=2).astype(np.float32) - 128
    return np.concatenate([residuals, large[..., None]], axis=-1)


def pairs(count, *, num_images=3, size=SIZE, seed=2):
    made = levels(*images(count * 2 * num_images, size=size, seed=seed))
    return made.reshape(count, 2, num_images, size, size, CHANNELS)


def llrs(network, some):
    return np.asarray(network(some)).ravel()


@pytest.mark.parametrize("size", [16, 40])
def test_an_images_evidence_is_the_same_without_keras(network, weights, size):
    residuals, intensities = images(2, size=size)
    expected = np.asarray(network.get_layer("evidence")(levels(residuals, intensities)))
    found = [evidence(*each, weights) for each in zip(residuals, intensities, strict=True)]
    np.testing.assert_allclose(np.moveaxis(found, 1, -1), expected, rtol=1e-3, atol=1e-3)
    by_keras = evidence_by_keras(residuals[0], intensities[0], weights)
    np.testing.assert_allclose(by_keras, found[0], rtol=1e-3, atol=1e-3)


def test_a_pairs_likelihood_ratio_is_the_same_without_keras(network, tmp_path):
    Folder(str(tmp_path)).write("own.keras", network_bytes(network))
    method = network_method(f"{tmp_path}/own.keras")
    residuals, intensities = images(6)
    made = [method.first.gathered.of(*each) for each in zip(residuals, intensities, strict=True)]
    totals = [np.sum(some, axis=0, dtype=np.float32) for some in (made[:3], made[3:])]
    sides = [method.first.prepared(total, 3) for total in totals]
    tile = Tile(
        first=np.stack(sides[:1]),
        second=np.stack(sides[1:]),
        pairs=np.array([[0, 0]]),
        corners=np.array([[0, 0]]),
        size=SIZE,
    )
    expected = llrs(network, pairs(1))
    found = method.score(method.evidence(tile))
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)


def test_the_two_sides_are_alike(network):
    some = pairs(4)
    np.testing.assert_allclose(
        llrs(network, some), llrs(network, some[:, ::-1]), rtol=1e-4, atol=1e-5
    )


def test_images_of_zeros_and_their_order_change_nothing(network):
    some = pairs(4)
    more = np.concatenate([some[:, :, ::-1], np.zeros_like(some)], axis=2)
    np.testing.assert_allclose(llrs(network, some), llrs(network, more), rtol=1e-4, atol=1e-5)


def test_any_size_and_number_of_images_is_taken(network):
    for size, num_images in ((8, 1), (32, 5)):
        assert llrs(network, pairs(2, size=size, num_images=num_images)).shape == (2,)


def test_a_network_begins_as_a_residual_over_the_energy_around_it():
    keras.utils.set_random_seed(3)
    part = pairnet(SETTINGS).get_layer("evidence")
    last = part.get_layer("reliability")
    last.set_weights([np.zeros_like(w) for w in last.get_weights()])
    residuals, intensities = images(1, size=32)
    found = np.asarray(part(levels(residuals, intensities)))[0, 4:-4, 4:-4, 0]
    grey = residuals[0] @ LUMA
    cells = (grey**2).reshape(8, 4, 8, 4).mean(axis=(1, 3))
    around = np.lib.stride_tricks.sliding_window_view(cells, (3, 3)).mean(axis=(2, 3))
    expected = grey[4:-4, 4:-4] / (around.repeat(4, 0).repeat(4, 1) + 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("energy", [1e2, 1e4, 1e6])
def test_the_likelihood_ratio_of_strangers_is_1_on_average(weights, energy):
    """At every weight of the evidence: that weight alone says nothing about the device."""
    scores, step = np.linspace(-40, 60, 20_001, retstep=True)
    squares = energy**2 / 400
    sums = np.zeros((len(scores), NUM_SUMS))
    sums[:, 0], sums[:, 1] = scores * weights.deviation * np.sqrt(squares), squares
    sums[:, 2], sums[:, 3], sums[:, 4] = energy, energy, 400
    density = np.exp(-(scores**2) / 2) / np.sqrt(2 * np.pi)
    mean = step * (density * np.exp(likelihood_ratio(sums, weights))).sum()
    assert mean == pytest.approx(1, abs=1e-4)


def told(product, *, squares=4.0, at_lags=0.0):
    """Return sums over 400 pixels."""
    return np.array([product, squares, 60, 70, 400, *np.broadcast_to(at_lags, len(LAGS))])


def test_the_likelihood_ratio_rises_with_what_two_sides_have_in_common(weights):
    sums = np.array([told(product) for product in np.linspace(-20, 40, 50)])
    assert (np.diff(likelihood_ratio(sums, weights)) >= 0).all()


def test_nothing_that_varies_gives_no_likelihood_ratio(weights):
    assert np.isnan(likelihood_ratio(np.array([0.0, 0, 0, 0, 400, *[0] * len(LAGS)]), weights))


def test_no_correlation_is_one_of_the_strengths_so_that_the_ratio_is_bounded_below(weights):
    assert STRENGTHS[0] == 0
    assert np.isfinite(likelihood_ratio(told(-1e9), weights))


def test_what_two_sides_have_in_common_at_lags_too_is_no_evidence(weights):
    alone, lattice = told(30), told(30, at_lags=30)
    assert likelihood_ratio(lattice, weights) <= 0 < likelihood_ratio(alone, weights)


def test_the_more_products_vary_with_the_lag_the_less_one_of_them_says(weights):
    ways = np.array([told(30, at_lags=np.resize([-some, some], len(LAGS))) for some in (5, 10, 20)])
    assert (np.diff(likelihood_ratio(ways, weights)) < 0).all()


def test_products_are_summed_over_a_window_and_over_planes():
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=(2, 3, 2, SIZE, SIZE)).astype(np.float32)
    corners, size = np.array([[0, 8], [4, 4]]), 12
    tile = Tile(first, second, np.array([[0, 2], [1, 1]]), corners, size)
    for found, (one, other), (y, x) in zip(products(tile), tile.pairs, corners, strict=True):
        a, b = (s[:, y : y + size, x : x + size] for s in (first[one], second[other]))
        both = (a * b).sum(axis=0)
        shifted = [np.roll(b, (-down, -across), (1, 2)) for down, across in LAGS]
        expected = [both.sum(), (both**2).sum(), (a**2).sum(), (b**2).sum(), size**2]
        expected += [(a * c).sum() for c in shifted]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_network_is_read_back_in_keras_safe_mode(network, tmp_path):
    folder = Folder(str(tmp_path))
    folder.write("own.keras", network_bytes(network))
    some = pairs(2)
    np.testing.assert_allclose(
        llrs(read_network(folder, "own.keras"), some), llrs(network, some), rtol=1e-5
    )
    assert network_samples(f"{tmp_path}/own.keras") == "int8"


def test_a_file_that_is_no_network_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="holds no pair network"):
        read_weights(b"none")


def test_the_shipped_network_is_small_and_has_the_planes_that_its_method_says():
    assert len(shipped_network()) < 5e6
    weights = read_weights(shipped_network())
    assert weights.num_planes == METHODS["pairnet"].first.gathered.num_planes


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("kernel/stem"),
        lambda arrays: arrays.pop("bias/conv0a"),
        lambda arrays: arrays.update({"kernel/context": np.zeros((1, 1, 9, 9), np.float32)}),
        lambda arrays: arrays.update({"kernel/bank": np.zeros((3, 3, 3, 16), np.float32)}),
        lambda arrays: arrays.update({"kernel/bank": np.zeros(3, np.float32)}),
        lambda arrays: arrays.update({"kernel/reliability": np.zeros((1, 1, 48, 7), np.float32)}),
        lambda arrays: arrays.update({"prior": np.zeros((3, 2))}),
        lambda arrays: arrays.update({"deviation": np.zeros(2)}),
        lambda arrays: arrays.update({"deviation": np.array(np.nan)}),
        lambda arrays: arrays.update({"bias/stem": np.full(48, np.inf, np.float32)}),
        lambda arrays: arrays.update({"bias/stem": np.zeros(48)}),
    ],
)
def test_weights_that_do_not_fit_one_another_are_refused(change):
    """Compiled loops check no bounds: they would read what is beyond."""
    with np.load(io.BytesIO(shipped_network())) as file:
        arrays = dict(file)
    change(arrays)
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    with pytest.raises(ValueError, match="holds no pair network: "):
        read_weights(sink.getvalue())


def test_an_archive_within_itself_is_no_pair_network():
    inner = b""
    for _ in range(3):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(MEMBER, inner)
        inner = file.getvalue()
    with pytest.raises(ValueError, match="holds no pair network"):
        read_weights(inner)
