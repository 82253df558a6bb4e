import numpy as np
import pytest

from camid.figures import matrix_figure, pattern_figure, png

DEVICES = ["3", "1", "2"]
MODELS = ["Acme B", "Acme A", "Acme B"]
SCORES = np.array([[0.9, 0.1, 0.3], [0.2, 0.8, np.nan], [0.4, -0.1, 0.7]])


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


def test_equal_figures_are_equal_bytes():
    made = [png(matrix_figure({"lukas": SCORES}, DEVICES, models=MODELS)) for _ in range(2)]
    assert made[0] == made[1]
