"""The sentences that a reader of a run's numbers must know, on terminal and page. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.bench.record import BenchResult, Calibration
from replicore.bench.report.words import (
    REFUSED,
    decimal,
    milliseconds,
    percent,
    rate,
    rate_span,
    requests,
    signed_ms,
    span,
)
from replicore.bench.stats.summary import Distribution, Quantile, Row, Summary

# Fewer than this part of the asked tokens is worth a note.
_NEAR = 0.95
# A p-value below this says that something still changed within the window.
_TREND_P = 0.01


def notes(result: BenchResult, summary: Summary) -> list[str]:
    """Return what must be known to read the tables, most important first; one sentence each."""
    return [
        *_run_notes(result, summary),
        *_token_notes(result, summary.total),
        *_window_notes(result, summary),
        *_latency_notes(summary),
        *_client_notes(result, summary),
    ]


def _run_notes(result: BenchResult, summary: Summary) -> Iterator[str]:
    if result.interrupted:
        of = "" if result.requests is None else f" of {result.requests}"
        yield f"interrupted: {summary.whole.requests}{of} requests are over"
    for key, count in sorted(summary.errors.items(), key=lambda item: -item[1]):
        yield f"{count} × {key}: {summary.error_examples[key]}"
    if result.simulated:
        yield "simulated: these numbers are of no real engine"


def _token_notes(result: BenchResult, total: Row) -> Iterator[str]:
    good = [record for record in result.records if record.succeeded]
    if not result.exact_prompts:
        found = sum(record.input_tokens or 0 for record in good)
        asked = sum(record.input_tokens_asked for record in good)
        yield f"prompts are of about the asked length: {found} input tokens, {asked} asked"
    elif any(record.input_tokens != record.input_tokens_asked for record in good):
        yield "the server counted other input lengths than were sent"
    output = sum(record.output_tokens or 0 for record in good)
    asked = sum(record.output_tokens_asked for record in good)
    if output < _NEAR * asked:
        yield f"answers were shorter than asked: {output} tokens of {asked}"
    if total.cached_tokens and total.input_tokens:
        part = total.cached_tokens / total.input_tokens
        yield f"a prefix cache held {part:.0%} of the input tokens"


def _window_notes(result: BenchResult, summary: Summary) -> Iterator[str]:
    yield _window_note(result, summary)
    if summary.imbalance is not None:
        yield f"busiest replica: {summary.imbalance:.2f} × the mean number of requests"
    trend = summary.ttft_trend
    if trend is not None and trend.p_value < _TREND_P:
        change = decimal(abs(trend.slope_per_s) * 1000)
        way = "rose" if trend.slope_per_s > 0 else "fell"
        yield f"TTFT {way} by {change} ms a second within the window: not yet steady"
    if summary.little is not None and not summary.little.holds:
        yield (
            f"Little's law is off by {abs(summary.little.residual):.1%}, "
            f"at most {summary.little.tolerance:.1%} is expected: the records contradict themselves"
        )


def _window_note(result: BenchResult, summary: Summary) -> str:
    window = summary.window
    if not window.steady:
        return f"rates are over the whole run of {summary.duration_s:.1f} s, its end included"
    load = "the load kept up"
    if result.load.arrivals is None:
        load = f"{requests(result.concurrency or 0)} in flight"
    trimmed = f", {window.trimmed_s:.1f} s of warming up cut off" if window.trimmed_s else ""
    return (
        f"rates are over the {window.length_s:.1f} s of {summary.duration_s:.1f} s with {load}"
        f"{trimmed} (whole run: {rate(summary.whole.output_tokens_per_s)} output tok/s)"
    )


def _latency_notes(summary: Summary) -> Iterator[str]:
    ttft = summary.total.ttft_s
    if summary.latency_from == "intended":
        yield "TTFT and E2E count from when a request should have left, so waiting to be sent is in"
    if ttft.censored or summary.total.e2e_s.censored:
        yield (
            f"{summary.total.e2e_s.censored} of {summary.total.e2e_s.n} requests never ended: "
            "latencies count them as longer than what was seen"
        )
    if any(map(_refuses, (summary.total, *summary.replicas))):
        yield REFUSED


def _refuses(row: Row) -> bool:
    shown = (row.ttft_s, row.tpot_s, row.e2e_s)
    return any(values.n and values.p99 is None for values in shown)


def _client_notes(result: BenchResult, summary: Summary) -> Iterator[str]:
    client = summary.client
    if client.requested_rate_per_s is not None and client.achieved_rate_per_s is not None:
        yield (
            f"{decimal(client.achieved_rate_per_s)} requests a second were sent, "
            f"{decimal(client.requested_rate_per_s)} were planned"
        )
    if result.calibration is not None:
        yield _calibration_note(result.calibration)


def _calibration_note(found: Calibration) -> str:
    return (
        f"this client's own error at this load: TTFT {signed_ms(found.ttft_error_s)} ms, "
        f"chunk gap p99 {signed_ms(found.gap_p99_error_s)} ms"
    )


def slo_notes(summary: Summary) -> list[str]:
    """Return how the run stands against its objectives; nothing where none were stated."""
    limits, total = summary.objectives, summary.total
    found = [
        _slo_note(name, values.at(0.99), limit)
        for name, values, limit in (
            ("TTFT", total.ttft_s, limits.ttft_s),
            ("TPOT", total.tpot_s, limits.tpot_s),
            ("E2E", total.e2e_s, limits.e2e_s),
        )
        if limit is not None and _known(values)
    ]
    if total.attainment is not None:
        found.append(_attainment_note(total, total.attainment))
    return found


def _known(values: Distribution) -> bool:
    p99 = values.at(0.99)
    return p99.value is not None or p99.low is not None


def _slo_note(name: str, p99: Quantile, limit: float) -> str:
    asked = f"at most {milliseconds(limit)} ms was asked"
    if p99.value is None:
        low = p99.low or 0.0
        outcome = "missed" if low > limit else "too few requests to tell"
        return f"slo: {name} p99 is at least {milliseconds(low)} ms, {asked}: {outcome}"
    interval = span(p99.low, p99.high, milliseconds)
    shown = f"{milliseconds(p99.value)} ms" + (f" ({interval})" if interval else "")
    return f"slo: {name} p99 is {shown}, {asked}: {_outcome(p99, p99.value, limit)}"


def _outcome(p99: Quantile, value: float, limit: float) -> str:
    said = "met" if value <= limit else "missed"
    if p99.low is not None and p99.high is not None and p99.low <= limit < p99.high:
        return f"{said}, but the interval holds the limit"
    return said


def _attainment_note(total: Row, attainment: float) -> str:
    good = total.goodput_per_s
    said = f"slo: {percent(attainment)} of the requests were within it, failed ones not"
    if good is None:
        return said
    interval = rate_span(good)
    return f"{said}; goodput {rate(good)} requests a second" + (
        f" ({interval})" if interval else ""
    )
