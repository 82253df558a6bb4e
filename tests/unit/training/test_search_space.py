"""A search's space: what it says of fields and samplers, and what is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camid.config import Config, Search, load_config
from camid.training.search_space import SAMPLERS, Domain, drawn_config, search_space, told_value

SEARCHED = ("pairs", "training", "paths.store")
RATE = "search.space={training: {learning_rate: {loguniform: [1e-4, 1e-2]}}}"


def space(*settings):
    return search_space(load_config(settings=settings), searched=SEARCHED)


def test_a_space_names_a_sampler_and_its_arguments_a_field():
    found = space(RATE, "search.space.pairs.num_images.choice=[[4,4],[[1,8],2]]")
    assert found == (
        Domain(field="training.learning_rate", sampler="loguniform", arguments=(1e-4, 1e-2)),
        Domain(field="pairs.num_images", sampler="choice", arguments=([4, 4], [[1, 8], 2])),
    )
    assert [domain.is_logarithmic for domain in found] == [True, False]


def test_a_setting_replaces_a_file_s_sampler_or_draws_nothing(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "search: {space: {training: {learning_rate: {uniform: [0.1, 0.2]}, "
        "batch_size: {choice: [16, 32]}}}}"
    )
    settings = [
        "search.space.training.learning_rate={uniform: null, choice: [0.1]}",
        "search.space.training.batch_size=null",
    ]
    found = search_space(load_config(str(file), settings=settings), searched=SEARCHED)
    assert found == (Domain(field="training.learning_rate", sampler="choice", arguments=(0.1,)),)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("{training: {batch_size: {chioce: [1]}}}", "no sampler 'chioce'; did you mean 'choice'"),
        ("{training: {batch_size: {grid: [1]}}}", "no sampler 'grid'; there are choice, uniform"),
        ("{training: {batch_sise: {choice: [1]}}}", "did you mean 'training.batch_size'?"),
        ("{training: {batch_size: {choice: [1.5]}}}", "batch_size = 1.5: input should be a valid"),
        ("{training: {batch_size: {choice: []}}}", "a choice of nothing"),
        ("{training: {learning_rate: {uniform: [1]}}}", r"takes \[low, high\], numbers, got \[1\]"),
        ("{training: {learning_rate: {uniform: [2, 1]}}}", r"numbers, got \[2, 1\]"),
        ("{training: {learning_rate: {uniform: [-1, 1]}}}", "should be greater than 0"),
        ("{training: {learning_rate: {loguniform: [0, 1]}}}", "numbers above 0, got"),
        ("{training: {batch_size: {randint: [0.5, 3]}}}", "whole numbers, got"),
        ("{training: {batch_size: {randint: [0, 3]}}}", "should be greater than 0"),
        ("{training: {learning_rate: {quniform: [1, 2]}}}", r"takes \[low, high, step\]"),
        (
            "{training: {batch_size: {choice: [8], randint: [8, 9]}}}",
            "batch_size: one sampler a field, got choice, randint",
        ),
        ("{comparisons: {num_pairs: {choice: [8]}}}", "would not be held to one measure"),
        ("{training: {batch_size: null}}", "search.space: nothing to draw; name a field"),
    ],
)
def test_a_space_that_cannot_be_drawn_from_is_one_sentence(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        space(f"search.space={setting}")


def test_an_unknown_field_of_a_search_is_named():
    with pytest.raises(ValueError, match=r"'search.trails'; did you mean 'search.num_trials'\?"):
        load_config(settings=["search.trails=3"])


@given(st.sampled_from([name for name in SAMPLERS if name != "choice"]), st.integers(1, 40))
def test_what_a_sampler_can_draw_is_checked_at_both_ends(sampler, low):
    arguments = [low, low + 3, 1] if sampler[0] == "q" else [low, low + 3]
    ends = list(SAMPLERS[sampler](arguments))
    assert ends == [low, low + 2 if sampler.endswith("randint") else low + 3]


def test_a_drawn_configuration_differs_in_what_was_drawn_alone():
    config = Config(search=Search(num_trials=3))
    drawn = drawn_config(config, {"training.batch_size": 8, "pairs.num_images": [2, [1, 3]]})
    assert drawn == replace(
        config,
        training=replace(config.training, batch_size=8),
        pairs=replace(config.pairs, num_images=(2, (1, 3))),
    )


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.000123456, "0.000123"), (4, "4"), ([4, [1, 8]], "[4, [1, 8]]"), ("/a/store", "store")],
)
def test_a_drawn_value_is_told_briefly(value, told):
    assert told_value(value) == told
