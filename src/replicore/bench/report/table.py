"""A run for people: tables, and the sentences that a reader of the numbers must know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from replicore.bench.record import BenchResult
from replicore.bench.stats.summary import Distribution, Row, Summary, attainment

# Printed before a percentile that the number of values does not support.
_UNSUPPORTED = "~"
_MARK_MEANING = (
    f"{_UNSUPPORTED} too few requests for this percentile (p99 needs 100): close to the largest"
)
_MISSING = "-"
# Two runs of one layout on a busy machine differ by up to this; measured with the demo.
_CLEAR_RATIO = 1.2
# Fewer than this part of the asked tokens is worth a note.
_NEAR = 0.95


def bench_table(result: BenchResult, summary: Summary) -> Table:
    """Return the totals, and a row per replica where there are several."""
    table = Table(title=Text(_title(result)), title_justify="left", title_style="bold")
    table.add_column("replica")
    for name in ("requests", "share", "errors", "output tok/s"):
        table.add_column(name, justify="right")
    for name in ("TTFT ms\np50 / p99", "TPOT ms\np50 / p99", "E2E s\np50"):
        table.add_column(name, justify="right")
    if len(summary.replicas) > 1:
        for row in summary.replicas:
            table.add_row(*map(Text, _cells(row)))
        table.add_section()
    table.add_row(*map(Text, _cells(summary.total)), style="bold")
    return table


def _title(result: BenchResult) -> str:
    workload = result.workload
    simulated = " (simulated)" if result.simulated else ""
    return (
        f"{result.model}{simulated}: {result.requests} requests, {result.concurrency} at a time, "
        f"{_lengths(workload.input_tokens.mean, workload.input_tokens.stddev)} tokens in, "
        f"{_lengths(workload.output_tokens.mean, workload.output_tokens.stddev)} out"
    )


def _lengths(mean: float, stddev: float) -> str:
    return f"{mean:g}±{stddev:g}" if stddev else f"{mean:g}"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        str(row.requests),
        f"{row.share:.0%}",
        str(row.errors),
        _rate(row.output_tokens_per_s),
        _percentiles(row.ttft_s, milliseconds),
        _percentiles(row.tpot_s, milliseconds),
        percentile(row.e2e_s, 50, _seconds),
    )


def _percentiles(values: Distribution, unit: Callable[[float], str]) -> str:
    return f"{percentile(values, 50, unit)} / {percentile(values, 99, unit)}"


def percentile(values: Distribution, which: int, unit: Callable[[float], str]) -> str:
    """Return p50, p90, p95 or p99 as text, with ``~`` where ``n`` is too small for it."""
    number = {50: values.p50, 90: values.p90, 95: values.p95, 99: values.p99}[which]
    if number is None:
        return _MISSING
    return unit(number) if values.supports(which) else _UNSUPPORTED + unit(number)


def milliseconds(seconds: float) -> str:
    number = seconds * 1000
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f}"


def _rate(per_s: float | None) -> str:
    return _MISSING if per_s is None else f"{per_s:.1f}"


def notes(result: BenchResult, summary: Summary) -> list[str]:
    """Return what must be known to read the table, most important first; one sentence each."""
    total = summary.total
    found = [f"{count} × {key}: {summary.error_examples[key]}" for key, count in _errors(summary)]
    if result.interrupted:
        found.insert(0, f"interrupted: {total.requests} of {result.requests} requests are over")
    if result.simulated:
        found.append("simulated: these numbers are of no real engine")
    found += _token_notes(result, total)
    found.append(_window_note(result, summary))
    if summary.imbalance is not None:
        found.append(f"busiest replica: {summary.imbalance:.2f} × the mean number of requests")
    if total.ttft_s.n and not total.ttft_s.supports(99):
        found.append(_MARK_MEANING)
    return found


def slo_notes(
    result: BenchResult, summary: Summary, *, ttft_p99_s: float | None, tpot_p99_s: float | None
) -> list[str]:
    """Return how the run stands against the spec's ``[slo]``; nothing where it states none."""
    total = summary.total
    limits = (("TTFT", total.ttft_s.p99, ttft_p99_s), ("TPOT", total.tpot_s.p99, tpot_p99_s))
    found = [
        f"slo: {name} p99 is {milliseconds(p99)} ms, at most {milliseconds(limit)} ms was asked: "
        + ("met" if p99 <= limit else "missed")
        for name, p99, limit in limits
        if limit is not None and p99 is not None
    ]
    share = attainment(result.records, ttft_s=ttft_p99_s, tpot_s=tpot_p99_s)
    if share is not None:
        found.append(f"slo: {share:.1%} of the requests were within it, failed ones not")
    return found


def _errors(summary: Summary) -> list[tuple[str, int]]:
    return sorted(summary.errors.items(), key=lambda item: -item[1])


def _token_notes(result: BenchResult, total: Row) -> list[str]:
    good = [record for record in result.records if record.succeeded]
    found = []
    if not result.exact_prompts:
        asked = sum(record.input_tokens_asked for record in good)
        found.append(
            f"prompts are text, not token ids: {total.input_tokens} input tokens, {asked} asked"
        )
    elif any(record.input_tokens != record.input_tokens_asked for record in good):
        found.append("the server counted other input lengths than were sent")
    asked = sum(record.output_tokens_asked for record in good)
    if total.output_tokens < _NEAR * asked:
        found.append(f"answers were shorter than asked: {total.output_tokens} tokens of {asked}")
    if total.cached_tokens:
        part = total.cached_tokens / total.input_tokens
        found.append(f"a prefix cache held {part:.0%} of the input tokens")
    return found


def _window_note(result: BenchResult, summary: Summary) -> str:
    if not summary.window.steady:
        return f"rates are over the whole run of {summary.duration_s:.1f} s, its end included"
    return (
        f"rates are over the {summary.window.length_s:.1f} s of {summary.duration_s:.1f} s "
        f"with {result.concurrency} requests in flight "
        f"(whole run: {_rate(summary.run_output_tokens_per_s)} output tok/s)"
    )


@dataclass(frozen=True, slots=True)
class LayoutRow:
    """One measured layout.

    Attributes:
        layout: Its name for people, such as ``2 x 1 core``.
    """

    layout: str
    summary: Summary


def layouts_table(rows: Sequence[LayoutRow]) -> Table:
    """Compare layouts under one workload; the caption names the better one."""
    table = Table(caption=_caption(rows), caption_justify="left", caption_style="")
    table.add_column("layout")
    for name in ("output tok/s", "TTFT ms\np50 / p99", "TPOT ms\np50", "requests", "errors"):
        table.add_column(name, justify="right")
    for row in rows:
        total = row.summary.total
        table.add_row(
            Text(row.layout),
            _rate(total.output_tokens_per_s),
            _percentiles(total.ttft_s, milliseconds),
            percentile(total.tpot_s, 50, milliseconds),
            str(total.requests),
            str(total.errors),
        )
    return table


def _caption(rows: Sequence[LayoutRow]) -> Text:
    caption = Text(verdict(rows), style="bold")
    if any(not row.summary.total.ttft_s.supports(99) for row in rows):
        caption.append(f"\n{_MARK_MEANING}", style="not bold")
    return caption


def best_layout(rows: Sequence[LayoutRow]) -> LayoutRow | None:
    """Return the layout with the highest output rate among those with the fewest errors."""
    measured = [row for row in rows if row.summary.total.output_tokens_per_s]
    if not measured:
        return None
    return min(
        measured,
        key=lambda row: (row.summary.total.errors, -(row.summary.total.output_tokens_per_s or 0)),
    )


def verdict(rows: Sequence[LayoutRow]) -> str:
    """Return one sentence that names the better layout, and by how much."""
    best = best_layout(rows)
    if best is None:
        return "no layout answered"
    others = [row for row in rows if row is not best]
    second = best_layout(others)
    if second is None:
        return f"better: {best.layout}"
    ratio = _ratio(best, second)
    said = f"better: {best.layout}, with {ratio:.2f} × the output tok/s of {second.layout}"
    return f"{said}; one run each, so that may be noise" if 1 <= ratio < _CLEAR_RATIO else said


def _ratio(row: LayoutRow, other: LayoutRow) -> float:
    mine, theirs = row.summary.total, other.summary.total
    return (mine.output_tokens_per_s or 0) / (theirs.output_tokens_per_s or 1)
