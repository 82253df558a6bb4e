"""Figures: ROC, score histograms and reference patterns, drawn without a display."""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from camid.metrics import equal_error_rate, roc, roc_auc

Judged = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Labels and scores."""

TITLES = {"lukas": "Lukas", "li": "Li"}
COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#8d5a97", "#c98a1b")

PATTERN_SIDE = 96
"""Pixels a side of a pattern that are shown: enough to see it, few enough to tell pixels."""


def roc_figure(curves: Mapping[str, Judged]) -> Figure:
    """Return the ROC of each method: true-accept rate over false-accept rate, log axis."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    floor = min(1 / max(int(np.sum(labels == 0)), 1) for labels, _ in curves.values()) / 2
    for colour, (method, (labels, scores)) in zip(cycle(COLOURS), curves.items(), strict=False):
        curve = roc(labels, scores)
        eer, auc = equal_error_rate(labels, scores), roc_auc(labels, scores)
        name = f"{TITLES.get(method, method)}: EER {eer:.3f}, AUC {auc:.3f}"
        axes.step(np.maximum(curve.fpr, floor), curve.tpr, where="post", color=colour, label=name)
    rates = np.geomspace(floor, 1, 200)
    axes.plot(rates, 1 - rates, color="0.6", lw=0.8, ls=":", label="equal errors")
    axes.plot(rates, rates, color="0.6", lw=0.8, label="chance")
    axes.set(xscale="log", xlim=(floor, 1), ylim=(0, 1.01))
    axes.set(xlabel="false-accept rate", ylabel="true-accept rate", title="ROC")
    axes.legend(loc="lower right", frameon=False)
    _plain(axes)
    return figure


def histogram_figure(scores: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> Figure:
    """Return histograms of each method's scores, one curve a kind of comparison (its key)."""
    figure = Figure(figsize=(6.4, 3 * len(scores)), layout="constrained")
    panels = figure.subplots(len(scores), squeeze=False)[:, 0]
    for axes, (method, kinds) in zip(panels, scores.items(), strict=True):
        values = np.concatenate(list(kinds.values()))
        low, high = np.quantile(values, [0.0005, 0.9995])
        edges = np.linspace(low, max(high, low + 1e-9), 60)
        for colour, (kind, sample) in zip(cycle(COLOURS), kinds.items(), strict=False):
            if len(sample):
                clipped = np.clip(sample, edges[0], edges[-1])
                label = f"{kind} ({len(sample):,})"
                how = {"histtype": "stepfilled", "alpha": 0.3, "lw": 1.3, "edgecolor": colour}
                axes.hist(clipped, edges, density=True, color=colour, label=label, **how)
        axes.set(title=TITLES.get(method, method), xlabel="normalised correlation", yscale="log")
        axes.set_ylabel("density")
        axes.set_ylim(top=axes.get_ylim()[1] * 3)
        axes.legend(frameon=False, ncols=len(kinds), loc="upper right", fontsize=9)
        _plain(axes)
    return figure


def pattern_figure(patterns: Mapping[str, NDArray[np.float32]]) -> Figure:
    """Return the first pixels of reference patterns ``(height, width)``, ±3 standard deviations."""
    figure = Figure(figsize=(3.2 * len(patterns), 3.6), layout="constrained")
    panels: Sequence[Axes] = figure.subplots(1, len(patterns), squeeze=False)[0]
    for axes, (device, pattern) in zip(panels, patterns.items(), strict=True):
        limit = 3 * float(pattern.std()) or 1.0
        shown = (pattern - pattern.mean())[:PATTERN_SIDE, :PATTERN_SIDE]
        axes.imshow(shown, cmap="gray", vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_title(f"device {device}\nσ = {pattern.std():.2f} grey levels", fontsize=10)
        axes.set_axis_off()
    side = f"{PATTERN_SIDE}×{PATTERN_SIDE}"
    figure.suptitle(f"Reference patterns: the first {side} pixels of the sensor")
    return figure


def png(figure: Figure, *, dpi: int = 120) -> bytes:
    """Return a figure as a PNG file; equal figures give equal bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    return file.getvalue()


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="0.92", lw=0.6)
    axes.set_axisbelow(True)
