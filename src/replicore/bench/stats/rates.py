"""Amounts per second of what arrived within a window, with batch-means intervals. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.correlation import Series
from replicore.bench.stats.flow import Flow
from replicore.bench.stats.tails import LEAST_FREEDOM, student_t
from replicore.bench.stats.window import Window

# A window of fewer mean residence times says too little of its own spread: ten batches of three.
# Source: Law and Kelton, Simulation Modeling and Analysis, 9.5.3.
_LEAST_RESIDENCES = 30
# More batches than this cost time and add nothing.
_MOST_BATCHES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """An amount per second over a window.

    Attributes:
        low: Lower end of the 95 % interval; None where the window is shorter than 30 mean residence
            times, and where it is not steady.
        high: Its upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


def batch_count(window: Window, residence_s: float | None) -> int | None:
    """Return how many batches a window is cut into; None where it cannot have an interval.

    A batch is one mean residence time long.
    """
    if not window.steady or not residence_s:
        return None
    count = int(window.length_s / residence_s)
    return min(_MOST_BATCHES, count) if count >= _LEAST_RESIDENCES else None


def batch_rates(arrived: Flow, window: Window, count: int) -> Floats:
    """Return the rate in each of ``count`` equal parts of a window, ``(count,)``, per second."""
    parts = np.floor((arrived.times - window.start_s) / window.length_s * count)
    inside = (arrived.times >= window.start_s) & (arrived.times < window.end_s)
    # Rounding may put what came just before the end into a part after the last.
    chosen = np.minimum(parts[inside], count - 1).astype(np.int64)
    sums = np.bincount(chosen, arrived.amounts[inside], count)
    return np.asarray(sums * count / window.length_s, dtype=np.float64)


def rate(arrived: Flow, window: Window, batches: int | None = None) -> Rate | None:
    """Return the rate over a window, with a batch-means interval; None for a window of no length.

    value +- t sqrt(V / k), where V is the long-run variance of the k batches' rates: what one batch
    gains the next may lose, or gain too.
    """
    if not window.length_s > 0:
        return None
    rates = batch_rates(arrived, window, batches or 1)
    value = float(rates.mean())
    if batches is None:
        return Rate(value=value)
    known = Series(rates).mean_of(rates)
    half = student_t(max(known.freedom, LEAST_FREEDOM)) * math.sqrt(known.variance)
    return Rate(value=value, low=max(value - half, 0.0), high=value + half)
