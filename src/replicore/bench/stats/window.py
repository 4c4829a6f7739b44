"""Which part of a run is measured. Pure.

At its start a run fills up, and at its end it empties; neither is what was asked for. The window is
the steady part between, if there is enough of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replicore.bench.record import BenchResult, RequestRecord
from replicore.bench.stats.flow import output_tokens
from replicore.bench.stats.occupancy import places
from replicore.bench.stats.start_up import start_up

# In flight at least this part of the concurrency: the steady window. Source: vllm-bench.
_STEADY_PART = 0.95
# A steady window shorter than this many mean residence times says less than the whole run.
_STEADY_RESIDENCES = 2.0
# The rate of tokens is looked at in parts of a mean residence time.
_PARTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the run, half-open, in seconds of the run's clock.

    Attributes:
        steady: Whether the load was kept throughout; else it is the whole run, with its start and
            its end.
        trimmed_s: What MSER-5 cut off at the start of the steady part.
    """

    start_s: float
    end_s: float
    steady: bool
    trimmed_s: float = 0.0

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s

    def holds(self, time_s: float) -> bool:
        return self.start_s <= time_s < self.end_s


def measuring_window(result: BenchResult) -> Window:
    """Return the steady window where it is long enough, else the whole measured run.

    Closed loop: from the first to the last instant with at least 95 % of the concurrency in flight,
    warm-up requests included. Open loop: from when the first requests can have been answered to
    the last dispatch. Neither begins before the first measured request. Long enough: two mean
    residence times. What MSER-5 takes for start-up is cut off, if enough is left.
    """
    whole = whole_run(result.records)
    residence = mean_residence(result.records)
    bounds = _closed_loop(result) if result.load.arrivals is None else _open_loop(result)
    if bounds is None or residence is None:
        return whole
    start, end = max(bounds[0], whole.start_s), bounds[1]
    if end - start < _STEADY_RESIDENCES * residence:
        return whole
    cut = _start_up_end(result, start, end, residence)
    if end - cut < _STEADY_RESIDENCES * residence:
        cut = start
    return Window(start_s=cut, end_s=end, steady=True, trimmed_s=cut - start)


def whole_run(records: Sequence[RequestRecord]) -> Window:
    """Return first dispatch to last end, which is inside."""
    if not records:
        return Window(start_s=0.0, end_s=0.0, steady=False)
    start = min(record.dispatched_s for record in records)
    end = math.nextafter(max(record.ended_s for record in records), math.inf)
    return Window(start_s=start, end_s=end, steady=False)


def mean_residence(records: Sequence[RequestRecord]) -> float | None:
    """Return the mean time from dispatch to the stream's end; None without a success."""
    times = [record.ended_s - record.dispatched_s for record in records if record.succeeded]
    return sum(times) / len(times) if times else None


def _closed_loop(result: BenchResult) -> tuple[float, float] | None:
    need = math.ceil(_STEADY_PART * (result.concurrency or 1))
    return places(result.warmup, result.records).between(need)


def _open_loop(result: BenchResult) -> tuple[float, float] | None:
    """Return the longest warm-up latency after the first dispatch, to the last dispatch.

    Without warm-up it is the mean measured one.
    """
    if not result.records:
        return None
    first = min(record.dispatched_s for record in (*result.warmup, *result.records))
    last = max(record.dispatched_s for record in result.records)
    warm = [record.ended_s - record.dispatched_s for record in result.warmup if record.succeeded]
    return first + (max(warm, default=None) or mean_residence(result.records) or 0.0), last


def _start_up_end(result: BenchResult, start: float, end: float, residence: float) -> float:
    """Return when the start-up is over by TTFT and by the rate of tokens, whichever is later.

    That is at once if half of the requests would be lost.
    """
    inside = sorted(
        (record.dispatched_s, record.chunk_times_s[0] - record.dispatched_s)
        for record in result.records
        if record.succeeded and record.chunk_times_s and start <= record.dispatched_s < end
    )
    cut = start_up(np.array([ttft for _, ttft in inside]), result.concurrency or 1)
    by_ttft = inside[cut][0] if cut else start
    bins = int(_PARTS * (end - start) / residence)
    edges = np.linspace(start, end, bins + 1)
    tokens = output_tokens([*result.warmup, *result.records])
    arrived = np.histogram(tokens.times, edges, weights=tokens.amounts)[0]
    settled = max(by_ttft, float(edges[start_up(arrived, _PARTS)]))
    left = sum(dispatched >= settled for dispatched, _ in inside)
    return settled if left >= len(inside) / 2 else start
