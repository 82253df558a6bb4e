"""Figures: ROC, score histograms, score matrices, reference patterns; drawn without a display."""

import io
import warnings
from collections.abc import Mapping, Sequence
from itertools import cycle, product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray
from scipy.stats import norm

from camid.evaluation.metrics import equal_error_rate, roc, roc_auc
from camid.evaluation.result_rows import DifferenceRow

Judged = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Labels and scores."""

TITLES = {
    "lukas": "Lukas",
    "li": "Li",
    "classical": "Classical",
    "pairnet": "Pair network",
    "own-pairnet": "Own pair network",
    "siamese": "Siamese",
    "fused": "Fused",
    "cnn": "CNN",
    "cnn-embedding": "CNN embedding",
}
COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#8d5a97", "#c98a1b")
STYLES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)))
"""Of lines: they distinguish curves where there are more than colours."""
NARROW, WIDE = 5.6, 8.6
"""Inches."""
LEGEND_INSIDE = 5
"""Most curves whose legend fits inside a ROC; a longer one is beside it."""

DET_MARKS = (1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
DET_FLOOR = 1e-4
"""Lower rates are drawn as this, or as half a comparison's."""

ONE_COLUMN = 3
"""Most methods whose histograms are in one column; more are in two columns."""

_TIGHT = {"handlelength": 1.2, "handletextpad": 0.5, "columnspacing": 0.9}

PATTERN_SIDE = 96
"""Pixels a side of a pattern that are shown: enough for the pattern, few enough for its pixels."""
PATTERN_COLUMNS = 2
LONGEST_NAME = 24
"""Characters of a name in a figure."""
NAMED_COLUMNS = 24
"""Devices of a score matrix whose columns have room for their names."""


def learning_figure(
    history: Sequence[Mapping[str, float]], *, figure: str = "validation_auc", unit: str = "pairs"
) -> Figure:
    """Return a training's loss and a figure of its validations over its steps, the best marked.

    Parameters
    ----------
    unit
        Unit that the loss is a mean of, such as pairs.
    """
    picture = Figure(figsize=(NARROW, 3.4), layout="constrained")
    left = picture.subplots()
    right = left.twinx()
    trained = [row for row in history if "loss" in row]
    left.plot([row["step"] for row in trained], [row["loss"] for row in trained], color=COLOURS[1])
    left.set_xlabel("step")
    left.set_ylabel(f"training loss, nats, mean of {unit}", color=COLOURS[1])
    steps = [row["step"] for row in history]
    values = [row[figure] for row in history]
    right.plot(steps, values, color=COLOURS[0])
    best = int(np.argmax(values))
    right.plot(steps[best], values[best], "o", color=COLOURS[0])
    right.annotate(
        f"{values[best]:.3f}",
        (steps[best], values[best]),
        xytext=(0, -12),
        textcoords="offset points",
        ha="center",
        color=COLOURS[0],
    )
    title = figure.replace("_", " ").replace("auc", "AUC")
    right.set_ylabel(title, color=COLOURS[0])
    left.grid(alpha=0.25)
    return picture


def roc_figure(curves: Mapping[str, Judged]) -> Figure:
    """Return the ROC of each method: true-accept rate over false-accept rate, log axis.

    Many methods are named beside their curves, the lowest EER first.
    """
    are_many = len(curves) > LEGEND_INSIDE
    figure = Figure(figsize=(WIDE if are_many else NARROW, 4.4), layout="constrained")
    axes = figure.subplots()
    floor = min(1 / max(int(np.sum(labels == 0)), 1) for labels, _ in curves.values()) / 2
    width, eers = 1.2 if are_many else 1.5, []
    styles = cycle(product(STYLES, COLOURS))
    for (style, colour), (method, (labels, scores)) in zip(styles, curves.items(), strict=False):
        curve = roc(labels, scores)
        eer, auc = equal_error_rate(labels, scores), roc_auc(labels, scores)
        name = f"{TITLES.get(method, method)}: EER {eer:.3f}, AUC {auc:.3f}"
        x, y = np.maximum(curve.fpr, floor), curve.tpr
        axes.step(x, y, where="post", color=colour, ls=style, lw=width, label=name)
        eers.append(eer)
    rates = np.geomspace(floor, 1, 200)
    axes.plot(rates, 1 - rates, color="0.6", lw=0.8, ls=":", label="equal errors")
    axes.plot(rates, rates, color="0.6", lw=0.8, label="chance")
    axes.set(xscale="log", xlim=(floor, 1), ylim=(0, 1.01))
    axes.set(xlabel="false-accept rate", ylabel="true-accept rate", title="ROC")
    if are_many:
        best_first = [axes.lines[i] for i in np.argsort(eers, kind="stable")]
        figure.legend(
            handles=[*best_first, *axes.lines[len(eers) :]],
            loc="outside right center",
            frameon=False,
            fontsize=8,
            handlelength=3,
        )
    else:
        axes.legend(loc="lower right", facecolor="white", framealpha=0.9, edgecolor="none")
    _plain(axes)
    return figure


def det_figure(curves: Mapping[str, Judged]) -> Figure:
    """Return the DET curve of each method: false rejects over false accepts, as normal deviates.

    Scores of two normal distributions give a straight line. Martin et al. 1997, doi:
    10.21437/Eurospeech.1997-504.
    """
    figure = Figure(figsize=(NARROW, 4.4), layout="constrained")
    axes = figure.subplots()
    styles = cycle(product(STYLES, COLOURS))
    max_count = max(int(np.max(np.bincount(labels, minlength=2))) for labels, _ in curves.values())
    floor = max(0.5 / max_count, DET_FLOOR)
    for (style, colour), (method, (labels, scores)) in zip(styles, curves.items(), strict=False):
        curve = roc(labels, scores)
        x, y = (norm.ppf(np.clip(rate, floor, 1 - floor)) for rate in (curve.fpr, 1 - curve.tpr))
        axes.plot(x, y, color=colour, ls=style, lw=1.5, label=TITLES.get(method, method))
    marks = [mark for mark in DET_MARKS if floor <= mark <= 1 - floor]
    places, names = norm.ppf(marks), [f"{mark:.2g}" for mark in marks]
    axes.set_xticks(places, names, fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    bounds = norm.ppf([floor, DET_MARKS[-1]])
    axes.plot(bounds, bounds, color="0.6", lw=0.8, ls=":", label="equal errors")
    axes.set(xlim=bounds, ylim=bounds, xlabel="false-accept rate", ylabel="false-reject rate")
    axes.set_title("DET")
    axes.legend(loc="upper right", facecolor="white", framealpha=0.9, edgecolor="none", fontsize=8)
    _plain(axes)
    return figure


def tippett_figure(
    curves: Mapping[str, Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]],
) -> Figure:
    """Return for each method the share of comparisons that reach a likelihood ratio, by kind.

    Parameters
    ----------
    curves
        By method and kind of comparison: decimal LLRs, rising, and the shares that reach them.
    """
    num_columns = 1 if len(curves) == 1 else 2
    num_rows = -(-len(curves) // num_columns)
    size = (NARROW if num_columns == 1 else WIDE, 2.7 * num_rows + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    panels: list[Axes] = list(figure.subplots(num_rows, num_columns, squeeze=False).flat)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    for axes, (method, kinds) in zip(panels, curves.items(), strict=False):
        for colour, (kind, (levels, shares)) in zip(COLOURS, kinds.items(), strict=False):
            axes.step(levels, shares, where="pre", color=colour, lw=1.5, label=kind)
        axes.axvline(0, color="0.6", lw=0.8, ls=":")
        axes.set(title=TITLES.get(method, method), ylim=(0, 1.02))
        _plain(axes)
    figure.supxlabel("decimal logarithm of the likelihood ratio", fontsize=10)
    figure.supylabel("share that reaches it", fontsize=10)
    _legend_above(figure, panels[0])
    return figure


def difference_figure(rows: Sequence[DifferenceRow], *, figure: str = "EER") -> Figure:
    """Return differences of a figure as points with their 95 % intervals, a line each."""
    picture = Figure(figsize=(WIDE, 0.32 * len(rows) + 1.2), layout="constrained")
    axes = picture.subplots()
    colours = {"better": COLOURS[2], "worse": COLOURS[1], "undecided": "0.45"}
    for y, row in enumerate(rows):
        colour = colours[row.verdict]
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [y, y], color=colour, lw=1.5)
        axes.plot(row.value, y, "o", color=colour, ms=5)
    names = [f"{row.method} − {row.baseline}" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=9, parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(0, color="0.6", lw=0.8, ls=":")
    axes.set_xlabel(f"difference of {figure}, with 95 % interval")
    _plain(axes)
    return picture


def histogram_figure(
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]], *, score: str = "score"
) -> Figure:
    """Return histograms of each method's scores, one curve a kind of comparison (its key).

    All methods have scored the same comparisons; ``score`` names the axis.
    """
    num_columns = 1 if len(scores) <= ONE_COLUMN else 2
    num_rows = -(-len(scores) // num_columns)
    width = NARROW if num_columns == 1 else WIDE
    figure = Figure(figsize=(width, 2.5 * num_rows + 0.5), layout="constrained")
    panels: list[Axes] = list(figure.subplots(num_rows, num_columns, squeeze=False).flat)
    for axes in panels[len(scores) :]:
        axes.set_axis_off()
    for axes, (method, kinds) in zip(panels, scores.items(), strict=False):
        values = np.concatenate(list(kinds.values()))
        low, high = np.quantile(values, [0.0005, 0.9995])
        edges = np.linspace(low, max(high, low + 1e-9), 60)
        for colour, (kind, sample) in zip(cycle(COLOURS), kinds.items(), strict=False):
            if len(sample):
                heights, _ = np.histogram(np.clip(sample, low, edges[-1]), edges, density=True)
                label = f"{kind} ({len(sample):,})"
                axes.stairs(
                    heights, edges, fill=True, fc=(colour, 0.2), ec=colour, lw=1, label=label
                )
        axes.set(title=TITLES.get(method, method), yscale="log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        _plain(axes)
    figure.supxlabel(score, fontsize=10)
    figure.supylabel("density", fontsize=10)
    _legend_above(figure, panels[0])
    return figure


def pattern_figure(patterns: Mapping[str, NDArray[np.float32]]) -> Figure:
    """Return the first pixels of reference patterns ``(height, width)``, ±3 standard deviations."""
    num_rows = -(-len(patterns) // PATTERN_COLUMNS)
    figure = Figure(figsize=(2.8 * PATTERN_COLUMNS, 3.2 * num_rows + 0.2), layout="constrained")
    panels: list[Axes] = list(figure.subplots(num_rows, PATTERN_COLUMNS, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    for axes, (device, pattern) in zip(panels, patterns.items(), strict=False):
        limit = 3 * float(pattern.std()) or 1.0
        shown = (pattern - pattern.mean())[:PATTERN_SIDE, :PATTERN_SIDE]
        axes.imshow(shown, cmap="gray", vmin=-limit, vmax=limit, interpolation="nearest")
        name = f"device {_short(device)}\nσ = {pattern.std():.2f} grey levels"
        axes.set_title(name, fontsize=10, parse_math=False)
    side = f"{PATTERN_SIDE}×{PATTERN_SIDE}"
    figure.suptitle(f"Reference patterns: the first {side} pixels of the sensor")
    return figure


def reliability_figure(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Return the accuracy of answers over their stated probability, a line for each key."""
    figure = Figure(figsize=(NARROW, 4.4), layout="constrained")
    axes = figure.subplots()
    for colour, (name, points) in zip(cycle(COLOURS), rows.items(), strict=False):
        x, y = ([point[key] for point in points] for key in ("probability", "accuracy"))
        axes.plot(x, y, "o-", color=colour, lw=1.2, ms=4, label=name)
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, label="as probable as right")
    axes.set(xlim=(0, 1.01), ylim=(0, 1.01))
    axes.set(xlabel="probability of the answer", ylabel="share of right answers")
    axes.legend(loc="upper left", facecolor="white", framealpha=0.9, edgecolor="none")
    _plain(axes)
    return figure


def matrix_figure(
    matrices: Mapping[str, NDArray[np.float64]],
    devices: Sequence[str],
    *,
    models: Sequence[str],
    score: str = "mean score",
    columns: str = "pattern of",
) -> Figure:
    """Return the mean scores ``(device of the images, device of the pattern)`` of each method.

    Devices are ordered by model, with a frame around those of one model. The colour is the root of
    the score, white at 0 and below: impostors' scores must show beside the true devices'. Pairs
    never compared are grey.
    """
    order = sorted(range(len(devices)), key=lambda i: (models[i], devices[i]))
    names, kinds = [devices[i] for i in order], [models[i] for i in order]
    width = 5.6 if len(order) <= NAMED_COLUMNS else 7.6
    figure = Figure(figsize=(width, 0.75 * width * len(matrices)), layout="compressed")
    panels = figure.subplots(len(matrices), squeeze=False)[:, 0]
    for axes, (method, matrix) in zip(panels, matrices.items(), strict=True):
        shown = np.ma.masked_invalid(matrix[np.ix_(order, order)])
        top = max(float(shown.filled(0).max()), 1e-9)
        scale = PowerNorm(0.5, vmin=0, vmax=top, clip=True)
        image = axes.imshow(shown, cmap="Blues", norm=scale, interpolation="nearest")
        axes.set_facecolor("0.8")
        for first, count in _blocks(kinds):
            corner = (first - 0.5, first - 0.5)
            axes.add_patch(Rectangle(corner, count, count, fill=False, ec=COLOURS[1], lw=1))
        marks = top * np.linspace(0, 1, 5) ** 2
        bar = figure.colorbar(image, ax=axes, shrink=0.85, label=score)
        bar.set_ticks(list(marks), labels=[f"{mark:.2g}" for mark in marks])
        axes.set(title=TITLES.get(method, method), ylabel="images of", xlabel=columns)
        _name_devices(axes, names, kinds, columns)
    return figure


def png(figure: Figure, *, dpi: int = 200) -> bytes:
    """Return a figure as a PNG file; equal figures give equal bytes."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Names may be in a script that matplotlib's font lacks: boxes in a picture are no alarm.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    return file.getvalue()


def _blocks(models: Sequence[str]) -> list[tuple[int, int]]:
    """Return the first place and the number of devices of each known model with several."""
    known = sorted({model for model in models if model})
    runs = [(models.index(model), models.count(model)) for model in known]
    return [(first, count) for first, count in runs if count > 1]


def _name_devices(axes: Axes, devices: Sequence[str], models: Sequence[str], columns: str) -> None:
    """Name rows, with the model where there is room, and columns, where they are few."""
    size = float(np.clip(300 / len(devices), 3, 9))
    full = [f"{m}  {d}".strip() for m, d in zip(models, devices, strict=True)]
    row_names = full if max(map(len, full)) <= LONGEST_NAME else [_short(name) for name in devices]
    places = range(len(devices))
    axes.set_yticks(places, row_names, fontsize=size, parse_math=False)
    if len(devices) <= NAMED_COLUMNS:
        short = [_short(name) for name in devices]
        axes.set_xticks(places, short, rotation=90, fontsize=size, parse_math=False)
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{columns}, in the order of the rows")
    axes.tick_params(length=0)


def _short(name: str) -> str:
    """Return a name, shortened to fit a figure."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _legend_above(figure: Figure, axes: Axes) -> None:
    """Draw the legend of one panel above all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=len(labels),
        frameon=False,
        fontsize=8,
        **_TIGHT,
    )


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="0.92", lw=0.6)
    axes.set_axisbelow(True)
