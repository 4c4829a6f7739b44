"""Result files of GuideLLM 0.5 to 0.7: a run for each benchmark of ``benchmarks.json``. Pure.

Its "inter-token latency" is our TPOT, and its "time per output token" is E2E / n. In its summaries
both give a vote to each token; computed from its requests here, each request has one, as in ours.

Source: guidellm ``schemas/request_stats.py``, ``benchmark/schemas/metrics.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from replicore.bench.compare.formats.source import (
    Source,
    at,
    first_of,
    number,
    objects,
    quotient,
    text,
    whole,
)
from replicore.bench.compare.meaning import (
    OWN_WINDOW,
    STREAM_END,
    TOKEN_VOTES,
    ZEROS,
    Departure,
    Metric,
)
from replicore.bench.compare.measured import (
    PERCENTILES,
    Conditions,
    Measured,
    Reading,
    of_rate,
    of_summary,
    of_values,
    present,
)

TOOL = "GuideLLM"
_MILLISECONDS = 0.001
# Below this its warm-up and cool-down were not asked for, and its window is the whole run.
_NO_TIME_S = 1e-3
_CLOSED = ("synchronous", "concurrent", "throughput")
_OUTPUT, _TOTAL = "output_tokens_per_second", "tokens_per_second"
_REQUESTS = "requests_per_second"
_STEADY = {
    Metric.OUTPUT_RATE: _OUTPUT,
    Metric.TOTAL_RATE: _TOTAL,
    Metric.REQUESTS_RATE: _REQUESTS,
}
_RUN = {
    Metric.RUN_OUTPUT_RATE: _OUTPUT,
    Metric.RUN_TOTAL_RATE: _TOTAL,
    Metric.RUN_REQUESTS_RATE: _REQUESTS,
}


def recognises(document: object) -> bool:
    return at(document, "metadata", "guidellm_version") is not None and isinstance(
        at(document, "benchmarks"), list
    )


def read(source: Source) -> list[Measured]:
    found = objects(at(source.document, "benchmarks"))
    several = len(found) > 1
    return [
        _benchmark(source, benchmark, f"{source.name}#{place}" if several else source.name)
        for place, benchmark in enumerate(found, start=1)
    ]


def _benchmark(source: Source, benchmark: Mapping[str, Any], name: str) -> Measured:
    requests = _requests(benchmark)
    conditions = _conditions(source.document, benchmark)
    computed = _computed(requests, conditions.concurrency)
    succeeded = conditions.succeeded or 0
    sampled = 0 < len(requests) < succeeded
    return Measured(
        name=name,
        tool=f"{TOOL} {at(source.document, 'metadata', 'guidellm_version')}",
        conditions=conditions,
        readings=_summaries(benchmark) | computed | _rates(benchmark),
        notes=[f"the file has {len(requests)} of its {succeeded} requests"] if sampled else [],
    )


def _conditions(document: object, benchmark: object) -> Conditions:
    strategy = at(benchmark, "config", "strategy")
    kind = text(at(strategy, "type_"))
    closed = None if kind is None else kind in _CLOSED
    in_flight = whole(first_of(strategy, ("streams",), ("max_concurrency",)))
    totals = at(benchmark, "metrics", "request_totals")
    return Conditions(
        model=_model(document, benchmark),
        closed=closed,
        concurrency=1 if kind == "synchronous" else in_flight,
        rate_per_s=number(at(strategy, "rate")),
        arrivals=None if closed else kind,
        input_tokens=_mean_of(benchmark, "prompt_token_count"),
        output_tokens=_mean_of(benchmark, "output_token_count"),
        succeeded=whole(at(totals, "successful")),
        failed=whole(at(totals, "errored")),
    )


def _model(document: object, benchmark: object) -> str | None:
    own = first_of(at(benchmark, "config", "backend"), ("model",), ("info", "model"))
    asked = first_of(document, ("args", "model"), ("config", "spec", "backend", "model"))
    return text(own) or text(asked)


def _mean_of(benchmark: object, name: str) -> float | None:
    return number(at(benchmark, "metrics", name, "successful", "mean"))


def _summaries(benchmark: Mapping[str, Any]) -> dict[Metric, Reading]:
    def summary(name: str, scale: float, departures: Iterable[Departure] = ()) -> Reading | None:
        block = at(benchmark, "metrics", name, "successful")
        if not whole(at(block, "count")):
            return None
        points = {p: number(at(block, "percentiles", p)) for p in PERCENTILES}
        zeros = [ZEROS] if number(at(block, "min")) == 0 else []
        return of_summary(
            name,
            {"mean": number(at(block, "mean")), **points},
            scale=scale,
            departures=[*departures, *zeros],
        )

    return present(
        {
            Metric.TTFT: summary("time_to_first_token_ms", _MILLISECONDS),
            Metric.TPOT: summary("inter_token_latency_ms", _MILLISECONDS, [TOKEN_VOTES]),
            Metric.E2E: summary("request_latency", 1.0, [STREAM_END]),
            Metric.NORMALIZED: summary("time_per_output_token_ms", _MILLISECONDS, [TOKEN_VOTES]),
        }
    )


def _rates(benchmark: Mapping[str, Any]) -> dict[Metric, Reading]:
    cut = [number(at(benchmark, f"{name}_duration")) or 0.0 for name in ("warmup", "cooldown")]
    whole_run = sum(cut) < _NO_TIME_S

    def rate(name: str) -> Reading | None:
        departures = () if whole_run else (OWN_WINDOW,)
        return of_rate(name, _mean_of(benchmark, name), departures=departures)

    return present(
        {metric: rate(name) for metric, name in (_RUN if whole_run else _STEADY).items()}
    )


def _requests(benchmark: object) -> list[Mapping[str, Any]]:
    """Return the successful requests of its window, in the order of sending."""
    start, end = number(at(benchmark, "start_time")), number(at(benchmark, "end_time"))

    def within(request: object) -> bool:
        started = number(at(request, "request_start_time"))
        ended = number(at(request, "request_end_time"))
        early = start is not None and ended is not None and ended < start
        late = end is not None and started is not None and started > end
        return not early and not late

    found = [it for it in objects(at(benchmark, "requests", "successful")) if within(it)]
    return sorted(found, key=lambda request: number(at(request, "request_start_time")) or 0.0)


def _computed(requests: Sequence[Mapping[str, Any]], depth: int | None) -> dict[Metric, Reading]:
    def values(name: str) -> Reading | None:
        every = [number(at(request, name)) for request in requests]
        return of_values(name, every, depth=depth, scale=_MILLISECONDS)

    e2e = [_e2e(request) for request in requests]
    tokens = [number(at(request, "output_tokens")) for request in requests]
    pace = (quotient(n, time) for n, time in zip(tokens, e2e, strict=True))
    last = "last_token_iteration − request_start"
    return present(
        {
            Metric.TTFT: values("time_to_first_token_ms"),
            Metric.TPOT: values("inter_token_latency_ms"),
            Metric.NORMALIZED: values("time_per_output_token_ms"),
            Metric.E2E: of_values(last, e2e, depth=depth),
            Metric.REQUEST_RATE: of_values(f"output_tokens / ({last})", pace, depth=depth),
        }
    )


def _e2e(request: object) -> float | None:
    """Return how long a request took until its last token, in seconds."""
    timings = at(request, "info", "timings")
    start, last = number(at(timings, "request_start")), number(at(timings, "last_token_iteration"))
    return None if start is None or last is None else last - start
