from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from camid.config import Config, config_tree, config_yaml, differences, load_config


def test_no_argument_gives_the_defaults():
    assert load_config() == Config()


def test_a_file_states_only_differences(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("enhancer:\n  alpha: 3\n")
    config = load_config(str(file))
    assert config.enhancer.alpha == 3.0
    assert differences(config_tree(Config()), config_tree(config)) == [
        "enhancer.alpha was 7.0, now 3.0"
    ]


def test_settings_override_the_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("enhancer: {alpha: 3, model: 2}")
    config = load_config(str(file), settings=["enhancer.alpha=4"])
    assert (config.enhancer.alpha, config.enhancer.model) == (4.0, 2)


def test_the_resolved_configuration_repeats_itself(tmp_path):
    config = load_config(settings=["seed=9", "residual.sigma=2.5", "split=report2021"])
    (tmp_path / "config.yaml").write_text(config_yaml(config))
    assert load_config(str(tmp_path / "config.yaml")) == config


def test_exponents_without_a_point_are_numbers():
    assert load_config(settings=["metrics.single_threshold_fpr=1e-4"]).metrics == type(
        Config().metrics
    )(single_threshold_fpr=1e-4)


@pytest.mark.parametrize(
    ("value", "num_images"),
    [("[4,4]", (4, 4)), ("[[1,8],[2,9]]", ((1, 8), (2, 9))), ("[3,[2,2]]", (3, (2, 2)))],
)
def test_a_side_has_a_number_of_images_or_a_range_of_them(value, num_images):
    config = load_config(settings=[f"pairs.num_images={value}"])
    assert config.pairs.num_images == num_images
    assert config_tree(config)["pairs"]["num_images"] == [
        list(number) if isinstance(number, tuple) else number for number in num_images
    ]


def test_a_range_of_images_that_falls_is_refused_as_such():
    with pytest.raises(ValueError, match=r"pairs.num_images.*or a range from low to high"):
        load_config(settings=["pairs.num_images=[[3,1],4]"])


def test_the_tree_is_frozen():
    with pytest.raises(FrozenInstanceError):
        Config().seed = 2


def test_every_field_has_a_default_and_a_plain_value():
    def leaves(section):
        for field in fields(section):
            value = getattr(section, field.name)
            yield from leaves(value) if is_dataclass(value) else [(field.name, type(value))]

    plain = {int, float, str, bool, tuple}
    assert {name for name, kind in leaves(Config()) if kind not in plain} == {"space"}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("enhancer.alpa=3", "no field 'enhancer.alpa'; did you mean 'enhancer.alpha'?"),
        ("sigma=2", "no field 'sigma'; did you mean 'residual.sigma'?"),
        ("seeds=2", "no field 'seeds'; did you mean 'seed'?"),
        ("residual.sigma=high", "residual.sigma = 'high': input should be a valid number"),
        ("residual.sigma=-1", "residual.sigma = -1: input should be greater than 0"),
        ("seed=true", "seed = True: input should be a valid integer"),
        ("seed=1e-4", "seed = 0.0001: input should be a valid integer"),
        ("residual=3", "residual = 3: input should be an object"),
        ("enhancer.domain=time", "input should be 'wavelet' or 'spatial'"),
        ("seed", "expected --set section.field=value, got 'seed'"),
        ("seed=[", "--set seed=[: not YAML"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_field(setting, sentence):
    with pytest.raises(ValueError, match="^[^\n]*$") as error:
        load_config(settings=[setting])
    assert sentence in str(error.value)


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    file = tmp_path / "siamese.yaml"
    file.write_text("strips: {sise: 128}")
    with pytest.raises(ValueError, match=r"siamese.yaml: no field 'strips.sise'; did you mean"):
        load_config(str(file))
    with pytest.raises(ValueError, match="nowhere.yaml: cannot read the configuration"):
        load_config(str(tmp_path / "nowhere.yaml"))
    file.write_text("- 1\n- 2\n")
    with pytest.raises(ValueError, match="expected sections and fields, got list"):
        load_config(str(file))


def test_a_range_goes_from_low_to_high():
    with pytest.raises(ValueError, match=r"simulate.kinship = .*a range goes from low to high"):
        load_config(settings=["simulate.kinship=[0.5, 0.1]"])
