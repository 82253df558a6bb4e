"""Pictures of a case: the map of its match, and its score among the reference devices'."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from camid.casework.reference_population import Reference

MAP_WORDS = (
    "blue where they agree, white where as strangers may, red where they contradict each other"
)
"""Meaning of a map's colours."""
REGION_WORDS = (
    "blue where it is carried, red where another's or none is, white where neither would show; "
    "each cell with its neighbours"
)
"""Meaning of a map of regions."""
LIMIT = 6.0
"""Deviations at which the colours of a map end."""
COLOURS = {"same device": "#1b6ca8", "two devices": "#d1495b"}
EXTENT = 25.0
"""Scores further out are drawn at the edge."""


def heat_figure(values: NDArray[np.floating], *, cell: str) -> Figure:
    """Return a map of cells' scores ``(row, column)``, standard normal among strangers."""
    figure = Figure(figsize=(5.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(values, cmap="RdBu", vmin=-LIMIT, vmax=LIMIT, interpolation="nearest")
    axes.set(xticks=[], yticks=[], title=f"Score of every {cell}")
    bar = figure.colorbar(image, ax=axes, shrink=0.85)
    bar.set_label("standard deviations of strangers' scores")
    return figure


def region_figure(
    gain: NDArray[np.floating],
    cell: tuple[float, float],
    boxes: Mapping[str, tuple[int, int, int, int]],
    *,
    first: str,
) -> Figure:
    """Return a map of the log-likelihood ratios of cells, with outlined boxes.

    Parameters
    ----------
    gain
        Of each cell ``(row, column)``, nats: the device against another.
    cell
        Height and width of a cell, pixels of the picture.
    boxes
        Left, top, width and height in pixels, by label.
    first
        The device.
    """
    figure = Figure(figsize=(5.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    height, width = (side * count for side, count in zip(cell, gain.shape, strict=True))
    smooth = 9 * uniform_filter(np.asarray(gain, np.float64), 3, mode="constant")
    image = axes.imshow(
        smooth,
        cmap="RdBu",
        vmin=-2 * LIMIT,
        vmax=2 * LIMIT,
        interpolation="nearest",
        extent=(0, width, height, 0),
    )
    for label, (left, top, wide, tall) in boxes.items():
        axes.add_patch(Rectangle((left, top), wide, tall, fill=False, ec="#222222", lw=2))
        axes.annotate(
            label,
            (left + wide / 2, top + tall / 2),
            ha="center",
            va="center",
            bbox={"fc": "white", "ec": "none", "alpha": 0.8},
        )
    axes.set(xticks=[], yticks=[], title=f"{first} against another device")
    bar = figure.colorbar(image, ax=axes, shrink=0.85)
    bar.set_label("log-likelihood ratio, nats")
    return figure


def reference_figure(reference: Reference, scores: Mapping[str, float], *, axis: str) -> Figure:
    """Return histograms of reference comparisons, with lines at this case's scores."""
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    kinds = {
        "same device": (reference.positives, reference.num_positives),
        "two devices": (reference.negatives, reference.num_negatives),
    }
    for kind, (quantiles, count) in kinds.items():
        clipped = np.clip(quantiles, -EXTENT, EXTENT)
        heights, edges = np.histogram(clipped, np.linspace(-EXTENT, EXTENT, 51), density=True)
        axes.stairs(
            heights,
            edges,
            fill=True,
            fc=(COLOURS[kind], 0.25),
            ec=COLOURS[kind],
            label=f"{kind} ({count:,})",
        )
    for name, value in scores.items():
        axes.axvline(np.clip(value, -EXTENT, EXTENT), color="#222222", lw=1.6, label=name)
    axes.set(xlabel=f"{axis} (from ±{EXTENT:g} on at the edge)", ylabel="density", yscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return figure
