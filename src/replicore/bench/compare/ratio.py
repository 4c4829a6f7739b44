"""Ratios of two runs' numbers, of the same requests or from two intervals. Pure."""

from __future__ import annotations

import math
from statistics import NormalDist

from replicore.bench.compare.measured import PERCENTILES, Point
from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.rates import Rate
from replicore.bench.stats.scaling import (
    Better,
    Ratio,
    mean,
    paired_ratio,
    quantile,
    scaling_efficiency,
)
from replicore.errors import UndefinedMetric

_Z = NormalDist().inv_cdf(0.975)


def of_pairs(first: Floats, second: Floats, statistic: str, *, block: int, better: Better) -> Ratio:
    """Return a statistic of the second values over that of the first, of the same requests.

    Args:
        statistic: ``mean`` or a percentile.
        block: Requests that may depend on each other.

    Raises:
        UndefinedMetric: There are too few values.
    """
    p = PERCENTILES.get(statistic)
    how = mean if p is None else quantile(p)
    return paired_ratio(second, first, better=better, block=block, statistic=how)


def of_points(first: Point, second: Point, *, better: Better) -> Ratio:
    """Return the second over the first, of independent numbers with intervals of their own.

    The logarithm of the ratio is taken for normal, with an error of its interval's width / 2z.

    Raises:
        UndefinedMetric: One has no interval, or none above 0.
    """
    found = scaling_efficiency(_rate(second), 1, _rate(first))
    if found.low is None or found.high is None:
        raise UndefinedMetric("one of the two numbers has no interval")
    above = _above(math.log(found.value), math.log(found.high / found.low) / (2 * _Z))
    return Ratio(
        value=found.value,
        low=found.low,
        high=found.high,
        improvement=above if better == "higher" else 1 - above,
        p_value=2 * min(above, 1 - above),
    )


def _above(mean: float, error: float) -> float:
    """Return the probability of a normal variable being above 0."""
    if error > 0:
        return 1 - NormalDist(mean, error).cdf(0)
    return 0.5 if mean == 0 else float(mean > 0)


def _rate(point: Point) -> Rate:
    return Rate(value=point.value, low=point.low, high=point.high)
