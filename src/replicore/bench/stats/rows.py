"""One line of a report: the numbers of a whole run or of one replica. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from replicore.bench.record import BenchResult, RequestRecord
from replicore.bench.stats.arrays import Bools
from replicore.bench.stats.columns import column, e2e_column, gap_columns, ttft_column
from replicore.bench.stats.flow import Flow, completions, input_tokens, output_tokens
from replicore.bench.stats.latency import LatencyFrom, max_stall, normalized, tpot, user_rate
from replicore.bench.stats.objectives import Objectives, attainment, fluidity, meets
from replicore.bench.stats.occupancy import in_flight
from replicore.bench.stats.quantiles import Distribution
from replicore.bench.stats.rates import Rate, rate
from replicore.bench.stats.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The numbers of a whole run or of one replica; times in seconds, rates per second.

    Attributes:
        requests: Measured requests with an outcome: successes and errors.
        unfinished: Requests cancelled because the run was interrupted.
        share: This row's part of the requests, 0 to 1.
        goodput_per_s: Successful requests within every objective; None without objectives.
        attainment: Share of requests within every objective; failed ones are not.
        ttft_s: From when the request was dispatched, or, in an open loop, intended:
            ``Summary.latency_from``. So is ``e2e_s``.
        ttft_dispatched_s: Always from its dispatch. So is ``e2e_dispatched_s``.
        gap_s: Chunk gaps of all requests together, each gap with one vote.
        normalized_s: E2E per output token.
        user_rate_per_s: Tokens per second that one user sees, 1 / TPOT.
        max_stall_s: Each request's longest chunk gap.
        fluidity: Each request's share of tokens on time; empty without objectives.
    """

    name: str
    requests: int
    succeeded: int
    errors: int
    unfinished: int
    share: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    output_tokens_per_s: Rate | None
    total_tokens_per_s: Rate | None
    requests_per_s: Rate | None
    goodput_per_s: Rate | None
    attainment: float | None
    ttft_s: Distribution
    tpot_s: Distribution
    gap_s: Distribution
    e2e_s: Distribution
    ttft_dispatched_s: Distribution
    e2e_dispatched_s: Distribution
    normalized_s: Distribution
    user_rate_per_s: Distribution
    max_stall_s: Distribution
    fluidity: Distribution


class Rows:
    """Makes the rows of a run; what they share is computed once.

    Args:
        since: Where the headline latencies begin.
    """

    def __init__(self, result: BenchResult, limits: Objectives, since: LatencyFrom) -> None:
        # In order of dispatch: neighbours are alike, and intervals must know how much.
        records = sorted(result.records, key=lambda record: record.dispatched_s)
        self._records = records
        self._dispatched = np.array([record.dispatched_s for record in records])
        self._verdicts = [meets(record, limits, since) for record in records]
        self._is_judged = limits.stated
        self._latencies = _Latencies(records, limits, since)
        self._arrivals = _Arrivals([*result.warmup, *records], limits, since)

    def row(
        self, name: str, window: Window, *, replica: str | None = None, batches: int | None = None
    ) -> Row:
        """Return the numbers of one replica, or of all.

        Args:
            batches: Of the intervals of rates; None for no intervals.
        """
        mine = _answered_by(replica, self._records)
        inside = mine & (self._dispatched >= window.start_s) & (self._dispatched < window.end_s)
        records = [self._records[place] for place in np.flatnonzero(mine)]
        depth = _depth(records, window)
        good = [record for record in records if record.succeeded]
        unfinished = sum(record.unfinished for record in records)
        seen = self._latencies
        arrived = self._arrivals.of(replica)
        return Row(
            name=name,
            requests=len(records) - unfinished,
            succeeded=len(good),
            errors=len(records) - unfinished - len(good),
            unfinished=unfinished,
            share=len(records) / len(self._records) if self._records else 0.0,
            input_tokens=sum(record.input_tokens or 0 for record in good),
            output_tokens=sum(record.output_tokens or 0 for record in good),
            cached_tokens=sum(record.cached_tokens or 0 for record in good),
            output_tokens_per_s=rate(arrived.output, window, batches),
            total_tokens_per_s=rate(arrived.tokens, window, batches),
            requests_per_s=rate(arrived.completed, window, batches),
            goodput_per_s=rate(arrived.good, window, batches) if self._is_judged else None,
            attainment=self._attainment(inside),
            ttft_s=seen.ttft.of(inside, depth),
            tpot_s=seen.tpot.of(inside, depth),
            gap_s=seen.gaps.of(inside, depth),
            e2e_s=seen.e2e.of(inside, depth),
            ttft_dispatched_s=seen.ttft_dispatched.of(inside, depth),
            e2e_dispatched_s=seen.e2e_dispatched.of(inside, depth),
            normalized_s=seen.normalized.of(inside, depth),
            user_rate_per_s=seen.user_rate.of(inside, depth),
            max_stall_s=seen.max_stall.of(inside, depth),
            fluidity=seen.fluidity.of(inside, depth),
        )

    def _attainment(self, requests: Bools) -> float | None:
        if not self._is_judged:
            return None
        return attainment(self._verdicts[place] for place in np.flatnonzero(requests))


def _depth(records: Sequence[RequestRecord], window: Window) -> int:
    """Return how many of some requests are in flight at once, on average."""
    if not window.length_s > 0:
        return 1
    return max(1, round(in_flight(records).mean(window.start_s, window.end_s)))


def _answered_by(replica: str | None, records: Sequence[RequestRecord]) -> Bools:
    """Return which records are of a replica, ``(requests,)``; all for None."""
    if replica is None:
        return np.ones(len(records), dtype=np.bool_)
    return np.array([record.replica == replica for record in records], dtype=np.bool_)


class _Latencies:
    """Every latency of every measured request."""

    def __init__(
        self, records: Sequence[RequestRecord], limits: Objectives, since: LatencyFrom
    ) -> None:
        self.ttft = ttft_column(records, since)
        self.e2e = e2e_column(records, since)
        self.ttft_dispatched = ttft_column(records, "dispatched")
        self.e2e_dispatched = e2e_column(records, "dispatched")
        self.tpot = column(tpot, records)
        self.gaps = gap_columns(records)
        self.normalized = column(partial(normalized, since=since), records)
        self.user_rate = column(user_rate, records)
        self.max_stall = column(max_stall, records)
        self.fluidity = column(partial(fluidity, limits=limits, since=since), records)


@dataclass(frozen=True, slots=True)
class _Arrived:
    """What a row's rates count.

    Attributes:
        tokens: Of output and input.
        good: Requests within every objective.
    """

    output: Flow
    tokens: Flow
    completed: Flow
    good: Flow


class _Arrivals:
    """Everything that arrived in a run, the warm-up's included."""

    def __init__(
        self, records: Sequence[RequestRecord], limits: Objectives, since: LatencyFrom
    ) -> None:
        output = output_tokens(records)
        completed = completions(records)
        met = np.array([bool(meets(record, limits, since)) for record in records], dtype=np.bool_)
        self._records = records
        self._all = _Arrived(
            output, output.joined(input_tokens(records)), completed, completed.of(met)
        )

    def of(self, replica: str | None) -> _Arrived:
        if replica is None:
            return self._all
        mine = _answered_by(replica, self._records)
        found = self._all
        return _Arrived(
            found.output.of(mine),
            found.tokens.of(mine),
            found.completed.of(mine),
            found.good.of(mine),
        )
