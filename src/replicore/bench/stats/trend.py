"""Whether something still rises or falls within the window. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from replicore.bench.stats.arrays import Floats

_BATCHES = 20
_LEAST_BATCHES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A Mann-Kendall test on batch means.

    Attributes:
        slope_per_s: Theil-Sen slope: change per second.
        p_value: Two-sided; small means that there is a trend.
    """

    slope_per_s: float
    p_value: float


def trend(times: Floats, values: Floats, *, per_batch: int = 1) -> Trend | None:
    """Test whether values rise or fall with time; None with fewer than ten batches.

    The test wants independent values, so it is of the means of up to 20 batches.

    S = sum over i < j of sign(y_j - y_i), Var S = k (k - 1) (2k + 5) / 18,
    z = (|S| - 1) / sqrt(Var S); the slope is the median of all (y_j - y_i) / (x_j - x_i).

    Args:
        times: ``(n,)``, ascending.
        values: ``(n,)``.
        per_batch: Least number of values in a batch: as many as may depend on each other.

    Source: Mann 1945, Kendall 1975; Theil 1950, Sen 1968.
    """
    count = min(_BATCHES, len(values) // per_batch)
    if count < _LEAST_BATCHES:
        return None
    x = np.array([part.mean() for part in np.array_split(times, count)])
    y = np.array([part.mean() for part in np.array_split(values, count)])
    before, after = np.triu_indices(count, 1)
    rises = y[after] - y[before]
    score = abs(float(np.sign(rises).sum()))
    z = max(score - 1, 0.0) / math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    slopes = rises / np.maximum(x[after] - x[before], np.finfo(np.float64).tiny)
    return Trend(slope_per_s=float(np.median(slopes)), p_value=math.erfc(z / math.sqrt(2)))
