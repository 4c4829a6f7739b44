"""A run as tables on the terminal: a row per replica, and the latencies with their intervals."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from replicore.bench.record import BenchResult
from replicore.bench.report.words import (
    Show,
    asked,
    decimal,
    milliseconds,
    optional,
    quantile,
    rate,
    rate_span,
    span,
)
from replicore.bench.selfcheck.verdict import Kind, Verdict
from replicore.bench.stats.summary import Distribution, Row, Summary

_LEVELS = (0.5, 0.9, 0.99)
_TONES = {Kind.VALID: "green", Kind.TOO_FEW_SAMPLES: "yellow"}


def bench_table(result: BenchResult, summary: Summary) -> Table:
    """Return the totals, and a row per replica where there are several."""
    simulated = " (simulated)" if result.simulated else ""
    title = Text(f"{result.model}{simulated}: {asked(result)}")
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("replica")
    latencies = ("TTFT ms\np50\np99", "TPOT ms\np50\np99", "E2E s\np50\np99")
    for name in ("requests", "share", "errors", "output tok/s", *latencies):
        table.add_column(name, justify="right", overflow="fold")
    if len(summary.replicas) > 1:
        for row in summary.replicas:
            table.add_row(*_cells(row))
        table.add_section()
    table.add_row(*_cells(summary.total), style="bold")
    return table


def _cells(row: Row) -> Iterable[Text]:
    yield Text(row.name)
    yield Text(str(row.requests))
    yield Text(f"{row.share:.0%}")
    yield Text(str(row.errors), style="red" if row.errors else "")
    yield _with_span(rate(row.output_tokens_per_s), rate_span(row.output_tokens_per_s))
    yield _stacked(row.ttft_s, milliseconds)
    yield _stacked(row.tpot_s, milliseconds)
    yield _stacked(row.e2e_s, decimal)


def _stacked(values: Distribution, show: Show) -> Text:
    return Text("\n".join(quantile(values.at(level), show) for level in (0.5, 0.99)))


def latency_table(summary: Summary) -> Table:
    """Return the quantiles of all replicas together, each over its 95 % interval."""
    caption = "below: 95 % intervals, and as how many independent values n counts"
    table = Table(caption=caption, caption_justify="left")
    table.add_column("all replicas")
    for name in ("mean", "p50", "p90", "p99", "n"):
        table.add_column(name, justify="right", overflow="fold")
    total = summary.total
    for name, values, show in (
        ("TTFT ms", total.ttft_s, milliseconds),
        ("TPOT ms", total.tpot_s, milliseconds),
        ("gap ms", total.gap_s, milliseconds),
        ("stall ms", total.max_stall_s, milliseconds),
        ("E2E s", total.e2e_s, decimal),
    ):
        table.add_row(name, *_latency_cells(values, show))
    return table


def _latency_cells(values: Distribution, show: Show) -> Iterable[Text]:
    interval = span(values.mean_low, values.mean_high, show)
    yield _with_span(optional(values.mean, show), interval)
    for level in _LEVELS:
        found = values.at(level)
        yield _with_span(quantile(found, show), span(found.low, found.high, show))
    yield _with_span(f"{values.n:,}", f"{values.effective_n:,.0f}")


def _with_span(value: str, interval: str) -> Text:
    text = Text(value)
    return text.append(f"\n{interval}", style="dim not bold") if interval else text


def verdict_text(verdict: Verdict) -> Text:
    """Return the verdict and its reasons, a line each."""
    text = Text(verdict.kind.value, style=f"bold {_TONES.get(verdict.kind, 'red')}")
    reasons = "\n  ".join(verdict.reasons)
    return text.append(f": {reasons}" if reasons else "", style="default not bold")
