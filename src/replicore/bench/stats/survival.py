"""Quantiles where some values are only known to be larger than what was seen. Pure.

A request that was cancelled or timed out after 30 s took longer than 30 s; leaving it out would
make the tail look short exactly where it is long. Kaplan and Meier's estimate uses it for as long
as it was seen.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from replicore.bench.stats.arrays import Bools, Floats

# Sums of n-ths miss p by rounding.
_ROUNDING = 1e-9


class Curve(Protocol):
    """Estimated quantiles of a sample of ``n`` values."""

    def value(self, p: float) -> float | None:
        """Return the quantile ``p``; None where it lies beyond what was seen."""
        ...

    def ranked(self, share: float) -> float | None:
        """Return the value of rank ``share (n + 1)``, counted from 1."""
        ...

    def size(self, p: float) -> float:
        """Return how many values, all seen, would know the share below the quantile as well."""
        ...

    def mean(self) -> float | None: ...


class Seen:
    """The curve of values that were all seen: their order statistics."""

    __slots__ = ("_sorted",)

    def __init__(self, values: Floats) -> None:
        self._sorted = np.sort(values)

    def value(self, p: float) -> float | None:
        """Interpolate at (n - 1) p, counted from 0.

        Source: Hyndman and Fan type 7, numpy's default; ``vllm bench serve`` uses the same.
        """
        return self._between((len(self._sorted) - 1) * p)

    def ranked(self, share: float) -> float | None:
        return self._between(share * (len(self._sorted) + 1) - 1)

    def _between(self, position: float) -> float:
        last = len(self._sorted) - 1
        place = min(max(position, 0.0), float(last))
        below = int(place)
        low, high = self._sorted[below], self._sorted[min(below + 1, last)]
        return float(low + (place - below) * (high - low))

    def size(self, p: float) -> float:
        return float(len(self._sorted))

    def mean(self) -> float | None:
        return float(self._sorted.mean())


class KaplanMeier:
    """The curve of values of which some are censored.

    With d_i values seen at t_i, of the n_i that had come so far:

    S(t) = product over t_i <= t of (1 - d_i / n_i)
    Var S(t) = S(t)^2 G(t), G(t) = sum over t_i <= t of d_i / (n_i (n_i - d_i))

    The quantile p is the smallest t_i with S(t_i) <= 1 - p.

    Args:
        values: When each ended, seen or not, ``(n,)``.
        censored: Whether it ended unseen, ``(n,)``.

    Source: Kaplan and Meier 1958; Greenwood 1926 for the variance.
    """

    __slots__ = ("_count", "_greenwood", "_times", "_within")

    def __init__(self, values: Floats, censored: Bools) -> None:
        self._count = len(values)
        # Of equal times those that were seen come first: the others lasted longer.
        order = np.lexsort((censored, values))
        seen = ~censored[order]
        at_risk = np.arange(self._count, 0, -1, dtype=np.float64)[seen]
        self._times = values[order][seen]
        self._within = 1 - np.cumprod(1 - 1 / at_risk)
        # The last of all, where it was seen, leaves none at risk: no quantile needs its term.
        several = at_risk[at_risk > 1]
        self._greenwood = np.cumsum(1 / (several * (several - 1)))

    def value(self, p: float) -> float | None:
        return self._reaching(p)

    def ranked(self, share: float) -> float | None:
        return self._reaching(max(share * (self._count + 1) / self._count, 0.0))

    def _reaching(self, share: float) -> float | None:
        place = int(np.searchsorted(self._within, share - _ROUNDING))
        return float(self._times[place]) if place < len(self._times) else None

    def size(self, p: float) -> float:
        """Return p / ((1 - p) G), which is n where nothing is censored."""
        place = int(np.searchsorted(self._within, p - _ROUNDING))
        usable = self._greenwood[: place + 1]
        if not len(usable):
            return float(self._count)
        return min(p / ((1 - p) * float(usable[-1])), float(self._count))

    def mean(self) -> float | None:
        """Return the area under S; None where the largest value is censored: S never ends."""
        masses = np.diff(self._within, prepend=0.0)
        if not len(masses) or not math.isclose(self._within[-1], 1.0):
            return None
        return float(masses @ self._times)


def curve_of(values: Floats, censored: Bools) -> Curve:
    """Return the curve of values, ``(n,)``; n is at least 1."""
    return KaplanMeier(values, censored) if censored.any() else Seen(values)
