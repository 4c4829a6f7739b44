"""Counts as they are passed on, and how those of several workers add up. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

Labels = tuple[str, ...]


class Count(msgspec.Struct, frozen=True, array_like=True):
    """One time series of a counter or a gauge."""

    metric: str
    labels: Labels
    value: int


class Distribution(msgspec.Struct, frozen=True, array_like=True):
    """One time series of a histogram.

    Attributes:
        counts: Per bucket, not cumulative; one more than there are bounds.
        sum: Of the observations, in the metric's unit.
    """

    metric: str
    labels: Labels
    counts: tuple[int, ...]
    sum: float


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted up to a moment."""

    counters: tuple[Count, ...] = ()
    gauges: tuple[Count, ...] = ()
    histograms: tuple[Distribution, ...] = ()

    def lasting(self) -> Snapshot:
        """Return what stays true after the worker's death: all but the gauges."""
        return Snapshot(counters=self.counters, histograms=self.histograms)


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sum; of the gauges too, which count workers, requests and slots."""
    every = tuple(snapshots)
    return Snapshot(
        counters=_sum_counts(count for one in every for count in one.counters),
        gauges=_sum_counts(count for one in every for count in one.gauges),
        histograms=_sum_distributions(one for each in every for one in each.histograms),
    )


def _sum_counts(counts: Iterable[Count]) -> tuple[Count, ...]:
    sums: dict[tuple[str, Labels], int] = {}
    for count in counts:
        key = (count.metric, count.labels)
        sums[key] = sums.get(key, 0) + count.value
    return tuple(Count(metric, labels, value) for (metric, labels), value in sums.items())


def _sum_distributions(distributions: Iterable[Distribution]) -> tuple[Distribution, ...]:
    sums: dict[tuple[str, Labels], Distribution] = {}
    for one in distributions:
        key = (one.metric, one.labels)
        sums[key] = _sum_of_two(sums[key], one) if key in sums else one
    return tuple(sums.values())


def _sum_of_two(one: Distribution, other: Distribution) -> Distribution:
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    return Distribution(one.metric, one.labels, counts, one.sum + other.sum)
