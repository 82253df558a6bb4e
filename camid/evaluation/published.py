"""Figures that the study states for its methods, to stand beside ours.

Škrabec and Ghosh, "Deep learning for source digital camera identification", EURECOM, 2021: Table 1
for the baselines, which its Table 2 repeats, and Table 2 for the Siamese network. All are of
SOCRatES, each on its own comparisons, which differ from ours.
"""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Stated:
    """Published figures of one method of the study; rates 0…1."""

    images: str | None = None
    """On the first side + on the second, as ``images`` of a result row."""
    eer: float | None = None
    """The study's EER. Of the baselines it is 1 − AUC, as their ROC has one threshold."""
    auc: float | None = None
    """Area under the ROC that the study drew."""
    rank1: float | None = None
    """Share of images whose most correlated pattern is their own device's, where it is stated."""
    accuracy: float | None = None
    """Share of test patches, or images, rightly assigned; the study does not say which."""
    crossing: float | None = None
    """Rate at which false accepts equal false rejects on that ROC, interpolated.

    Of the baselines it follows from the AUC: two straight lines meet at no false accept and a
    true-accept rate of 2·AUC − 1. The network's EER and AUC do not add up to 1; it is their EER.
    """


STUDY = {
    "lukas": Stated(images="50+1", eer=0.0894, auc=0.9106, rank1=0.9191, crossing=0.152),
    "li": Stated(images="50+1", eer=0.0921, auc=0.9079, rank1=0.9164, crossing=0.156),
    "siamese": Stated(images="4+4", eer=0.136, auc=0.9447, crossing=0.136),
    "cnn": Stated(accuracy=0.501),
}
"""By method; the Siamese network's are means of 40 crops, the classifier's is of 15 devices."""


def study_figures(method: str) -> dict[str, float]:
    """Return the study's figures of a method by the names of result rows: ``study_eer``, ….

    Empty for a method outside the study.
    """
    figures = asdict(STUDY[method]) if method in STUDY else {"images": None}
    del figures["images"]
    return {f"study_{name}": value for name, value in figures.items() if value is not None}


def study_images(method: str) -> str:
    """Return the images on both sides of a method's stated figures; empty if none are stated."""
    return (STUDY[method].images or "") if method in STUDY else ""
