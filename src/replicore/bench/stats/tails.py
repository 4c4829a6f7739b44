"""Quantiles of Student's t and ranks of order statistics, for 95 % intervals. Pure."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
Z = NormalDist().inv_cdf(1 - TAIL)
# Below, the series for Student's t is off by more than 1 %.
LEAST_FREEDOM = 3.0
# A skewness estimated as larger is mostly chance, and the transformation bends too far there.
_MOST_SKEWED = 0.06
# Below, G(r) is r but for rounding.
_STRAIGHT = 1e-4
# Beyond ten standard deviations a binomial has less than 1e-20.
_REACH = 10


def student_t(freedom: float, z: float = Z) -> float:
    """Return the quantile of Student's t where the normal distribution's is ``z``.

    With the default z it is the 97.5 % quantile; off by less than 0.5 % from 4 degrees of freedom.

    Source: Abramowitz and Stegun, 26.7.5.
    """
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def skewed_ends(freedom: float, skewness: float) -> tuple[float, float]:
    """Return how many standard errors a mean's interval reaches down and up.

    A mean of values with a long upper tail is more often far too low than far too high, and then
    its standard error is too small as well. With b = skewness / 6 and r = -+t:

    G(r) = ((1 + 6 b (r - b))^(1/3) - 1) / (2 b); from mean - G(t) errors to mean - G(-t) errors.

    Args:
        skewness: Of the mean; beyond 0.36 it is taken for that.

    Source: Willink 2005, A confidence interval and test for the mean of an asymmetric distribution;
    used for correlated values by Skart, Tafazzoli et al. 2011.
    """
    t = student_t(max(freedom, LEAST_FREEDOM))
    b = min(max(skewness / 6, -_MOST_SKEWED), _MOST_SKEWED)
    if abs(b) < _STRAIGHT:
        return t, t
    down, up = ((math.cbrt(1 + 6 * b * (r - b)) - 1) / (2 * b) for r in (t, -t))
    return down, -up


def quantile_ranks(size: int, p: float) -> tuple[float | None, float | None]:
    """Return the ranks, 1 to ``size``, of a quantile's 95 % interval among independent values.

    With B ~ Binomial(size, p) values at most the quantile q, P(x_r > q) = P(B <= r - 1). The low
    rank l has P(x_l > q) = 2.5 %, the high one u has P(x_u > q) = 97.5 %; they lie between whole
    ranks, in proportion to the probability. None where the sample does not reach so far: without a
    high rank, p^size > 2.5 %, it cannot bound the quantile from above.

    Source: Hahn and Meeker, Statistical Intervals, 5.2; Nyblom 1992 for the ranks between.
    """
    counts, at_most = _binomial(size, p)
    low, high = np.interp((TAIL, 1 - TAIL), at_most, counts) + 1
    return (
        None if at_most[0] > TAIL else float(low),
        None if high > size else float(high),
    )


def _binomial(size: int, p: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts k where Binomial(size, p) is not negligible, and P(B <= k)."""
    reach = _REACH * math.sqrt(size * p * (1 - p)) + _REACH
    first = max(0, math.floor(size * p - reach))
    last = min(size, math.ceil(size * p + reach))
    counts = np.arange(first, last + 1)
    before = counts[:-1]
    # P(B = k + 1) / P(B = k) = (size - k) / (k + 1) p / (1 - p)
    steps = np.log((size - before) / (before + 1) * (p / (1 - p)))
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    weights = np.exp(logs - logs.max())
    at_most = np.cumsum(weights)
    return counts, at_most / at_most[-1]
