"""A search as a picture: a panel for each field that trials drew, the most important first."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from camid.training.search_space import Domain, told_value
from camid.training.trials import State, Trial, coordinate, figure_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN: Mapping[State, tuple[str, str]] = {
    "finished": ("o", "tab:blue"),
    "stopped": ("x", "0.55"),
    "running": ("+", "0.55"),
    "failed": ("1", "tab:red"),
}
"""Marker and colour of a trial."""
ACROSS = 3


def trials_figure(
    trials: Sequence[Trial],
    domains: Sequence[Domain],
    *,
    figure: str,
    shares: Mapping[str, float],
    best: Trial,
) -> "Figure":
    """Return each trial's best figure over its value of each field.

    Parameters
    ----------
    shares
        Importance of each field, the largest first; it stands above the panel.
    best
        The winning trial, which is ringed.
    """
    from matplotlib.figure import Figure

    by_field = {domain.field: domain for domain in domains}
    rows = -(-len(shares) // ACROSS)
    picture = Figure(figsize=(9.6, 0.6 + 2.6 * rows), layout="constrained")
    panels = picture.subplots(rows, min(ACROSS, len(shares)), squeeze=False, sharey=True)
    for panel, (field, share) in zip(panels.flat, shares.items(), strict=False):
        domain = by_field[field]
        for state, (marker, colour) in SHOWN.items():
            shown = [trial for trial in trials if trial.state == state and trial.validations]
            x = [coordinate(domain, trial.values) for trial in shown]
            y = [trial.best(figure)[figure] for trial in shown]
            panel.plot(x, y, marker, color=colour, label=state if shown else None)
        best_point = coordinate(domain, best.values), best.best(figure)[figure]
        panel.plot(*best_point, "o", ms=11, mfc="none", color="tab:orange", label="best")
        panel.set_title(f"{field}   {share:.0%}", fontsize=9)
        _name_values(panel, domain)
        panel.grid(alpha=0.3)
    for panel in panels.flat[len(shares) :]:
        panel.set_axis_off()
    for row in panels:
        row[0].set_ylabel(f"validation's {figure_words(figure)}")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside upper right", ncols=len(labels), fontsize=8)
    return picture


def _name_values(panel: object, domain: Domain) -> None:
    """Label a panel's axis with the values of a choice, or with powers of ten."""
    from matplotlib.axes import Axes

    assert isinstance(panel, Axes)
    if domain.sampler == "choice":
        panel.set_xticks(
            range(len(domain.arguments)),
            [told_value(value) for value in domain.arguments],
            fontsize=8,
        )
        panel.set_xlim(-0.5, len(domain.arguments) - 0.5)
    elif domain.is_logarithmic:
        low, high = np.log10(domain.arguments[:2])
        ticks = np.linspace(low, high, 3)
        panel.set_xticks(ticks, [f"{10**tick:.1e}" for tick in ticks], fontsize=8)
