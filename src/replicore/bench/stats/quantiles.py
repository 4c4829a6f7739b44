"""Distributions with intervals, and the refusal of what a sample cannot carry. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replicore.bench.stats.arrays import Bools, Floats, Ints
from replicore.bench.stats.correlation import MeanError, Series
from replicore.bench.stats.survival import Curve, curve_of
from replicore.bench.stats.tails import LEAST_FREEDOM, Z, quantile_ranks, skewed_ends, student_t

LEVELS = (0.5, 0.9, 0.95, 0.99, 0.999)
# Fewer values do not show whether they come in clusters.
_FEW_BEYOND = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """The value that a share ``p`` of all requests stays within, with its 95 % interval.

    Attributes:
        p: 0.99 for the 99th percentile.
        value: None where the sample is too small to bound it from above: it is refused.
        low: Lower end of the interval. Of a refused one still a bound: with 97.5 % confidence the
            quantile is at least that; None where not even that can be said.
        high: Upper end; None of a refused one.
    """

    p: float
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Values of ``n`` requests, or of their chunk gaps; intervals are 95 %.

    Attributes:
        effective_n: Independent values that would know the mean as well; at most ``n``.
        censored: Of the ``n``, those of which is only known that they are larger than what was
            seen: requests that were unfinished or had timed out.
        mean: None where there is no value, and where the largest is censored.
        mean_low: None where the interval cannot be known.
        stddev: With n - 1; None below two values.
        min: Smallest and largest value that was seen to its end.
    """

    n: int
    effective_n: float = 0.0
    censored: int = 0
    mean: float | None = None
    mean_low: float | None = None
    mean_high: float | None = None
    stddev: float | None = None
    min: float | None = None
    max: float | None = None
    quantiles: tuple[Quantile, ...] = ()

    def at(self, p: float) -> Quantile:
        """Return the quantile ``p``, 0 to 1; a refused one where it was not computed."""
        return next((found for found in self.quantiles if found.p == p), Quantile(p=p))

    @property
    def p50(self) -> float | None:
        return self.at(0.5).value

    @property
    def p90(self) -> float | None:
        return self.at(0.9).value

    @property
    def p95(self) -> float | None:
        return self.at(0.95).value

    @property
    def p99(self) -> float | None:
        return self.at(0.99).value


def distribution(
    values: Sequence[float] | Floats,
    *,
    censored: Bools | None = None,
    sizes: Ints | None = None,
    depth: int = 1,
) -> Distribution:
    """Summarise values that are in the order in which their requests were dispatched.

    Args:
        values: ``(n,)``.
        censored: Which of them are only known to be larger, ``(n,)``.
        sizes: How many of the values each request has, ``(requests,)``; None for one each.
        depth: Requests in flight: so many may be alike.
    """
    data = np.asarray(values, dtype=np.float64)
    hidden = np.zeros(len(data), dtype=np.bool_) if censored is None else censored
    seen = data[~hidden]
    if not len(seen):
        return Distribution(n=len(data), censored=len(data))
    curve = curve_of(data, hidden)
    series = Series(seen, sizes, depth)
    known = series.mean_of(seen)
    mean = curve.mean()
    low, high = _mean_interval(mean, known, series)
    return Distribution(
        n=len(data),
        effective_n=known.effective,
        censored=len(data) - len(seen),
        mean=mean,
        mean_low=low,
        mean_high=high,
        stddev=float(seen.std(ddof=1)) if len(seen) > 1 else None,
        min=float(seen.min()),
        max=float(seen.max()),
        quantiles=tuple(_quantile(p, curve, series) for p in LEVELS),
    )


def _mean_interval(
    mean: float | None, known: MeanError, series: Series
) -> tuple[float, float] | tuple[None, None]:
    if mean is None or len(series.values) < 2 or known.freedom < LEAST_FREEDOM:
        return None, None
    error = math.sqrt(known.variance)
    skewness = series.skewness_of(series.values, known.effective)
    down, up = skewed_ends(known.freedom, skewness)
    return mean - down * error, mean + up * error


def _quantile(p: float, curve: Curve, series: Series) -> Quantile:
    """Return a quantile with the interval that as many independent values as it is worth give."""
    value = curve.value(p)
    size = _independent(p, curve, series)
    low, high = quantile_ranks(size, p)
    least = None if low is None else curve.ranked(low / (size + 1))
    most = None if high is None else curve.ranked(high / (size + 1))
    if value is None or most is None:
        return Quantile(p=p, low=least)
    return Quantile(p=p, value=value, low=least, high=most)


def _independent(p: float, curve: Curve, series: Series) -> int:
    """Return how many independent values would know the share below the quantile as well.

    What correlation costs is that of the series of who was within the quantile, so a sample may be
    worth 500 values for its median and 900 for its p99. Of fewer than 30 values beyond a quantile
    nobody can tell whether they cluster: then the quantile that has 30 beyond it is asked too.

    The values beyond come in clusters, and how large these are is only known from as many as there
    are; that, and what is not known of the variance in general, widens the interval as Student's t
    does.

    Source: Vehtari et al. 2021, Rank-normalization, folding, and localization, 4.3.
    """
    count = len(series.values)
    known = min(
        (_within(level, curve, series) for level in {p, min(p, max(0.5, 1 - _FEW_BEYOND / count))}),
        key=lambda error: error.effective,
    )
    clustered = 1 - known.effective / count
    beyond = known.effective * min(p, 1 - p)
    freedom = 1 / (1 / known.freedom + clustered / beyond)
    doubt = (Z / student_t(max(freedom, LEAST_FREEDOM))) ** 2
    return max(int(curve.size(p) * known.effective / count * doubt), 1)


def _within(p: float, curve: Curve, series: Series) -> MeanError:
    """Return how well the share of values within the quantile ``p`` is known."""
    value = curve.value(p)
    reference = series.values.max() if value is None else value
    return series.mean_of((series.values <= reference).astype(np.float64))
