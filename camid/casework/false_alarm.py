"""False-alarm probability of the best of many hypotheses, and the equivalent single energy."""

import numpy as np
from scipy.special import log_ndtr, ndtri_exp


def log_false_alarm(energy: float, *, num_lags: int) -> float:
    """Return the natural log-probability that strangers' best PCE is ``energy`` or more.

    The probability of :func:`camid.prnu.correlation.false_alarm_probability`, 1 − (1 − Q(√PCE))^k,
    may be too small for a float. ``num_lags`` counts all correlations that the best was taken of:
    lags of every turn, scale and entry.

    Raises
    ------
    ValueError
        If no lag is searched.
    """
    return _log_missed(_log_expected(energy, num_lags))


def evidence_energy(energy: float, *, num_lags: int) -> float:
    """Return the PCE that a single lag would need for the false-alarm probability of the best of k.

    About ``energy`` − 2 ln k. This puts the PCE of any search on the scale of one lag, where
    calibrations are made. It is signed like the PCE: below 0, the best of so many lags is lower
    than the median of strangers'.

    Raises
    ------
    ValueError
        If no lag is searched.
    """
    if num_lags == 1:
        return float(energy)
    log_expected = _log_expected(energy, num_lags)
    # Φ⁻¹ of the probability's own logarithm or of its complement's, whichever is the smaller
    if log_expected < np.log(np.log(2)):
        z = -ndtri_exp(_log_missed(log_expected))
    else:
        z = ndtri_exp(-np.exp(log_expected))
    return float(np.sign(z) * z**2)


def _log_expected(energy: float, num_lags: int) -> float:
    """Return ln(−k ln(1 − Q)): about the log of the expected number of strangers' lags so high."""
    if num_lags < 1:
        raise ValueError(f"expected a search of at least one lag, got num_lags={num_lags}")
    z = np.sign(energy) * np.sqrt(abs(energy))
    log_single = log_ndtr(-z)
    # ln(1 − Q) = ln Φ(z); −ln(1 − Q) → Q where Q is far below the float's precision
    return float(np.log(num_lags) + (log_single if log_single < -40 else np.log(-log_ndtr(z))))


def _log_missed(log_expected: float) -> float:
    """Return ln(1 − exp(−u)) of ln u."""
    if log_expected < -40:
        return float(log_expected)
    return float(np.log(-np.expm1(-np.exp(log_expected))))
