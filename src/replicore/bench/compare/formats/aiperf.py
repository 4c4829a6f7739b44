"""Result files of AIPerf, ``profile_export_aiperf.json`` with its ``profile_export.jsonl``. Pure.

Its "inter-token latency" is one value for each request, our TPOT; its "inter-chunk latency" is our
chunk gap. Tokens are counted by a tokenizer of its own, unless it was told to use the server's.

Source: aiperf ``docs/metrics-reference.md``, ``docs/reference/json-export-schema.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from replicore.bench.compare.formats.source import (
    Source,
    at,
    first_of,
    number,
    numbers,
    objects,
    quotient,
    text,
    tpot,
    whole,
)
from replicore.bench.compare.meaning import OWN_TOKENIZER, STREAM_END, Departure, Metric
from replicore.bench.compare.measured import (
    Conditions,
    Measured,
    Reading,
    aside,
    of_rate,
    of_several,
    of_summary,
    of_values,
    present,
)

TOOL = "AIPerf"
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_TOKENS_IN, _TOKENS = "input_sequence_length", "output_sequence_length"
# The same as the server counted, where it was asked.
_USAGE_IN, _USAGE = "usage_prompt_tokens", "usage_completion_tokens"
_STATISTICS = {"mean": "avg", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99"}


def recognises(document: object) -> bool:
    block = at(document, "request_throughput")
    return text(at(block, "unit")) is not None and number(at(block, "avg")) is not None


def read(source: Source) -> list[Measured]:
    document = source.document
    departures = _Departures(document)
    conditions = _conditions(document)
    readings = _summaries(document, departures) | _rates(document, departures)
    return [
        Measured(
            name=source.name,
            tool=_tool(document),
            conditions=conditions,
            readings=readings | _computed(_requests(source), departures, conditions.concurrency),
            notes=["it was cancelled"] if at(document, "was_cancelled") is True else [],
        )
    ]


class _Departures:
    """How this file's fields are not our definitions, by what they depend on."""

    def __init__(self, document: object) -> None:
        server_counts = at(document, "input_config", "endpoint", "use_server_token_count") is True
        self.tokens: list[Departure] = [] if server_counts else [OWN_TOKENIZER]
        # Before the schema had versions, an answer ended with its last event of any kind.
        unversioned = at(document, "schema_version") is None
        self.end: list[Departure] = [STREAM_END] if unversioned else []
        self.both = [*self.tokens, *self.end]


def _tool(document: object) -> str:
    version = text(at(document, "aiperf_version"))
    return f"{TOOL} {version}" if version else TOOL


def _conditions(document: object) -> Conditions:
    given = at(document, "input_config")
    load = _load(given)
    concurrency = whole(at(load, "concurrency"))
    rate = number(first_of(load, ("request_rate",), ("rate",)))
    return Conditions(
        model=_model(given),
        closed=None if concurrency is None and rate is None else rate is None,
        concurrency=concurrency,
        rate_per_s=rate,
        arrivals=text(first_of(load, ("request_rate_mode",), ("type",))) if rate else None,
        input_tokens=number(first_of(document, (_USAGE_IN, "avg"), (_TOKENS_IN, "avg"))),
        output_tokens=number(first_of(document, (_USAGE, "avg"), (_TOKENS, "avg"))),
        succeeded=whole(at(document, "request_count", "avg")),
        failed=whole(at(document, "error_request_count", "avg")) or 0,
    )


def _load(given: object) -> object:
    """Return the settings of the measured phase; older versions had no phases."""
    measured = (phase for phase in objects(at(given, "phases")) if at(phase, "name") != "warmup")
    return next(measured, at(given, "loadgen"))


def _model(given: object) -> str | None:
    if items := objects(at(given, "models", "items")):
        return text(at(items[0], "name"))
    names = at(given, "endpoint", "model_names")
    return text(names[0]) if isinstance(names, list) and names else None


def _summaries(document: object, departures: _Departures) -> dict[Metric, Reading]:
    def summary(name: str, departures: Iterable[Departure] = ()) -> Reading | None:
        block = at(document, name)
        points = {ours: number(at(block, theirs)) for ours, theirs in _STATISTICS.items()}
        scale = _scale(block)
        return of_summary(name, points, scale=scale, departures=departures) if scale else None

    return present(
        {
            Metric.TTFT: summary("time_to_first_token"),
            Metric.TPOT: summary("inter_token_latency", departures.both),
            Metric.GAP: summary("inter_chunk_latency"),
            Metric.E2E: summary("request_latency", departures.end),
        }
    )


def _rates(document: object, departures: _Departures) -> dict[Metric, Reading]:
    def rate(name: str, departures: Iterable[Departure] = ()) -> Reading | None:
        return of_rate(name, number(at(document, name, "avg")), departures=departures)

    own = {
        Metric.RUN_OUTPUT_RATE: rate("output_token_throughput", departures.tokens),
        Metric.RUN_TOTAL_RATE: rate("total_token_throughput", departures.tokens),
        Metric.RUN_REQUESTS_RATE: rate("request_throughput"),
    }
    counted = {
        Metric.RUN_OUTPUT_RATE: _counted_rate(document, _USAGE),
        Metric.RUN_TOTAL_RATE: _counted_rate(document, "usage_total_tokens"),
    }
    return present(own) | present(counted)


def _counted_rate(document: object, usage: str) -> Reading | None:
    """Return a rate of tokens as the server counted them."""
    total, duration = f"total_{usage}", "benchmark_duration"
    seconds = next(iter(_durations(document, duration, key="avg")), None)
    value = quotient(number(at(document, total, "avg")), seconds)
    return of_rate(f"{total} / {duration}", value)


def _requests(source: Source) -> list[Mapping[str, Any]]:
    """Return the metrics of the successful requests, in the order of sending."""
    lines = source.beside(source.name.replace("_aiperf.json", ".jsonl"))
    good = [
        line
        for line in lines
        if at(line, "error") is None
        and at(line, "metadata", "was_cancelled") is not True
        and at(line, "metadata", "benchmark_phase") in (None, "profiling")
    ]
    good.sort(key=lambda line: number(at(line, "metadata", "request_start_ns")) or 0)
    return [at(line, "metrics") or {} for line in good]


def _computed(
    requests: Sequence[Mapping[str, Any]], departures: _Departures, depth: int | None
) -> dict[Metric, Reading]:
    def times(name: str) -> list[float | None]:
        return [next(iter(_durations(request, name)), None) for request in requests]

    def values(
        field: str, found: Iterable[float | None], departures: Iterable[Departure] = ()
    ) -> Reading | None:
        return of_values(field, found, depth=depth, departures=departures)

    ttft, e2e = "time_to_first_token", "request_latency"
    gap = "inter_chunk_latency"
    gaps = [_durations(request, gap) for request in requests]
    own = {
        Metric.TTFT: values(ttft, times(ttft)),
        Metric.GAP: of_several(gap, gaps, depth=depth),
        Metric.STALL: values(gap, (max(one, default=None) for one in gaps)),
        Metric.E2E: values(e2e, times(e2e), departures.end),
    }
    name, tokens = _counted(requests)
    counted = departures.end if name == _USAGE else departures.both
    rows = list(zip(times(ttft), times(e2e), tokens, strict=True))
    pace = {
        Metric.TPOT: values(
            f"({e2e} − {ttft}) / ({name} − 1)", (tpot(*row) for row in rows), counted
        ),
        Metric.NORMALIZED: aside(
            values(f"{e2e} / {name}", (quotient(time, n) for _, time, n in rows), counted)
        ),
        Metric.REQUEST_RATE: values(
            f"{name} / {e2e}", (quotient(n, time) for _, time, n in rows), counted
        ),
    }
    return present(own) | present(pace)


def _counted(requests: Sequence[object]) -> tuple[str, list[float | None]]:
    """Return output tokens and the field they are from: the server's count, if all have it."""
    found = {
        name: [number(at(request, name, "value")) for request in requests]
        for name in (_USAGE, _TOKENS)
    }
    name = _TOKENS if None in found[_USAGE] else _USAGE
    return name, found[name]


def _durations(block: object, name: str, key: str = "value") -> list[float]:
    """Return the values of one metric, in seconds: one, several or none."""
    value, scale = at(block, name, key), _scale(at(block, name))
    found = numbers(value) if isinstance(value, list) else [number(value)]
    return [one * scale for one in found if one is not None and scale]


def _scale(block: object) -> float | None:
    """Return what turns its numbers into seconds; None where its unit is no time."""
    return _SECONDS.get(text(at(block, "unit")) or "")
