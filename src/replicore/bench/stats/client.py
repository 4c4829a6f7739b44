"""How well the load client kept to the load that it was asked for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replicore.bench.record import BenchResult, RequestRecord
from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.flow import flat
from replicore.bench.stats.occupancy import in_flight, places
from replicore.bench.stats.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSummary:
    """What the records say of the client itself.

    Attributes:
        send_delay_p50_s: From when a request could leave to its last byte given to the kernel.
            It can leave at its time in the plan, and once it has a place in the loop.
        read_lag_p99_s: From the kernel's stamp of a chunk to its reading; None without stamps.
        requested_rate_per_s: Of the plan; None in a closed loop.
        achieved_rate_per_s: Dispatches per second.
        full_share: Part of the window's time with the full concurrency in flight; None in an open
            loop.
    """

    send_delay_p50_s: float | None
    send_delay_p99_s: float | None
    read_lag_p99_s: float | None
    requested_rate_per_s: float | None
    achieved_rate_per_s: float | None
    full_share: float | None


def client_summary(result: BenchResult, window: Window) -> ClientSummary:
    """Return how the client did: over the window in a closed loop, over the plan in an open one."""
    delays = send_delays(result)
    plan = None if result.load.arrivals is None else [r for r in result.records if not r.turn]
    lags = flat((record.chunk_lags_s for record in result.records), -1)
    return ClientSummary(
        send_delay_p50_s=_percentile(delays, 50),
        send_delay_p99_s=_percentile(delays, 99),
        read_lag_p99_s=_percentile(lags, 99),
        requested_rate_per_s=None if plan is None else _pace([one.intended_s for one in plan]),
        achieved_rate_per_s=(
            _dispatches_per_s(result.records, window)
            if plan is None
            else _pace([one.dispatched_s for one in plan])
        ),
        full_share=_full_share(result, window) if plan is None else None,
    )


def send_delays(result: BenchResult) -> Floats:
    """Return how long each measured request was held up by the client, ``(requests,)``, in seconds.

    With a plan and a limit of requests in flight, a request may have to wait for its place. That is
    the servers' doing; its delay counts from the end of the request that made the place.
    """
    records = result.records
    could = np.array([record.intended_s for record in records])
    dispatched = np.array([record.dispatched_s for record in records])
    written = [one.dispatched_s if one.written_s is None else one.written_s for one in records]
    if result.load.arrivals is not None and result.concurrency is not None:
        everything = [*result.warmup, *records]
        ends = np.sort([record.ended_s for record in everything])
        full = in_flight(everything).at(dispatched) >= result.concurrency
        place = np.searchsorted(ends, dispatched, side="right") - 1
        freed = np.where(full & (place >= 0), ends[place], -np.inf)
        could = np.maximum(could, freed)
    return np.asarray(np.array(written) - could, dtype=np.float64)


def _percentile(values: Floats, percent: float) -> float | None:
    return float(np.percentile(values, percent)) if len(values) else None


def _pace(times: Sequence[float]) -> float | None:
    """Return events per second, from the first to the last."""
    length = max(times, default=0.0) - min(times, default=0.0)
    return (len(times) - 1) / length if length > 0 else None


def _full_share(result: BenchResult, window: Window) -> float | None:
    if result.concurrency is None or not window.length_s > 0:
        return None
    taken = places(result.warmup, result.records)
    return taken.share(result.concurrency, window.start_s, window.end_s)


def _dispatches_per_s(records: Sequence[RequestRecord], window: Window) -> float | None:
    if not window.length_s > 0:
        return None
    return sum(window.holds(record.dispatched_s) for record in records) / window.length_s
