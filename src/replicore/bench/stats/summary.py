"""From records to every reported number. Pure; the definitions are those of docs/metrics.md.

Latencies are of the measured requests that were dispatched within the window; rates are of what
arrived in it, whichever request it belongs to. The types of the numbers are named here too, so that
who reads a summary needs this module only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from replicore.bench.record import BenchResult, RequestRecord
from replicore.bench.stats.client import ClientSummary, client_summary
from replicore.bench.stats.evenness import imbalance, jain
from replicore.bench.stats.latency import LatencyFrom, ttft
from replicore.bench.stats.little import Little, little
from replicore.bench.stats.objectives import Objectives
from replicore.bench.stats.occupancy import in_flight
from replicore.bench.stats.quantiles import Distribution, Quantile
from replicore.bench.stats.rates import Rate, batch_count
from replicore.bench.stats.rows import Row, Rows
from replicore.bench.stats.trend import Trend, trend
from replicore.bench.stats.window import Window, mean_residence, measuring_window, whole_run

__all__ = [
    "ClientSummary",
    "Distribution",
    "Little",
    "Objectives",
    "Quantile",
    "Rate",
    "Row",
    "Summary",
    "Trend",
    "Window",
    "summarize",
]

# The requests in flight are looked at this often to see whether they become more.
_LOOKS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All that is reported of a run.

    Attributes:
        total: All replicas together, over the window.
        replicas: A row for each that answered, over the same window.
        whole: As ``total``, over the whole run; the same object where the window is the whole run.
        duration_s: First measured dispatch to the last end.
        latency_from: Where the headline latencies begin: ``intended`` in an open loop.
        objectives: What goodput, attainment and fluidity were held against.
        imbalance: Requests of the busiest replica over the mean; 1 is even, None without a choice.
        jain: Jain's index of the replicas' requests: 1 is even, 1/N is all on one.
        little: None where nothing was dispatched within the window.
        ttft_trend: Of TTFT within the window; None with too few requests.
        in_flight_trend: Of the requests in flight while requests were being sent; None in a closed
            loop. A rising one means that the servers cannot keep up.
        errors: How many requests failed in which way; ``http_500`` for a status.
        error_examples: The first message of each.
    """

    total: Row
    replicas: tuple[Row, ...]
    whole: Row
    window: Window
    duration_s: float
    latency_from: LatencyFrom
    objectives: Objectives
    imbalance: float | None
    jain: float | None
    little: Little | None
    ttft_trend: Trend | None
    in_flight_trend: Trend | None
    client: ClientSummary
    errors: dict[str, int]
    error_examples: dict[str, str]


def summarize(result: BenchResult, *, slo: Objectives | None = None) -> Summary:
    """Compute every reported number of a run."""
    since: LatencyFrom = "dispatched" if result.load.arrivals is None else "intended"
    limits = slo or Objectives()
    window = measuring_window(result)
    whole = whole_run(result.records)
    rows = Rows(result, limits, since)
    batches = batch_count(window, mean_residence(result.records))
    total = rows.row("total", window, batches=batches)
    replicas = tuple(
        rows.row(name, window, replica=name, batches=batches) for name in _names(result.records)
    )
    counts = [row.requests + row.unfinished for row in replicas]
    failed = [one for one in result.records if not one.succeeded and not one.unfinished]
    return Summary(
        total=total,
        replicas=replicas,
        whole=rows.row("total", whole) if window.steady else total,
        window=window,
        duration_s=whole.length_s,
        latency_from=since,
        objectives=limits,
        imbalance=imbalance(counts),
        jain=jain(counts),
        little=little(result, window),
        ttft_trend=_ttft_trend(result, window),
        in_flight_trend=_in_flight_trend(result),
        client=client_summary(result, window),
        errors=dict(sorted(Counter(map(_error_key, failed)).items())),
        error_examples=_examples(failed),
    )


def _names(records: Iterable[RequestRecord]) -> list[str]:
    """Return the replicas in natural order: r2 before r10."""
    return sorted({record.replica for record in records}, key=lambda name: (len(name), name))


def _ttft_trend(result: BenchResult, window: Window) -> Trend | None:
    """Return the trend of TTFT; requests in flight together count as one value."""
    inside = sorted(
        (record.dispatched_s, ttft(record))
        for record in result.records
        if record.succeeded and record.chunk_times_s and window.holds(record.dispatched_s)
    )
    times, values = np.array(inside, dtype=np.float64).reshape(-1, 2).T
    return trend(times, values, per_batch=max(2, result.concurrency or 1))


def _in_flight_trend(result: BenchResult) -> Trend | None:
    """Return the trend of the requests in flight from the first to the last measured dispatch."""
    if result.load.arrivals is None or not result.records:
        return None
    dispatched = [record.dispatched_s for record in result.records]
    looks = np.linspace(min(dispatched), max(dispatched), _LOOKS)
    return trend(looks, in_flight([*result.warmup, *result.records]).at(looks))


def _error_key(record: RequestRecord) -> str:
    if record.failure is None:
        return ""
    kind = record.failure.kind.value
    return f"{kind}_{record.status}" if kind == "http" else kind


def _examples(failed: Sequence[RequestRecord]) -> dict[str, str]:
    examples: dict[str, str] = {}
    for record in failed:
        if record.failure is not None:
            examples.setdefault(_error_key(record), record.failure.message)
    return examples
