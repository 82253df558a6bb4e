import numpy as np
import pytest

from camid.evaluation.report.figures import (
    histogram_figure,
    learning_figure,
    matrix_figure,
    pattern_figure,
    png,
    roc_figure,
)

DEVICES = ["3", "1", "2"]
MODELS = ["Acme B", "Acme A", "Acme B"]
SCORES = np.array([[0.9, 0.1, 0.3], [0.2, 0.8, np.nan], [0.4, -0.1, 0.7]])

HISTORY = [
    {"step": 0, "validation_auc": 0.5},
    {"step": 20, "validation_auc": 0.75, "loss": 0.6},
    {"step": 40, "validation_auc": 0.875, "loss": 0.4},
    {"step": 50, "validation_auc": 0.875, "loss": 0.3},
]


def methods(count):
    """Scores of methods by kind, each better than the one before."""
    rng = np.random.default_rng(1)
    return {
        f"method {number}": {
            "same device": rng.normal(1 + number / 4, size=200),
            "other model": rng.normal(size=200),
        }
        for number in range(count)
    }


def curves(count):
    labels = np.repeat([1, 0], 200)
    return {name: (labels, np.concatenate([*of.values()])) for name, of in methods(count).items()}


def drawn(figure):
    (image,) = figure.axes[0].images
    return image.get_array()


def test_a_score_matrix_is_ordered_by_model_and_then_device():
    figure = matrix_figure({"lukas": SCORES}, DEVICES, models=MODELS)
    order = [1, 2, 0]
    expected = SCORES[np.ix_(order, order)]
    np.testing.assert_array_equal(drawn(figure).filled(np.nan), expected)
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["Acme A  1", "Acme B  2", "Acme B  3"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "2", "3"]


def test_a_frame_is_around_devices_of_one_model_and_no_other():
    axes = matrix_figure({"lukas": SCORES}, DEVICES, models=MODELS).axes[0]
    assert [(p.get_xy(), p.get_width(), p.get_height()) for p in axes.patches] == [
        ((0.5, 0.5), 2, 2)
    ]
    unknown = matrix_figure({"lukas": SCORES}, DEVICES, models=["", "", ""]).axes[0]
    assert list(unknown.patches) == []


def test_devices_that_never_met_are_masked_and_no_warning():
    figure = matrix_figure({"lukas": np.full((3, 3), np.nan)}, DEVICES, models=MODELS)
    assert drawn(figure).mask.all()
    assert png(figure).startswith(b"\x89PNG")


def test_every_method_has_a_panel_with_its_scale():
    figure = matrix_figure({"lukas": SCORES, "new": SCORES}, DEVICES, models=MODELS)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["Lukas", "new"]


def test_many_devices_are_named_once_and_in_order():
    devices = [f"{number:02d}" for number in range(80)]
    axes = matrix_figure({"lukas": np.eye(80)}, devices, models=["a model"] * 80).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == [f"a model  {d}" for d in devices]
    assert list(axes.get_xticks()) == []
    assert "order of the rows" in axes.get_xlabel()


@pytest.mark.parametrize("name", ["$x^{", "a_b$c$", "照片", "x" * 300, "<&>"])
def test_any_name_can_be_drawn(name):
    devices = [name, "2", "3"]
    assert png(matrix_figure({"lukas": SCORES}, devices, models=[name] * 3), dpi=40)
    assert png(pattern_figure({name: np.eye(8, dtype=np.float32)}), dpi=40)


@pytest.mark.parametrize(
    "figure",
    [
        lambda: matrix_figure({"lukas": SCORES}, DEVICES, models=MODELS),
        lambda: roc_figure(curves(7)),
        lambda: histogram_figure(methods(4)),
        lambda: learning_figure(HISTORY),
    ],
)
def test_equal_figures_are_equal_bytes(figure):
    assert png(figure(), dpi=60) == png(figure(), dpi=60)


def test_no_two_of_twenty_curves_look_alike():
    lines = roc_figure(curves(20)).axes[0].lines[:20]
    assert len({(line.get_color(), str(line._dash_pattern)) for line in lines}) == 20


def test_a_few_curves_are_named_in_the_axes_and_many_beside_them_the_best_first():
    few, many = roc_figure(curves(3)), roc_figure(curves(8))
    assert len(few.axes[0].get_legend().get_texts()) == 3 + 2
    assert many.axes[0].get_legend() is None
    (legend,) = many.legends
    names = [text.get_text().split(":")[0] for text in legend.get_texts()]
    assert set(names) == {*curves(8), "equal errors", "chance"}
    assert names[0] == "method 7"
    assert names[-3:] == ["method 0", "equal errors", "chance"]


def test_every_method_has_a_histogram_and_the_kinds_are_named_once():
    figure = histogram_figure(methods(5), score="correlation")
    shown = [axes.get_title() for axes in figure.axes if axes.axison]
    assert shown == list(methods(5))
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["same device (200)", "other model (200)"]
    assert figure.get_supxlabel() == "correlation"


def test_a_training_s_figure_has_its_losses_and_aucs_at_their_steps():
    left, right = learning_figure(HISTORY).axes
    (losses,), (aucs, _) = left.lines, right.lines
    assert losses.get_xydata().tolist() == [[20, 0.6], [40, 0.4], [50, 0.3]]
    assert aucs.get_xydata().tolist() == [[0, 0.5], [20, 0.75], [40, 0.875], [50, 0.875]]
    assert "loss" in left.get_ylabel()
    assert "AUC" in right.get_ylabel()
    assert left.get_xlabel() == "step"
    assert losses.get_color() != aucs.get_color()


def test_the_first_of_the_best_validations_is_marked_and_told():
    _, right = learning_figure(HISTORY).axes
    assert right.lines[1].get_xydata().tolist() == [[40, 0.875]]
    assert right.lines[1].get_marker() == "o"
    assert [text.get_text() for text in right.texts] == ["0.875"]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_training_is_drawn_from_its_first_validation_on(count):
    assert png(learning_figure(HISTORY[:count]), dpi=40).startswith(b"\x89PNG")
