"""Means of a few repeats: Student's t distribution, in closed form for whole degrees. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from replicore.bench.stats.scaling import Ratio
from replicore.bench.stats.summary import Rate

_CONFIDENCE = 0.975
_ENOUGH_HALVINGS = 200


def t_cdf(t: float, degrees: int) -> float:
    """Return P(T <= t) for ``degrees`` >= 1 degrees of freedom.

    Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    angle = math.atan2(t, math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    if degrees % 2:
        series = _series(cosine, first=cosine, terms=(degrees - 1) // 2, denominator=3)
        within = 2 / math.pi * (angle + sine * series)
    else:
        within = sine * _series(cosine, first=1.0, terms=degrees // 2, denominator=2)
    return (1 + within) / 2


def _series(cosine: float, *, first: float, terms: int, denominator: int) -> float:
    """Sum ``terms`` terms; each is the one before times cos^2 and the next (d - 1) / d."""
    total, term = 0.0, first
    for index in range(terms):
        total += term
        d = denominator + 2 * index
        term *= cosine * cosine * (d - 1) / d
    return total


def t_quantile(p: float, degrees: int) -> float:
    """Return the t that P(T <= t) = ``p`` holds for, 0.5 <= p < 1."""
    low, high = 0.0, 1.0
    while t_cdf(high, degrees) < p:
        high *= 2
    for _ in range(_ENOUGH_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_cdf(middle, degrees) < p else (low, middle)
    return high


def mean_rate(rates: Sequence[float]) -> Rate | None:
    """Return the mean of the repeats, with its 95 % interval from two on; None of none.

    mean +- t(0.975, R - 1) s / sqrt(R)

    What differs from one deployment to the next is in it; an interval from within one run leaves
    that out.
    """
    if not rates:
        return None
    mean = math.fsum(rates) / len(rates)
    if len(rates) < 2:
        return Rate(value=mean)
    half = t_quantile(_CONFIDENCE, len(rates) - 1) * _standard_error(rates)
    return Rate(value=mean, low=max(0.0, mean - half), high=mean + half)


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio | None:
    """Return the ratio of rates that were measured in the same repeats; None of fewer than two.

    d_r = log(ours_r / theirs_r), ratio = exp(mean(d)), interval exp(mean(d) +- t s / sqrt(R)),
    t with R - 1 degrees. ``improvement`` is the probability that ours is the higher one, and
    ``p_value`` is two-sided, both by the same t.

    Args:
        ours: Above 0, ``(repeats,)``.
        theirs: The same.
    """
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    if len(logs) < 2:
        return None
    degrees = len(logs) - 1
    mean, error = math.fsum(logs) / len(logs), _standard_error(logs)
    half = t_quantile(_CONFIDENCE, degrees) * error
    improvement = t_cdf(mean / error, degrees) if error else _certainty(mean)
    return Ratio(
        value=math.exp(mean),
        low=math.exp(mean - half),
        high=math.exp(mean + half),
        improvement=improvement,
        p_value=2 * min(improvement, 1 - improvement),
    )


def _certainty(mean: float) -> float:
    """Return the probability that a mean without any spread is above 0."""
    return 0.5 if mean == 0 else float(mean > 0)


def _standard_error(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1) / len(values))
