"""How much a series of correlated values knows of its mean. Pure.

Requests that are in flight together wait for the same batches, so their latencies are alike, and a
thousand of them know less than a thousand independent ones. With autocovariances g_k the mean of n
values has the variance V / n,

    V = g_0 + 2 (g_1 + g_2 + ...),

and n g_0 / V independent values would know it as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from replicore.bench.stats.arrays import Floats, Ints

# Fewer sums than this say too little of how they depend on each other.
_LEAST_BLOCKS = 40
# Sums of three times the requests that are worth one hardly depend on each other; fewer than twenty
# say too little of their skewness.
_SUM_LENGTH = 3
_LEAST_SUMS = 20


@dataclass(frozen=True, slots=True)
class LongRun:
    """The long-run variance of a series.

    Attributes:
        variance: V, at least ``plain``: a series that alternates is not said to know more.
        plain: g_0, of one value.
        freedom: Degrees of freedom that the estimate of V is worth.
    """

    variance: float
    plain: float
    freedom: float


def long_run(series: Floats) -> LongRun:
    """Estimate the long-run variance by Geyer's initial monotone sequence.

    The sums g_2k + g_2k+1 are positive and fall with k; they are added up to where their estimates
    cease to be so. An estimate from T autocovariances of n values is biased by a factor 1 - T / n,
    which is taken out, and has a relative variance of 2 T / n, so n / T degrees of freedom.

    Source: Geyer 1992, Practical Markov chain Monte Carlo, 3.3; Priestley 1981, 6.2.4, for T.
    """
    count = len(series)
    if count < 2:
        return LongRun(0.0, 0.0, 1.0)
    covariances = _autocovariances(series)
    plain = float(covariances[0]) * count / (count - 1)
    pairs = covariances[: count // 2 * 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: ends[0] if len(ends) else None])
    lags = max(4 * len(pairs) - 1, 1)
    bias = max(1 - lags / count, 0.5)
    variance = (2 * float(pairs.sum()) - float(covariances[0])) / bias
    if variance <= plain:
        return LongRun(plain, plain, float(count - 1))
    return LongRun(variance, plain, count / lags)


def _autocovariances(series: Floats) -> Floats:
    """Return g_0 ... g_(n-1), each over n, by way of the Fourier transform."""
    count = len(series)
    centred = series - series.mean()
    # Twice the length, so that the end does not meet the start.
    size = 1 << (2 * count - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    return np.asarray(np.fft.irfft(power, size)[:count] / count, dtype=np.float64)


class Series:
    """Values in the order of their requests, some of them of one request.

    With C requests in flight, the next of a place of the loop comes C requests later; between are
    those of other places. So sums of C requests are looked at, if enough of them are left.

    Args:
        values: ``(values,)``.
        sizes: How many of them each request has, ``(requests,)``; None for one each.
        depth: Requests in flight.
    """

    __slots__ = ("_block", "_starts", "values")

    def __init__(self, values: Floats, sizes: Ints | None = None, depth: int = 1) -> None:
        self.values = values
        filled = np.ones(len(values), dtype=np.int64) if sizes is None else sizes[sizes > 0]
        self._starts = np.cumsum(filled) - filled
        self._block = max(1, min(depth, len(filled) // _LEAST_BLOCKS))

    def mean_of(self, marks: Floats) -> MeanError:
        """Return how well the mean of ``marks``, one for each value, is known.

        The series is of sums of deviations, which makes the mean a ratio estimate where requests
        have several values.
        """
        count = len(marks)
        off = marks - marks.mean()
        sums = np.add.reduceat(off, self._starts[:: self._block])
        found = long_run(sums)
        plain = float(off @ off) / max(count - 1, 1) / count
        variance = max(found.variance * len(sums) / count**2, plain)
        effective = count * plain / variance if variance > 0 else float(count)
        return MeanError(variance, effective, found.freedom)

    def skewness_of(self, marks: Floats, effective: float) -> float:
        """Return the skewness of the mean of ``marks``, which ``effective`` values would know.

        It is that of sums so long that they hardly depend on each other, over the root of their
        number.
        """
        requests = len(self._starts)
        longest = max(requests // _LEAST_SUMS, 1)
        block = min(max(self._block, math.ceil(_SUM_LENGTH * requests / effective)), longest)
        sums = np.add.reduceat(marks - marks.mean(), self._starts[::block])
        spread = float(sums.std())
        if not spread > 0:
            return 0.0
        return float(np.mean((sums - sums.mean()) ** 3)) / spread**3 / math.sqrt(len(sums))


@dataclass(frozen=True, slots=True)
class MeanError:
    """How well a mean is known.

    Attributes:
        variance: Of the mean.
        effective: Independent values that would know it as well.
        freedom: Degrees of freedom of the variance.
    """

    variance: float
    effective: float
    freedom: float
