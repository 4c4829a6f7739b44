"""From records to numbers. Pure; every definition is the one of docs/metrics.md.

Symbols: s is when a request was dispatched, t_1 <= ... <= t_n are the arrivals of its n output
tokens (the tokens of one chunk share the chunk's time), n is by the server's ``usage``. Times are
seconds.

Latencies are taken over successful measured requests, each with one vote. Rates are taken over a
window of the run and count what *arrived* in it, whichever request it belongs to: counting the
tokens of requests that finished in it instead gains from the start of a run and loses at its end.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from replicore.bench.record import BenchResult, RequestRecord
from replicore.errors import UndefinedMetric

# In flight at least this part of the concurrency: the steady window. Source: vllm-bench.
_STEADY_PART = 0.95
# A steady window shorter than this many mean E2E latencies says less than the whole run.
_STEADY_RESIDENCES = 2.0
_PERCENTILES = (50, 90, 95, 99)


def ttft(record: RequestRecord) -> float:
    """Time to first token, in seconds.

    TTFT = t_1 - s

    The first chunk with content ends it: a role, an empty text or a progress report does not. It
    includes every queue on the way.

    Raises:
        UndefinedMetric: No content arrived.
    """
    if not record.chunk_times_s:
        raise UndefinedMetric(f"request {record.index} has no content, so no time to first token")
    return record.chunk_times_s[0] - record.dispatched_s


def e2e(record: RequestRecord) -> float:
    """End-to-end latency, in seconds: until the last content, not until the stream's end.

    E2E = t_n - s

    Raises:
        UndefinedMetric: No content arrived.

    Source: ``vllm bench serve``, which moved to the last token when usage got a chunk of its own.
    """
    if not record.chunk_times_s:
        raise UndefinedMetric(f"request {record.index} has no content, so no latency")
    return record.chunk_times_s[-1] - record.dispatched_s


def tpot(record: RequestRecord) -> float:
    """Mean time per output token after the first, in seconds.

    TPOT = (t_n - t_1) / (n - 1) = (E2E - TTFT) / (n - 1)

    Raises:
        UndefinedMetric: Fewer than two output tokens, or no content.

    Source: ``vllm bench serve``. AWS Neuron's guide divides by n; LLMPerf includes the TTFT.
    """
    if record.output_tokens is None or record.output_tokens < 2:
        raise UndefinedMetric(f"request {record.index} has fewer than two output tokens")
    return (e2e(record) - ttft(record)) / (record.output_tokens - 1)


def chunk_gaps(record: RequestRecord) -> tuple[float, ...]:
    """Times between consecutive chunks, in seconds, ``(chunks - 1,)``.

    A gap is what a reader waits for, not the time of one token: a chunk may hold several.
    """
    times = record.chunk_times_s
    return tuple(later - earlier for earlier, later in pairwise(times))


def attainment(
    records: Sequence[RequestRecord], *, ttft_s: float | None, tpot_s: float | None
) -> float | None:
    """Share of requests that met every stated objective; None without requests or objectives.

    A request that failed met none. One of a single token has no TPOT, so only its TTFT counts.
    """
    if not records or (ttft_s is None and tpot_s is None):
        return None
    met = sum(
        record.succeeded and _within(ttft, record, ttft_s) and _within(tpot, record, tpot_s)
        for record in records
    )
    return met / len(records)


def _within(
    metric: Callable[[RequestRecord], float], record: RequestRecord, limit: float | None
) -> bool:
    values = _defined(metric, [record])
    return limit is None or not values or values[0] <= limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Mean, extremes and percentiles of ``n`` values; all None where ``n`` is 0."""

    n: int
    mean: float | None = None
    min: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None

    def supports(self, percentile: float) -> bool:
        """Whether at least one of the values is expected beyond the percentile.

        n (1 - p / 100) >= 1, so 2 values for p50, 10 for p90, 100 for p99. Below that it is the
        largest value or a point on the way to it; it is printed with a mark.
        """
        return self.n * (100 - percentile) >= 100


def distribution(values: Sequence[float]) -> Distribution:
    """Summarise values; percentiles interpolate linearly between order statistics.

    With x_0 <= ... <= x_(n-1) and h = (n - 1) p / 100: x_floor(h) + (h - floor(h)) (next - it).

    Source: Hyndman and Fan type 7, numpy's default; ``vllm bench serve`` uses the same.
    """
    if not values:
        return Distribution(n=0)
    data = np.asarray(values, dtype=np.float64)
    p50, p90, p95, p99 = np.percentile(data, _PERCENTILES).tolist()
    return Distribution(
        n=len(values),
        mean=float(data.mean()),
        min=float(data.min()),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        max=float(data.max()),
    )


def _defined(
    metric: Callable[[RequestRecord], float], records: Iterable[RequestRecord]
) -> list[float]:
    values = []
    for record in records:
        try:
            values.append(metric(record))
        except UndefinedMetric:
            continue
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the run, half-open, in seconds of the run's clock.

    Attributes:
        steady: Whether the full concurrency was in flight throughout; else it is the whole run,
            with its start and its end.
    """

    start_s: float
    end_s: float
    steady: bool

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s

    def holds(self, time_s: float) -> bool:
        return self.start_s <= time_s < self.end_s


def measuring_window(result: BenchResult) -> Window:
    """Return the steady window where it is long enough, else the whole measured run.

    Steady: from the first to the last instant with at least 95 % of the concurrency in flight,
    warm-up requests included, not before the first measured request. Long enough: two mean E2E
    latencies.
    """
    whole = _whole_run(result.records)
    need = math.ceil(_STEADY_PART * (result.concurrency or 1))
    full = _full_between([*result.warmup, *result.records], need)
    if full is None:
        return whole
    start, end = max(full[0], whole.start_s), full[1]
    latencies = _defined(e2e, _succeeded(result.records))
    if not latencies or end - start < _STEADY_RESIDENCES * sum(latencies) / len(latencies):
        return whole
    return Window(start_s=start, end_s=end, steady=True)


def _whole_run(records: Sequence[RequestRecord]) -> Window:
    """First dispatch to last end, which is inside."""
    if not records:
        return Window(start_s=0.0, end_s=0.0, steady=False)
    start = min(record.dispatched_s for record in records)
    end = math.nextafter(max(record.ended_s for record in records), math.inf)
    return Window(start_s=start, end_s=end, steady=False)


def _full_between(records: Sequence[RequestRecord], need: int) -> tuple[float, float] | None:
    """Return the first and the last instant with ``need`` requests in flight."""
    changes = [(record.dispatched_s, 1) for record in records]
    changes += [(record.ended_s, -1) for record in records]
    in_flight = 0
    first = last = None
    for time_s, change in sorted(changes):
        if in_flight >= need:
            last = time_s
        in_flight += change
        if in_flight >= need and first is None:
            first = time_s
    return None if first is None or last is None else (first, last)


def output_tokens_in(records: Iterable[RequestRecord], window: Window) -> float:
    """Output tokens that arrived within the window.

    The tokens of requests that failed do not count: nobody could use them. Those of requests that
    were still running when the run was interrupted do.
    """
    return sum(
        tokens
        for record in records
        if record.succeeded or record.unfinished
        for time_s, tokens in zip(record.chunk_times_s, record.chunk_tokens, strict=True)
        if window.holds(time_s)
    )


def input_tokens_in(records: Iterable[RequestRecord], window: Window) -> int:
    """Input tokens whose processing ended, with the first chunk, within the window."""
    return sum(
        record.input_tokens or 0
        for record in records
        if record.succeeded and record.chunk_times_s and window.holds(record.chunk_times_s[0])
    )


def completed_in(records: Iterable[RequestRecord], window: Window) -> int:
    """Successful requests that ended within the window."""
    return sum(record.succeeded and window.holds(record.ended_s) for record in records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The numbers of a whole run or of one replica; times in seconds, rates per second.

    Attributes:
        requests: Measured requests with an outcome: successes and errors.
        unfinished: Requests cancelled because the run was interrupted; in no other number.
        share: This row's part of the requests, 0 to 1.
        gap: Chunk gaps of all requests together, each gap with one vote.
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
    output_tokens_per_s: float | None
    total_tokens_per_s: float | None
    requests_per_s: float | None
    ttft_s: Distribution
    tpot_s: Distribution
    gap_s: Distribution
    e2e_s: Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All that is reported of a run.

    Attributes:
        duration_s: First measured dispatch to the last end.
        run_output_tokens_per_s: Over ``duration_s``, with the start and the end of the run.
        imbalance: Requests of the busiest replica over the mean; 1 is even, None without a choice.
        errors: How many requests failed in which way; ``http_500`` for a status.
        error_examples: The first message of each.
    """

    total: Row
    replicas: tuple[Row, ...]
    window: Window
    duration_s: float
    run_output_tokens_per_s: float | None
    imbalance: float | None
    errors: dict[str, int]
    error_examples: dict[str, str]


def summarize(result: BenchResult) -> Summary:
    """Compute every reported number of a run."""
    window = measuring_window(result)
    whole = _whole_run(result.records)
    everything = [*result.warmup, *result.records]
    names = sorted({record.replica for record in result.records}, key=lambda n: (len(n), n))
    replicas = tuple(_replica_row(name, result, window) for name in names)
    failed = [r for r in result.records if not r.succeeded and not r.unfinished]
    return Summary(
        total=_row("total", result.records, everything, window, of=len(result.records)),
        replicas=replicas,
        window=window,
        duration_s=whole.length_s,
        run_output_tokens_per_s=_rate(output_tokens_in(everything, whole), whole),
        imbalance=imbalance([row.requests + row.unfinished for row in replicas]),
        errors=dict(sorted(Counter(map(_error_key, failed)).items())),
        error_examples=_examples(failed),
    )


def _replica_row(name: str, result: BenchResult, window: Window) -> Row:
    records = [record for record in result.records if record.replica == name]
    warmup = [record for record in result.warmup if record.replica == name]
    return _row(name, records, [*warmup, *records], window, of=len(result.records))


def _row(
    name: str,
    records: Sequence[RequestRecord],
    with_warmup: Sequence[RequestRecord],
    window: Window,
    *,
    of: int,
) -> Row:
    good = _succeeded(records)
    unfinished = sum(record.unfinished for record in records)
    output = output_tokens_in(with_warmup, window)
    return Row(
        name=name,
        requests=len(records) - unfinished,
        succeeded=len(good),
        errors=len(records) - unfinished - len(good),
        unfinished=unfinished,
        share=len(records) / of if of else 0.0,
        input_tokens=sum(record.input_tokens or 0 for record in good),
        output_tokens=sum(record.output_tokens or 0 for record in good),
        cached_tokens=sum(record.cached_tokens or 0 for record in good),
        output_tokens_per_s=_rate(output, window),
        total_tokens_per_s=_rate(output + input_tokens_in(with_warmup, window), window),
        requests_per_s=_rate(completed_in(with_warmup, window), window),
        ttft_s=distribution(_defined(ttft, good)),
        tpot_s=distribution(_defined(tpot, good)),
        gap_s=distribution([gap for record in good for gap in chunk_gaps(record)]),
        e2e_s=distribution(_defined(e2e, good)),
    )


def _succeeded(records: Iterable[RequestRecord]) -> list[RequestRecord]:
    return [record for record in records if record.succeeded]


def _rate(amount: float, window: Window) -> float | None:
    return amount / window.length_s if window.length_s > 0 else None


def _error_key(record: RequestRecord) -> str:
    if record.failure is None:
        return ""
    kind = record.failure.kind.value
    return f"{kind}_{record.status}" if kind == "http" else kind


def _examples(failed: Iterable[RequestRecord]) -> dict[str, str]:
    examples: dict[str, str] = {}
    for record in failed:
        if record.failure is not None:
            examples.setdefault(_error_key(record), record.failure.message)
    return examples


def imbalance(counts: Sequence[int]) -> float | None:
    """Largest count over the mean: 1 is even, ``len(counts)`` is all on one; None below two."""
    total = sum(counts)
    if len(counts) < 2 or not total:
        return None
    return max(counts) * len(counts) / total


def scaling_efficiency(rate: float, replicas: int, rate_of_one: float) -> float:
    """Return how much of N times one replica's rate N replicas reach; 1 is perfect.

    efficiency = rate(N) / (N rate(1))

    Raises:
        UndefinedMetric: The single replica's rate is 0.
    """
    if not rate_of_one > 0:
        raise UndefinedMetric("scaling needs a single replica's rate above 0")
    return rate / (replicas * rate_of_one)
