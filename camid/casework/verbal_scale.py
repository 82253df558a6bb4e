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
"""Limits of likelihood ratios, and the words below each: the scale of the ENFSI guideline for
evaluative reporting in forensic science, 2015."""
DECIDED = math.log(10)
"""Log-likelihood ratio, nats, from which an answer is given: a likelihood ratio of ten."""
FEW = 1_000
"""Likelihood ratio below which thousands are not separated."""
EPSILON = 1e-9
"""Share of a ratio that its logarithm may have lost."""
SLACK = 1e-6
"""Nats from a bound at which the bound counts as reached."""
MOST = 50.0
"""Greatest log-likelihood ratio, nats, that is written; greater ones are written as this."""


def support(llr: float) -> str:
    """Return how strongly a log-likelihood ratio, nats, supports the likelier proposition."""
    ratio = math.exp(min(abs(llr), MOST))
    return next(words for limit, words in SCALE if ratio < limit or limit == math.inf)


def ratio_words(llr: float) -> str:
    """Return the likelihood ratio of a log-likelihood ratio, nats, of the likelier proposition.

    Two digits, rounded down: a ratio below a limit is not written as if the limit were reached.
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
        Least and greatest possible log-likelihood ratio, nats; the sentence says if one is reached.
    """
    if support(llr) == SCALE[0][1]:
        return f"What is seen supports neither that {same} nor that {different}."
    likelier, other = (same, different) if llr > 0 else (different, same)
    low, high = bounds
    note = (
        ", the most that the reference devices allow to say,"
        if not low + SLACK < llr < high - SLACK
        else ""
    )
    return (
        f"What is seen is {ratio_words(llr)} times likelier{note} if {likelier} than if {other}: "
        f"{support(llr)} that {likelier}."
    )
