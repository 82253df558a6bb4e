import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps, JpegImagePlugin
from scipy.ndimage import convolve1d, uniform_filter

from camid.config import Simulate, Splits
from camid.dataset.records import ImageRecord
from camid.dataset.simulate import phones, photograph_names, write_pattern
from camid.dataset.simulate.development import _boxed, _sharpened, _smoothed, developed
from camid.dataset.simulate.models import drawn_model
from camid.dataset.simulate.phone import TURNED
from camid.dataset.simulate.scenes import background, foreground
from camid.dataset.simulate.sensor import TAPS, Exposure, _mosaic, falloff, raw_signal
from camid.dataset.sources.socrates import place
from camid.dataset.splits import named_split
from camid.evaluation.metrics import roc_auc
from camid.io.folder import Folder
from camid.io.images import pixels
from camid.prnu.correlation import ncc
from camid.prnu.fingerprint import reference_pattern
from camid.prnu.luminance import grey
from camid.prnu.residual import residual

SETTINGS = Simulate(
    num_devices=4,
    num_models=2,
    sizes=((384, 256),),
    portraits=0,
    pattern_strength=0.02,
    pattern_spread=0,
)
MODEL = drawn_model(SETTINGS, 0, seed=5)
PLAIN = Exposure(light=0.4, stops=0, seconds=0.01, blur=0.8)


@pytest.fixture(scope="module")
def four_phones():
    return phones(SETTINGS, seed=5)


def residuals(phone, kind, numbers):
    return np.stack([grey(residual(pixels(phone.photograph(kind, n)))) for n in numbers])


def patterns(settings, *, num_images=8):
    """Return the reference patterns of the devices of a simulation."""
    return [
        reference_pattern(residuals(phone, "background", range(num_images)))
        for phone in phones(settings, seed=5)
    ]


def uniform(shape, *colour):
    return np.ones((3, *shape), np.float32) * np.asarray(colour, np.float32)[:, None, None]


def read(model, planes, exposure=PLAIN, *, gain=None, dark=None, seed=1):
    shape = planes.shape[1:]
    return raw_signal(
        planes,
        model.sensor,
        exposure,
        gain=np.ones(shape, np.float32) if gain is None else gain,
        dark=np.zeros(shape, np.float32) if dark is None else dark,
        rng=np.random.default_rng(seed),
    )


def test_equal_seeds_give_equal_bytes(four_phones):
    again = phones(SETTINGS, seed=5)[1]
    assert again.photograph("foreground", 3) == four_phones[1].photograph("foreground", 3)
    other = phones(SETTINGS, seed=6)[1]
    assert other.photograph("foreground", 3) != again.photograph("foreground", 3)


def test_no_two_photographs_show_the_same(four_phones):
    phone = four_phones[0]
    taken = {phone.photograph(kind, n) for kind in ("background", "foreground") for n in (1, 2)}
    assert len(taken) == 4


def test_a_planted_pattern_is_found_again(four_phones):
    phone, other = four_phones[0], four_phones[1]
    found = reference_pattern(residuals(phone, "background", range(8)))
    assert ncc(found, phone.pattern()) > 0.25
    assert abs(ncc(found, other.pattern())) < 0.02


def test_more_images_find_the_pattern_better(four_phones):
    phone = four_phones[1]
    taken = residuals(phone, "background", range(16))
    correlations = [ncc(reference_pattern(taken[:n]), phone.pattern()) for n in (1, 4, 16)]
    assert correlations == sorted(correlations)
    assert correlations[2] > 1.2 * correlations[0]


def test_a_photograph_correlates_with_its_own_device(four_phones):
    galleries = patterns(SETTINGS)
    labels, scores = [], []
    for own, phone in enumerate(four_phones):
        for noise in residuals(phone, "foreground", range(3)):
            labels += [int(own == column) for column in range(len(galleries))]
            scores += [ncc(noise, pattern) for pattern in galleries]
    assert roc_auc(labels, scores) > 0.97


def test_devices_of_one_model_share_everything_but_the_pattern(four_phones):
    one, other, two = four_phones[:3]
    shared = [Image.open(io.BytesIO(p.photograph("background", 1))) for p in (one, other, two)]
    names = [(i.getexif()[271], i.getexif()[272], i.quantization) for i in shared]
    assert names[0] == names[2] != names[1]
    assert (one.model.shared_gain() == two.model.shared_gain()).all()
    assert abs(ncc(one.pattern(), two.pattern())) < 0.02


def test_devices_of_one_model_look_alike_as_much_as_their_kinship_says():
    alike = []
    for kinship in (0.0, 0.3, 0.8):
        changed = {"kinship": (kinship, kinship), "num_background": 4}
        one, other, sibling = patterns(Simulate(**{**vars(SETTINGS), **changed}), num_images=6)[:3]
        alike.append(ncc(one, sibling) - ncc(one, other))
    assert abs(alike[0]) < 0.02
    assert alike[0] + 0.02 < alike[1] < alike[2]


ANY = replace(SETTINGS, cameras="any", num_models=24)


def test_cameras_of_any_kind_differ_more_than_phones():
    phone, camera = (
        [drawn_model(settings, number, seed=5) for number in range(24)]
        for settings in (replace(ANY, cameras="phones"), ANY)
    )
    for value in (
        lambda model: np.log(model.sensor.full_well),
        lambda model: model.processing.smoothing,
        lambda model: model.processing.sharpening,
        lambda model: model.sensor.lens_blur,
    ):
        assert np.std([value(m) for m in camera]) > np.std([value(m) for m in phone])
    assert {m.processing.reduction for m in phone} == {1.0}
    assert {m.processing.subsampling for m in camera} == {"4:4:4", "4:2:2", "4:2:0"}


def test_what_a_camera_reduces_has_the_pixels_that_are_asked_for_and_its_pattern_still():
    number = next(n for n in range(24) if drawn_model(ANY, n, seed=5).processing.reduction > 1)
    first, second = (
        phone
        for phone in phones(replace(ANY, num_devices=48), seed=5)
        if phone.model.number == number
    )
    assert first.model.sensor.width > ANY.sizes[0][0]
    sides = [
        [residuals(phone, "background", some) for some in (range(8), range(8, 16))]
        for phone in (first, second)
    ]
    assert sides[0][0].shape[1:] == ANY.sizes[0][::-1]
    (one, again), (other, _) = [[reference_pattern(side) for side in sides_] for sides_ in sides]
    assert ncc(one, again) > 2 * abs(ncc(one, other))


def test_a_device_does_not_depend_on_how_many_there_are(four_phones):
    more = phones(Simulate(**{**vars(SETTINGS), "num_devices": 9}), seed=5)
    assert more[:4] == four_phones


def test_photographs_have_the_names_and_exif_of_socrates(four_phones):
    names = [name for *_, name in photograph_names(four_phones[0], SETTINGS)]
    assert len(names) == SETTINGS.num_background + SETTINGS.num_foreground
    assert {place(name).device for name in names} == {"100"}
    exif = Image.open(io.BytesIO(four_phones[0].photograph("background", 1))).getexif()
    model = four_phones[0].model
    assert (exif[271], exif[272]) == (model.make, model.name)
    assert exif.get_ifd(0x8769)[34855] % model.sensor.base_iso == 0


def test_a_file_has_its_models_own_tables_and_subsampling(four_phones):
    for phone in four_phones[:2]:
        image = Image.open(io.BytesIO(phone.photograph("foreground", 1)))
        how = phone.model.processing
        assert image.quantization == {0: [*how.luma_table], 1: [*how.chroma_table]}
        sampling = {"4:2:2": 1, "4:2:0": 2}[how.subsampling]
        assert JpegImagePlugin.get_sampling(image) == sampling


def test_models_have_the_sizes_that_are_asked_for():
    sizes = ((384, 256), (256, 320))
    taken = phones(Simulate(num_devices=3, num_models=3, sizes=sizes, portraits=0), seed=1)
    found = [Image.open(io.BytesIO(phone.photograph("foreground", 1))).size for phone in taken]
    assert found == [(384, 256), (256, 320), (384, 256)]


def test_portraits_are_turned_in_their_exif_or_in_their_pixels():
    settings = Simulate(num_devices=24, num_models=24, sizes=((384, 256),), portraits=1)
    ways = set()
    for phone in phones(settings, seed=1):
        image = Image.open(io.BytesIO(phone.photograph("foreground", 1)))
        turns = phone.model.processing.turns_pixels
        expected = ((256, 384), 1) if turns else ((384, 256), TURNED)
        assert (image.size, image.getexif()[274]) == expected
        assert Image.open(io.BytesIO(phone.photograph("background", 1))).size == (384, 256)
        ways.add(turns)
    assert ways == {True, False}


def test_portraits_stand_upright_when_their_exif_is_applied():
    """Skies are above and brighter, in the mean over photographs of both kinds of phone."""
    settings = Simulate(num_devices=24, num_models=24, sizes=((384, 256),), portraits=1)
    lighter = {True: [], False: []}
    for phone in phones(settings, seed=1):
        for number in range(24 if phone.model.processing.turns_pixels else 6):
            image = Image.open(io.BytesIO(phone.photograph("foreground", number)))
            upright = np.asarray(ImageOps.exif_transpose(image).convert("L"), np.float32)
            assert upright.shape == (384, 256)
            above, below = upright[:100].mean(), upright[-100:].mean()
            lighter[phone.model.processing.turns_pixels].append(above - below)
    assert np.mean(lighter[True]) > 5
    assert np.mean(lighter[False]) > 5


def test_a_planted_pattern_can_be_written(four_phones, tmp_path):
    write_pattern(four_phones[0], Folder(str(tmp_path)))
    written = np.load(tmp_path / "100.npy", allow_pickle=False)
    np.testing.assert_array_equal(written, four_phones[0].pattern())


@pytest.mark.parametrize("stops", [0, 2, 4])
def test_noise_is_that_of_photons_and_of_reading(stops):
    """Foi et al.: the variance is the signal plus the read noise's, in electrons."""
    shape, sensor = (400, 600), MODEL.sensor
    raw = read(
        MODEL, uniform(shape, 1, 1, 1), Exposure(light=0.4, stops=stops, seconds=0, blur=0.8)
    )
    green = raw[sensor.cfa[0] :: 2, 1 - sensor.cfa[1] :: 2]
    electrons = sensor.full_well / 2**stops
    expected = (0.4 * electrons + sensor.read_noise**2 + sensor.row_noise**2) / electrons**2
    expected += 1 / 12 / (2**sensor.bits - 1) ** 2
    assert green.mean() == pytest.approx(0.4, rel=2e-3)
    assert green.var() == pytest.approx(expected, rel=0.03)


def test_the_pattern_multiplies_light_and_dark_offsets_add():
    shape = (64, 96)
    gain, dark = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    gain[10, 20], dark[30, 40] = 1.5, MODEL.sensor.full_well / 2
    lit = read(MODEL, uniform(shape, 1, 1, 1), gain=gain, dark=dark)
    black = read(MODEL, uniform(shape, 0, 0, 0), gain=gain, dark=dark)
    usual = read(MODEL, uniform(shape, 1, 1, 1))
    assert lit[10, 20] == pytest.approx(1.5 * usual[10, 20], rel=0.1)
    assert abs(black[10, 20]) < 0.01
    assert black[30, 40] == pytest.approx(0.5, abs=0.05)


def test_light_beyond_full_scale_is_saturated():
    raw = read(MODEL, uniform((32, 32), 9, 9, 9))
    assert (raw == 1).mean() > 0.99


def test_each_photosite_sees_its_own_colour_through_the_lens():
    """Against plain correlation of each plane, at all four phases of the colour filter array."""
    planes = np.random.default_rng(3).random((3, 40, 52), np.float32)
    taps = np.exp(-0.5 * (np.arange(-TAPS, TAPS + 1) / 0.9) ** 2).astype(np.float32)
    blurred = convolve1d(convolve1d(planes, taps, axis=1, mode="nearest"), taps, mode="nearest")
    scale = np.array([0.5, 1, 2], np.float32)
    for cfa in ((0, 0), (0, 1), (1, 0), (1, 1)):
        rows, columns = (np.arange(n) + shift & 1 for n, shift in zip((40, 52), cfa, strict=True))
        colour = rows[:, None] + columns[None, :]
        expected = np.take_along_axis(blurred, colour[None], 0)[0] * scale[colour]
        np.testing.assert_allclose(_mosaic(planes, taps, scale, cfa), expected, rtol=1e-5)
        assert colour[cfa] == 0


def test_light_falls_off_towards_the_corners_as_much_as_is_not_corrected():
    sensor = MODEL.sensor
    full, half = falloff(sensor, share=1), falloff(sensor, share=0.5)
    assert full[0, 0] == pytest.approx(1 - sensor.vignetting, abs=1e-5)
    assert full.max() == pytest.approx(1, abs=1e-3)
    assert full[0, 0] < half[0, 0] < 1


@pytest.mark.parametrize("number", range(6))
def test_a_uniform_colour_is_developed_to_a_uniform_colour(number):
    model = drawn_model(SETTINGS, number, seed=9)
    sensor = model.sensor
    rows, columns = (
        np.arange(n) + shift & 1 for n, shift in zip((24, 32), sensor.cfa, strict=True)
    )
    light = np.array([0.5, 0.3, 0.2]) * sensor.sensitivity
    raw = light[rows[:, None] + columns[None, :]].astype(np.float32)
    planes = developed(raw, sensor, model.processing, noise=0)
    np.testing.assert_allclose(planes, planes[:, :1, :1] * np.ones_like(planes), atol=0.05)
    assert planes[2, 0, 0] > 135  # redder than grey
    assert planes[1, 0, 0] < 121


def test_white_is_white_and_black_is_black():
    for level, grey_level in ((0.0, 0), (1.0, 255)):
        sensitivity = np.array(MODEL.sensor.sensitivity)
        rows, columns = (
            np.arange(n) + shift & 1 for n, shift in zip((16, 16), MODEL.sensor.cfa, strict=True)
        )
        raw = (level * sensitivity)[rows[:, None] + columns[None, :]].astype(np.float32)
        planes = developed(raw, MODEL.sensor, MODEL.processing, noise=0)
        np.testing.assert_allclose(planes[0], grey_level, atol=0.5)
        np.testing.assert_allclose(planes[1:], 128, atol=0.5)


@pytest.mark.parametrize("number", range(6))
def test_more_light_is_never_darker_and_saturation_is_white(number):
    """Neutral light up to far beyond full scale; only saturation and noise are not the camera's."""
    model = drawn_model(SETTINGS, number, seed=9)
    rows, columns = (
        np.arange(n) + shift & 1 for n, shift in zip((16, 16), model.sensor.cfa, strict=True)
    )
    sensitivity = np.array(model.sensor.sensitivity)[rows[:, None] + columns[None, :]]
    levels = []
    for light in np.linspace(0, 3, 31):
        raw = np.minimum(light * sensitivity, 1).astype(np.float32)
        levels.append(developed(raw, model.sensor, model.processing, noise=0)[0].mean())
    assert (np.diff(levels) >= -1e-3).all()
    assert levels[-1] == pytest.approx(255, abs=0.01)


def test_boxes_are_those_of_scipy():
    plane = np.random.default_rng(1).random((33, 47), np.float32)
    for radius in (1, 2, 4):
        expected = uniform_filter(plane, 2 * radius + 1, mode="nearest")
        np.testing.assert_allclose(_boxed(plane, radius), expected, rtol=1e-4)


def test_smoothing_takes_noise_from_flat_areas_and_leaves_edges():
    rng = np.random.default_rng(1)
    step = np.repeat([[60, 180]], 32, axis=1).astype(np.float32) * np.ones((64, 1), np.float32)
    noisy = (step + rng.normal(0, 3, step.shape)).astype(np.float32)
    smooth = _smoothed(
        noisy, _boxed(noisy, 1), _boxed(noisy * noisy, 1), np.float32(9), np.float32(0.8)
    )
    assert smooth[:, 4:28].std() < 0.7 * noisy[:, 4:28].std()
    assert np.abs(smooth - noisy)[:, 31:33].mean() < 0.3


def test_sharpening_steepens_edges_and_keeps_flat_areas():
    step = np.repeat([[60, 180]], 8, axis=1).astype(np.float32) * np.ones((16, 1), np.float32)
    sharp = _sharpened(step, np.float32(1))
    np.testing.assert_allclose(sharp[:, :6], 60, rtol=1e-6)
    assert sharp[8, 7] < 60
    assert sharp[8, 8] > 180


def test_foregrounds_have_edges_flat_dark_and_saturated_areas_and_backgrounds_none():
    rng, shape = np.random.default_rng(4), (256, 384)
    scenes = [foreground(rng, shape)[1] for _ in range(40)]
    steps = [np.abs(np.diff(np.log(scene), axis=1)) for scene in scenes]
    assert all((step > 0.2).mean() > 2e-4 for step in steps)
    assert np.mean([(step < 0.02).mean() for step in steps]) > 0.1
    assert np.mean([(scene < 0.25).mean() for scene in scenes]) > 0.01
    assert np.mean([(scene > 5).mean() for scene in scenes]) > 0.005
    for _ in range(10):
        wall = background(rng, shape)
        assert np.abs(np.diff(wall, axis=2)).max() < 0.01
        assert wall.std(axis=(1, 2)).max() < 0.2 * wall.mean()


def test_the_demo_tests_six_devices_at_least_that_nothing_trains_on():
    settings = Simulate()
    records = [
        ImageRecord(
            image_id=phone.device,
            path=phone.device,
            device=phone.device,
            make=phone.model.make,
            model=phone.model.name,
        )
        for phone in phones(settings, seed=1)
    ]
    split = named_split("seeded", records, settings=Splits(), seed=1)
    assert len(records) >= 20
    assert len(split.test) >= 6
    assert not {*split.test} & {*split.train, *split.validation}
    assert split.validation
    assert split.train
    tested = [record.model for record in records if record.device in split.test]
    assert len(set(tested)) < len(tested)  # some are of one model
