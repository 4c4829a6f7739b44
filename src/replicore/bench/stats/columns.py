"""A metric of every request as an array, from which rows take their requests. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from replicore.bench.record import FailureKind, RequestRecord
from replicore.bench.stats.arrays import Bools, Floats, Ints
from replicore.bench.stats.flow import flat
from replicore.bench.stats.latency import LatencyFrom, Metric, e2e, start_s, ttft
from replicore.bench.stats.quantiles import Distribution, distribution
from replicore.errors import UndefinedMetric

# These were still on their way when we gave them up: they took longer than that.
_CUT_SHORT = (FailureKind.INTERRUPTED, FailureKind.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Column:
    """One value for each request.

    Attributes:
        values: NaN where it is undefined, ``(requests,)``.
        censored: Where it is only known to be larger, ``(requests,)``.
    """

    values: Floats
    censored: Bools

    def of(self, requests: Bools, depth: int = 1) -> Distribution:
        """Return the distribution over some of the requests, ``(requests,)``.

        Args:
            depth: How many of them are in flight at once.
        """
        chosen = requests & ~np.isnan(self.values)
        return distribution(self.values[chosen], censored=self.censored[chosen], depth=depth)


@dataclass(frozen=True, slots=True)
class Gaps:
    """Chunk gaps of all requests together.

    Attributes:
        values: ``(gaps,)``.
        sizes: How many each request has, ``(requests,)``.
    """

    values: Floats
    sizes: Ints

    def of(self, requests: Bools, depth: int = 1) -> Distribution:
        """Return the distribution over some of the requests, ``(requests,)``; see above."""
        chosen = np.repeat(requests, self.sizes)
        return distribution(self.values[chosen], sizes=self.sizes[requests], depth=depth)


def column(metric: Metric, records: Sequence[RequestRecord]) -> Column:
    """Return a metric of the successful requests."""
    values = [_or_nan(metric, record) if record.succeeded else np.nan for record in records]
    return Column(np.array(values, dtype=np.float64), np.zeros(len(records), dtype=np.bool_))


def ttft_column(records: Sequence[RequestRecord], since: LatencyFrom) -> Column:
    """Return TTFT; of a request cut short before its first content, that it took longer."""
    return _latency_column(
        records,
        since,
        metric=lambda record: ttft(record, since),
        is_seen=lambda record: bool(record.chunk_times_s),
    )


def e2e_column(records: Sequence[RequestRecord], since: LatencyFrom) -> Column:
    """Return the end-to-end latency; of a request that was cut short, that it took longer."""
    return _latency_column(
        records, since, metric=lambda record: e2e(record, since), is_seen=lambda _: False
    )


def _latency_column(
    records: Sequence[RequestRecord],
    since: LatencyFrom,
    *,
    metric: Metric,
    is_seen: Callable[[RequestRecord], bool],
) -> Column:
    values = np.full(len(records), np.nan)
    censored = np.zeros(len(records), dtype=np.bool_)
    for place, record in enumerate(records):
        cut_short = record.failure is not None and record.failure.kind in _CUT_SHORT
        if record.succeeded or (cut_short and is_seen(record)):
            values[place] = _or_nan(metric, record)
        elif cut_short:
            values[place] = record.ended_s - start_s(record, since)
            censored[place] = True
    return Column(values, censored)


def _or_nan(metric: Metric, record: RequestRecord) -> float:
    try:
        return metric(record)
    except UndefinedMetric:
        return np.nan


def gap_columns(records: Sequence[RequestRecord]) -> Gaps:
    """Return the chunk gaps of the successful requests."""
    chunks = [record.chunk_times_s if record.succeeded else () for record in records]
    counts = np.array([len(times) for times in chunks], dtype=np.int64)
    gaps = np.diff(flat(chunks, int(counts.sum())))
    # Between the last chunk of a request and the first of the next is no gap.
    borders = np.cumsum(counts[counts > 0])[:-1] - 1
    return Gaps(np.delete(gaps, borders), np.maximum(counts - 1, 0))
