"""The top of a run's page: the verdict, and the few numbers that most readers came for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.bench.report.markup import Markup, html_table, tag
from replicore.bench.report.words import (
    Show,
    decimal,
    milliseconds,
    percent,
    quantile,
    rate,
    rate_span,
    span,
)
from replicore.bench.selfcheck.verdict import Kind, Verdict
from replicore.bench.stats.summary import Distribution, Rate, Row, Summary

_TONES = {Kind.VALID: "good", Kind.TOO_FEW_SAMPLES: "warn"}


def verdict_box(verdict: Verdict) -> Markup:
    """Return the verdict with its reasons and the numbers behind them."""
    parts = [tag("strong", verdict.kind.value)]
    if verdict.reasons:
        parts.append(tag("ul", *(tag("li", reason) for reason in verdict.reasons)))
    if verdict.numbers:
        rows = [_number(name, value) for name, value in verdict.numbers.items()]
        table = html_table(("what it rests on", "value"), rows)
        parts.append(tag("details", tag("summary", "the numbers behind it"), table))
    return tag("div", *parts, class_=f"verdict {_TONES.get(verdict.kind, 'bad')}")


def _number(name: str, value: float) -> tuple[str, str]:
    """Return a number of a verdict in the unit that its name tells."""
    words = name.removesuffix("_s").replace("_", " ")
    if name.endswith("_s"):
        return words, f"{milliseconds(value)} ms"
    return words, percent(value) if "share" in name else decimal(value)


def tiles(summary: Summary) -> Markup:
    """Return the headline numbers, each with its 95 % interval."""
    total = summary.total
    found = [
        _rate_tile("Output", "tok/s", total.output_tokens_per_s),
        _rate_tile("Requests", "per s", total.requests_per_s),
        _quantile_tile("TTFT p50", "ms", total.ttft_s, 0.5, milliseconds),
        _quantile_tile("TTFT p99", "ms", total.ttft_s, 0.99, milliseconds),
        _quantile_tile("TPOT p50", "ms", total.tpot_s, 0.5, milliseconds),
        _quantile_tile("E2E p50", "s", total.e2e_s, 0.5, decimal),
        *_goodput_tiles(total),
        _failure_tile(total),
    ]
    return tag("dl", *found, class_="tiles")


def _tile(name: str, value: str, unit: str, under: str) -> Markup:
    number = tag("span", value, class_="value"), " ", tag("span", unit, class_="unit")
    small = tag("div", under, class_="range")
    return tag("div", tag("dt", name), tag("dd", *number, small), class_="tile")


def _rate_tile(name: str, unit: str, found: Rate | None) -> Markup:
    return _tile(name, rate(found), unit, rate_span(found) or "no interval: too short a run")


def _quantile_tile(name: str, unit: str, values: Distribution, level: float, show: Show) -> Markup:
    found = values.at(level)
    under = span(found.low, found.high, show)
    return _tile(name, quantile(found, show), unit, under or _why_refused(values))


def _why_refused(values: Distribution) -> str:
    return "too few requests for it" if values.n else "nothing was measured"


def _goodput_tiles(total: Row) -> Iterator[Markup]:
    if total.attainment is not None:
        under = f"{percent(total.attainment)} of the requests"
        yield _tile("Goodput", rate(total.goodput_per_s), "per s", under)


def _failure_tile(total: Row) -> Markup:
    unfinished = f", {total.unfinished} unfinished" if total.unfinished else ""
    return _tile("Failed", str(total.errors), "", f"of {total.requests:,} requests{unfinished}")
