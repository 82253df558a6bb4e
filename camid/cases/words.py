"""Answers in words: a likelihood ratio on the verbal scale of forensic reports."""

import math

SCALE = (
    (2.0, "no support"),
    (10.0, "weak support"),
    (100.0, "moderate support"),
    (1_000.0, "moderately strong support"),
    (10_000.0, "strong support"),
    (1_000_000.0, "very strong support"),
    (math.inf, "extremely strong support"),
)
"""Likelihood ratios below, and what is said of them: the scale of the ENFSI guideline for
evaluative reporting in forensic science, 2015."""
DECIDED = math.log(10)
"""Log-likelihood ratio, nats, from which an answer is given: a likelihood ratio of ten."""
FEW = 1_000
"""Likelihood ratios below are written without thousands apart."""
MOST = 50.0
"""Log-likelihood ratio, nats, from which a ratio is written as if it were this."""


def support(llr: float) -> str:
    """Return how strongly a log-likelihood ratio, nats, supports the likelier proposition."""
    ratio = math.exp(min(abs(llr), MOST))
    return next(words for limit, words in SCALE if ratio < limit or limit == math.inf)


def ratio_words(llr: float) -> str:
    """Return a log-likelihood ratio, nats, as how many times likelier what was seen is."""
    ratio = float(f"{math.exp(min(abs(llr), MOST)):.2g}")
    return f"{ratio:g}" if ratio < FEW else f"{ratio:,.0f}"


def answer(llr: float, *, same: str, different: str) -> str:
    """Return a log-likelihood ratio, nats, as a sentence.

    Parameters
    ----------
    same, different
        The two propositions, as they follow "that": ``one camera took both sides``.
    """
    if support(llr) == SCALE[0][1]:
        return f"What is seen supports neither that {same} nor that {different}."
    likelier, other = (same, different) if llr > 0 else (different, same)
    return (
        f"What is seen is {ratio_words(llr)} times likelier if {likelier} than if {other}: "
        f"{support(llr)} that {likelier}."
    )
