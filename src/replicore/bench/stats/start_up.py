"""Where the start-up of a series ends: servers warm up, caches fill, clocks rise. Pure."""

from __future__ import annotations

import math

import numpy as np

from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.correlation import Series

# Five values to a batch, as in MSER-5; fewer than ten batches show no start-up.
_BATCH = 5
_LEAST_BATCHES = 10
# A cut that one steady run in a thousand would get costs more than it mends: what is left of a
# steady run after a cut looks steadier than it is.
_CLEAR_ERRORS = 3.3


def start_up(series: Floats, depth: int) -> int:
    """Return how many values at the start of a series are start-up.

    That is what MSER-5 would cut, if its mean is 3.3 standard errors away from that of the rest. It
    goes by ranks, so that one stall in the middle does not cost the half before it.

    Args:
        depth: How many neighbours may be alike.
    """
    ranks = np.unique(series, return_inverse=True)[1].astype(np.float64)
    cut = mser_cut(ranks)
    if not cut:
        return 0
    kept = ranks[cut:]
    variance = Series(kept, depth=depth).mean_of(kept).variance
    error = math.sqrt(variance * (1 + len(kept) / cut))
    return cut if abs(ranks[:cut].mean() - kept.mean()) > _CLEAR_ERRORS * error else 0


def mser_cut(series: Floats) -> int:
    """Return how many values MSER-5 cuts off at the start of a series, a multiple of five.

    With Y_1 ... Y_k the sums of batches of five, the cut of d batches makes
    sum over i > d of (Y_i - mean)^2 / (k - d)^2 smallest, d at most k / 2. A smallest one at the
    very end of that range means that nothing settles, and cuts nothing; nor do fewer than ten
    batches.

    Source: White, Cobb and Spratt 2000, A comparison of five steady-state truncation heuristics.
    """
    count = len(series) // _BATCH
    if count < _LEAST_BATCHES:
        return 0
    # From the end, so that running sums are those of what is kept.
    sums = series[: count * _BATCH].reshape(count, -1).sum(axis=1)[::-1]
    kept = np.arange(1, count + 1)
    spread = np.cumsum(sums**2) - np.cumsum(sums) ** 2 / kept
    scores = (np.maximum(spread, 0) / kept**2)[::-1][: count // 2 + 1]
    cut = int(np.argmin(scores))
    return 0 if cut == count // 2 else cut * _BATCH
