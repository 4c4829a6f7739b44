"""Little's law: a check of the harness by its own records. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from replicore.bench.record import BenchResult
from replicore.bench.stats.occupancy import in_flight
from replicore.bench.stats.window import Window

_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Little:
    """Requests in flight against arrival rate times mean residence, over the window.

    Attributes:
        in_flight: L: the concurrency that a closed loop was to keep, or else the mean number that
            the records say were in flight.
        arrival_rate_per_s: Dispatches per second.
        residence_s: Mean time from dispatch to the end of the stream.
        residual: L / (rate x residence) - 1; 0 is perfect.
        tolerance: How far from 0 it may be: 2 %, and what the window's edges can do.
    """

    in_flight: float
    arrival_rate_per_s: float
    residence_s: float
    residual: float
    tolerance: float

    @property
    def holds(self) -> bool:
        return abs(self.residual) <= self.tolerance


def little(result: BenchResult, window: Window) -> Little | None:
    """Compare both sides of L = rate x residence; None where nothing was dispatched in the window.

    The law is exact for a window that begins and ends empty. Else the requests at an edge count on
    one side with all of their residence and on the other with a part: up to one residence time of
    the window's length. A larger residual in a closed loop means that places were empty, or that
    requests are missing from the record, or are twice in it.
    """
    records = [*result.warmup, *result.records]
    inside = [record for record in records if window.holds(record.dispatched_s)]
    total = sum(record.ended_s - record.dispatched_s for record in inside)
    if not total > 0:
        return None
    residence = total / len(inside)
    rate = len(inside) / window.length_s
    kept = _kept(result, window)
    return Little(
        in_flight=kept,
        arrival_rate_per_s=rate,
        residence_s=residence,
        residual=kept / (rate * residence) - 1,
        tolerance=_TOLERANCE + residence / window.length_s,
    )


def _kept(result: BenchResult, window: Window) -> float:
    """Return L. Where sessions pause, their places are not all in flight."""
    records = [*result.warmup, *result.records]
    is_loop = result.load.arrivals is None and not any(record.turn for record in records)
    if is_loop and window.steady and result.concurrency is not None:
        return float(result.concurrency)
    return in_flight(records).mean(window.start_s, window.end_s)
