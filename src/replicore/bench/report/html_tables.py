"""The tables of a run's page: what its charts show, in numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from replicore.bench.record import BenchResult, Calibration
from replicore.bench.report.markup import Markup, html_table, joined, tag
from replicore.bench.report.words import (
    Show,
    asked,
    decimal,
    median_and_p99,
    milliseconds,
    optional,
    percent,
    quantile,
    rate,
    rate_span,
    requests,
    signed_ms,
    span,
)
from replicore.bench.stats.summary import Distribution, Row, Summary

_LEVELS = (0.5, 0.9, 0.95, 0.99, 0.999)


def latencies(row: Row) -> Markup:
    """Return every distribution, each number over its 95 % interval."""
    rows = (
        ("Time to first token, ms", row.ttft_s, milliseconds),
        ("Time per output token, ms", row.tpot_s, milliseconds),
        ("Chunk gap, ms", row.gap_s, milliseconds),
        ("Longest stall of a request, ms", row.max_stall_s, milliseconds),
        ("End to end, s", row.e2e_s, decimal),
        ("End to end per output token, ms", row.normalized_s, milliseconds),
        ("Rate that one user sees, tok/s", row.user_rate_per_s, decimal),
        ("Tokens on time, %", row.fluidity, lambda share: decimal(share * 100)),
    )
    head = ("", "mean", *(f"p{level * 100:g}" for level in _LEVELS), "values")
    return html_table(head, ((name, *_cells(v, show)) for name, v, show in rows if v.n))


def _cells(values: Distribution, show: Show) -> Iterator[str]:
    yield _over(optional(values.mean, show), span(values.mean_low, values.mean_high, show))
    for level in _LEVELS:
        found = values.at(level)
        yield _over(quantile(found, show), span(found.low, found.high, show))
    yield _over(f"{values.n:,}", f"worth {values.effective_n:,.0f}")


def _over(value: str, interval: str) -> Markup:
    return joined((value, tag("small", interval))) if interval else joined((value,))


def replicas(summary: Summary) -> Markup:
    """Return a row per replica, and the total."""
    head = ("replica", "requests", "share", "failed", "output tok/s", "requests/s")
    latency = ("TTFT ms p50 / p99", "TPOT ms p50 / p99", "E2E s p50 / p99")
    rows = map(_replica_cells, summary.replicas)
    return html_table((*head, *latency), rows, total=_replica_cells(summary.total))


def _replica_cells(row: Row) -> Iterator[str]:
    yield row.name
    yield f"{row.requests:,}"
    yield percent(row.share)
    yield f"{row.errors:,}"
    yield _over(rate(row.output_tokens_per_s), rate_span(row.output_tokens_per_s))
    yield _over(rate(row.requests_per_s), rate_span(row.requests_per_s))
    yield median_and_p99(row.ttft_s, milliseconds)
    yield median_and_p99(row.tpot_s, milliseconds)
    yield median_and_p99(row.e2e_s, decimal)


def failures(summary: Summary) -> Markup:
    """Return how many requests failed in which way, with the first message of each."""
    counts = summary.errors.items()
    return facts({k: f"{requests(n)}; the first: {summary.error_examples[k]}" for k, n in counts})


def client(result: BenchResult, summary: Summary) -> Markup:
    """Return how well the client kept to the load, and what it measures of a known answer."""
    return facts(dict(_client_facts(result, summary)))


def _client_facts(result: BenchResult, summary: Summary) -> Iterator[tuple[str, str]]:
    found, law = summary.client, summary.little
    median, tail = (
        optional(d, milliseconds) for d in (found.send_delay_p50_s, found.send_delay_p99_s)
    )
    yield "send delay", f"p50 {median} ms, p99 {tail} ms"
    lag = found.read_lag_p99_s
    yield "kernel to client", "no stamps" if lag is None else f"p99 {milliseconds(lag)} ms"
    if found.full_share is not None:
        yield "full concurrency", f"{percent(found.full_share)} of the window's time"
    planned = found.requested_rate_per_s
    of = "" if planned is None else f" of {decimal(planned)} planned"
    yield "requests sent per second", f"{optional(found.achieved_rate_per_s)}{of}"
    if law is not None:
        yield "Little's law", f"off by {law.residual:+.2%}, {law.tolerance:.2%} is allowed"
    if result.calibration is not None:
        yield "error against a mock", _calibration(result.calibration)


def _calibration(found: Calibration) -> str:
    stamps = "with" if found.stamped else "without"
    return (
        f"TTFT p50 {signed_ms(found.ttft_error_s)} ms, p99 {signed_ms(found.ttft_p99_error_s)} ms, "
        f"chunk gap p99 {signed_ms(found.gap_p99_error_s)} ms; {found.streams} streams, "
        f"{decimal(found.chunks_per_s)} chunks a second, {stamps} kernel stamps"
    )


def run(result: BenchResult, summary: Summary) -> Markup:
    """Return everything that was asked, and when."""
    workload, window = result.workload, summary.window
    return facts(
        {
            "model": result.model + (" (simulated)" if result.simulated else ""),
            "servers": ", ".join(result.endpoints),
            "load": asked(result),
            "route": workload.api.value,
            "seed": str(workload.seed),
            "output length": "forced (ignore_eos)" if workload.ignore_eos else "up to the model",
            "prompt length": "exact" if result.exact_prompts else "about what was asked",
            "choice of server": result.dispatch.replace("_", " "),
            "client processes": str(result.processes),
            "warm-up": f"{requests(len(result.warmup))}, not measured",
            "started": result.started_at,
            "took": f"{summary.duration_s:.1f} s",
            "measured window": f"{window.start_s:.2f} s to {window.end_s:.2f} s"
            + (", steady" if window.steady else ", the whole run"),
        }
    )


def environment(found: Mapping[str, object]) -> Markup:
    """Return the machine that measured, and its software."""
    flat = {key: value for key, value in found.items() if not isinstance(value, Mapping)}
    for key, value in found.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}: {name}": part for name, part in value.items()}
    return facts({key.replace("_", " "): str(value) for key, value in flat.items()})


def facts(pairs: Mapping[str, str]) -> Markup:
    """Return names with their values."""
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in pairs.items()
    ]
    return tag("div", tag("table", tag("tbody", *rows), class_="facts"), class_="scroll")
