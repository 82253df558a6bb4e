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
EPSILON = 1e-9
"""Of a ratio, that its logarithm may have lost."""
SLACK = 1e-6
"""Nats from a bound at which it counts as reached."""
MOST = 50.0
"""Log-likelihood ratio, nats, from which a ratio is written as if it were this."""


def support(llr: float) -> str:
    """Return how strongly a log-likelihood ratio, nats, supports the likelier proposition."""
    ratio = math.exp(min(abs(llr), MOST))
    return next(words for limit, words in SCALE if ratio < limit or limit == math.inf)


def ratio_words(llr: float) -> str:
    """Return a log-likelihood ratio, nats, as how many times likelier what was seen is, at least.

    Two digits, rounded down: what is below a limit is not written as if it reached it.
    """
    exact = math.exp(min(abs(llr), MOST)) * (1 + EPSILON)
    step = 10.0 ** (math.floor(math.log10(exact)) - 1)
    ratio = float(f"{math.floor(exact / step) * step:.2g}")
    return f"{ratio:g}" if ratio < FEW else f"{ratio:,.0f}"


def answer(
    llr: float, *, same: str, different: str, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> str:
    """Return a log-likelihood ratio, nats, as a sentence.

    Parameters
    ----------
    same, different
        The two propositions, as they follow "that": ``one camera took both sides``.
    bounds
        The least and the greatest ratio that can be answered, nats; one that is reached is told.
    """
    if support(llr) == SCALE[0][1]:
        return f"What is seen supports neither that {same} nor that {different}."
    likelier, other = (same, different) if llr > 0 else (different, same)
    low, high = bounds
    most = (
        ", the most that the reference devices allow to say,"
        if not low + SLACK < llr < high - SLACK
        else ""
    )
    return (
        f"What is seen is {ratio_words(llr)} times likelier{most} if {likelier} than if {other}: "
        f"{support(llr)} that {likelier}."
    )
