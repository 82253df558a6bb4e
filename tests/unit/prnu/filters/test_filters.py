import numpy as np
import pytest
import pywt
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal
from scipy.ndimage import gaussian_filter

from camid.config import Residual, load_config
from camid.dataset.records import chunk_name
from camid.dataset.sources import find_files, read_headers
from camid.io.folder import Folder
from camid.io.images import pixels
from camid.prnu.correlation import ncc
from camid.prnu.enhancers import enhanced_wavelet
from camid.prnu.filters import FILTERS
from camid.prnu.residual import quantised, residual, restored
from camid.store.chunk_file import ChunkFile
from camid.store.chunk_plan import chunks_of, planned
from camid.store.make_chunk import make_chunk, smallest_side

DENOISERS = sorted(set(FILTERS) - {"none"})


def photograph(rng, *, noise):
    """Bright and dark shapes with the edges that a lens gives, and noise."""
    light = gaussian_filter(rng.normal(0, 1, noise.shape[:2]), 12, mode="wrap")
    scene = 128 + gaussian_filter(40 * np.sign(light), 1) + 30 * light / np.abs(light).max()
    colours = np.stack([scene, scene + 10, scene - 10], axis=-1)
    return np.clip(np.rint(colours + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", DENOISERS)
def test_a_residual_correlates_with_the_noise_that_was_planted(name, rng):
    noise = rng.normal(0, 3, (256, 320, 3))
    image = photograph(rng, noise=noise)
    found = residual(image, filter=name)
    other = rng.normal(0, 3, noise.shape)
    assert ncc(found, noise) > 0.35
    assert abs(ncc(found, other)) < 0.02


@pytest.mark.parametrize("name", DENOISERS)
def test_the_mean_of_residuals_comes_nearer_to_the_pattern_the_more_there_are(name, rng):
    pattern = rng.normal(0, 1, (128, 128, 3))
    shots = [photograph(rng, noise=pattern + rng.normal(0, 2, pattern.shape)) for _ in "12345678"]
    noises = residual(np.stack(shots), filter=name)
    nearness = [ncc(noises[:count].mean(axis=0), pattern) for count in (1, 2, 4, 8)]
    assert nearness == sorted(nearness)
    assert nearness[-1] > 1.5 * nearness[0]


@pytest.mark.parametrize("name", DENOISERS)
@pytest.mark.parametrize("level", [0, 1, 200, 255])
def test_a_constant_image_has_no_residual(name, level):
    assert np.abs(residual(np.full((160, 160, 3), level, np.uint8), filter=name)).max() < 1e-3


@pytest.mark.parametrize("name", DENOISERS)
@pytest.mark.parametrize("shape", [(131, 200, 3), (120, 121, 3), (257, 129)])
def test_sizes_may_be_odd(name, shape, rng):
    found = residual(rng.integers(0, 256, shape, dtype=np.uint8), filter=name)
    assert (found.shape, found.dtype) == (shape, np.float32)
    assert np.isfinite(found).all()
    assert found.std() > 0.1


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_batch_of_strips_is_filtered_strip_by_strip(name, rng):
    strips = rng.integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    before = strips.copy()
    together = residual(strips, filter=name)
    alone = np.stack([residual(strip, filter=name) for strip in strips])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_array_equal(strips, before)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_planes_are_filtered_on_their_own(name, rng):
    image = rng.integers(0, 256, (128, 144, 3), dtype=np.uint8)
    noise = residual(image, filter=name)
    for channel in range(3):
        alone = residual(image[:, :, channel], filter=name)
        np.testing.assert_allclose(noise[:, :, channel], alone, atol=1e-5)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_floats_are_filtered_as_bytes_are(name, rng):
    image = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    floats = residual(image.astype(np.float32), filter=name)
    np.testing.assert_allclose(floats, residual(image, filter=name), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "setting", "values"),
    [
        ("lukas", "sigma", (1.0, 3.0, 5.0, 9.0)),
        ("wiener", "sigma", (1.0, 3.0, 5.0, 9.0)),
        ("gaussian", "blur", (0.5, 1.0, 2.0, 4.0)),
    ],
)
def test_a_larger_setting_removes_more(name, setting, values, rng):
    image = photograph(rng, noise=rng.normal(0, 3, (256, 256, 3)))
    powers = [residual(image, filter=name, **{setting: value}).std() for value in values]
    assert powers == sorted(powers)
    assert powers[0] < 0.95 * powers[-1]


@pytest.mark.parametrize("name", DENOISERS)
def test_a_filter_is_not_moved_by_settings_that_are_not_its_own(name, rng):
    image = rng.integers(0, 256, (128, 128), dtype=np.uint8)
    own = {"lukas": {"sigma", "wavelet", "levels"}, "wiener": {"sigma", "window"}}
    own |= {"gaussian": {"blur"}, "report2021": set()}
    other = {"sigma": 3.0, "wavelet": "db2", "levels": 2, "window": 5, "blur": 2.0}
    usual = residual(image, filter=name)
    for setting, value in other.items():
        moved = not np.array_equal(residual(image, filter=name, **{setting: value}), usual)
        assert moved == (setting in own[name]), setting


def plain_wiener(plane, *, sigma, window):
    """MATLAB's wiener2 in float64, mirrored, every window by itself."""
    around = np.pad(plane.astype(np.float64), window // 2, mode="symmetric")
    windows = sliding_window_view(around, (window, window))
    mean, variance = windows.mean(axis=(2, 3)), windows.var(axis=(2, 3))
    gain = np.maximum(variance - sigma**2, 0) / np.maximum(variance, sigma**2)
    return plane - (mean + gain * (plane - mean))


@pytest.mark.parametrize("window", [3, 5, 9])
@pytest.mark.parametrize("brightness", [0, 200])
def test_wiener_equals_the_formula(window, brightness, rng):
    """Also far from black, where float32 squares would leave no digits for a variance."""
    plane = rng.integers(0, 56, (91, 120), dtype=np.uint8) + np.uint8(brightness)
    plane[:, 60:] = brightness  # weak noise and none beside an edge
    plane[::7, 60:] += 1
    found = residual(plane, filter="wiener", sigma=5.0, window=window)
    np.testing.assert_allclose(found, plain_wiener(plane, sigma=5.0, window=window), atol=1e-3)


def test_gaussian_takes_low_frequencies_away_and_leaves_high_ones():
    y, x = np.mgrid[:128, :128]
    slow, fast = 100 + 50 * np.sin(2 * np.pi * y / 64), 20 * (-1.0) ** (x + y)
    found = residual((slow + fast).astype(np.float32), filter="gaussian", blur=1.0)
    inner = (slice(8, 120), slice(8, 120))
    assert np.abs(found - fast)[inner].max() < 0.5


def plain_report2021(plane):
    """The notebooks' steps by the libraries they call, in float64."""
    plane = plane.astype(np.float64)
    bands = pywt.wavedec2(plane, "db8", level=3)
    with np.errstate(divide="ignore", invalid="ignore"):  # SciPy divides by variances of 0
        denoised = [bands[0], *(tuple(signal.wiener(b, 5) for b in level) for level in bands[1:])]
    clean = pywt.waverec2(denoised, "db8")[: plane.shape[0], : plane.shape[1]]
    ratio = (plane - clean) / np.maximum(clean, 1)
    median = np.median(ratio)
    reach = 5 * np.median(np.abs(ratio - median))
    ratio = np.clip(ratio, median - reach, median + reach)
    share = (ratio - ratio.min()) / (ratio.max() - ratio.min())
    return np.rint(share * 254) - 127


@pytest.mark.parametrize("shape", [(128, 128), (131, 202), (300, 260)])
def test_report2021_follows_the_steps_of_the_notebooks(shape, rng):
    image = photograph(rng, noise=rng.normal(0, 3, (*shape, 3)))[:, :, 1]
    image[40:80, 40:80] = 0  # where the ratio has nothing to be divided by
    levels = residual(image, filter="report2021") / 0.125
    np.testing.assert_array_equal(levels, np.rint(levels))
    assert (levels.min(), levels.max()) == (-127, 127)
    assert np.abs(levels - plain_report2021(image)).max() <= 1  # float32 may round a level over


def test_a_store_keeps_the_levels_of_report2021(rng):
    image = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    found = residual(image, filter="report2021")
    np.testing.assert_array_equal(restored(quantised(found)), found)


def test_report2021_makes_nothing_of_a_saturated_tile(rng):
    """A few pixels below white leave most ratios 0, and a deviation of nothing to stretch."""
    image = np.full((256, 256), 255, np.uint8)
    image[100:104, 100:104] = 90
    assert not residual(image, filter="report2021").any()


@pytest.mark.parametrize("name", DENOISERS)
@pytest.mark.parametrize("extent", ["image", "strip"])
def test_li_s_enhancer_works_on_the_store_of_every_filter(name, extent, rng, write_image, tmp_path):
    pattern = rng.normal(0, 3, (256, 512, 3))
    for number in range(2):
        shot = photograph(rng, noise=pattern + rng.normal(0, 1, pattern.shape))
        write_image(f"photographs/device/{number}.png", shot)
    config = load_config(settings=[f"residual.filter={name}", f"residual.extent={extent}"])
    files = find_files(str(tmp_path / "photographs"))
    records = list(read_headers(files, min_side=smallest_side(config), max_megapixels=100))
    (chunk,) = chunks_of(planned(records, strips=config.strips, chunks=config.chunks, seed=1))
    store = Folder(str(tmp_path / "store"))
    make_chunk(chunk, store=store, config=config)
    with ChunkFile(store, chunk_name(chunk.device, chunk.number)) as file:
        made = file.format["filter"]
        first, second = file.read(0).residuals()[..., 1]
    image = pixels(Folder(chunk.images[0].path).read())
    given = image[:256, :256] if extent == "strip" else image
    expected = restored(quantised(residual(given, filter=name)))[:256, :256, 1]
    np.testing.assert_allclose(first, expected, atol=0.13)
    query = enhanced_wavelet(first, wavelet=made["wavelet"], levels=made["levels"])
    assert ncc(query, second) > 0.2


def test_every_filter_can_be_configured_and_no_other():
    for name in FILTERS:
        assert load_config(settings=[f"residual.filter={name}"]).residual == Residual(filter=name)
    with pytest.raises(ValueError, match="input should be 'lukas', 'wiener'"):
        load_config(settings=["residual.filter=bm3d"])
    with pytest.raises(ValueError, match="a window around a pixel has an odd size, got 4"):
        load_config(settings=["residual.window=4"])
    with pytest.raises(ValueError, match="residual.blur = 0: input should be greater than 0"):
        load_config(settings=["residual.blur=0"])


def test_strips_that_are_too_small_for_a_filter_are_refused_before_work():
    def smallest(*settings):
        return smallest_side(load_config(settings=["strips.size=96", *settings]))

    with pytest.raises(ValueError, match="96x96 px allows at most 2 levels of 'db8', got levels=3"):
        smallest("residual.filter=report2021", "residual.levels=3")
    with pytest.raises(ValueError, match="96x96 px allows at most 3 levels of 'db4', got levels=4"):
        smallest("residual.filter=wiener")
    assert smallest("residual.filter=wiener", "residual.levels=3") == 96
    assert smallest("residual.filter=none") == 96


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="no filter 'lucas'; there are gaussian, lukas, none, rep"):
        residual(np.zeros((128, 128), np.uint8), filter="lucas")
    with pytest.raises(ValueError, match="96x128 px|128x96 px"):
        residual(np.zeros((96, 128), np.uint8), filter="report2021")
    for window in (0, 4):
        with pytest.raises(ValueError, match=f"expected a window of 3, 5, .* got window={window}"):
            residual(np.zeros((128, 128), np.uint8), filter="wiener", window=window)
    with pytest.raises(ValueError, match="expected a blur of more than 0 pixels, got blur=-1"):
        residual(np.zeros((128, 128), np.uint8), filter="gaussian", blur=-1)
