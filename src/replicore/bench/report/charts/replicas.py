"""Charts of the replicas beside each other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from replicore.bench.report.figure import (
    SOFT,
    Axis,
    Figure,
    Trace,
    bars,
    figure,
    interval,
    limit_line,
    points,
    scaled,
    series_color,
)
from replicore.bench.report.words import decimal, milliseconds
from replicore.bench.stats.summary import Distribution, Row, Summary

_INTERVALS = "Bars over the values are 95 % intervals."
# Which quantiles are shown, each with its colour and mark.
_LEVELS = ((0.5, series_color(0), "circle"), (0.99, series_color(1), "diamond"))

_Of: TypeAlias = Callable[[Row], Distribution]


def replica_charts(summary: Summary) -> list[Figure]:
    """Return rates, requests and latencies by replica; nothing where there is only one."""
    rows, limits = summary.replicas, summary.objectives
    if len(rows) < 2:
        return []
    return [
        _rates(rows),
        _requests(rows),
        _latencies("Time to first token", rows, lambda row: row.ttft_s, limits.ttft_s),
        _latencies("Time per output token", rows, lambda row: row.tpot_s, limits.tpot_s),
    ]


def _colors(rows: Sequence[Row]) -> list[str]:
    return [series_color(index) for index in range(len(rows))]


def _names(rows: Sequence[Row]) -> list[str]:
    return [row.name for row in rows]


def _replica_axis(rows: Sequence[Row]) -> Axis:
    # Half a place on either side: single points would else lie on the chart's edges.
    return Axis(title="", kind="category", low=-0.5, high=len(rows) - 0.5)


def _rates(rows: Sequence[Row]) -> Figure:
    found = [row.output_tokens_per_s for row in rows]
    values = [0.0 if one is None else one.value for one in found]
    lows = [None if one is None else one.low for one in found]
    highs = [None if one is None else one.high for one in found]
    trace = bars("tokens per second", _names(rows), values, color=_colors(rows))
    return figure(
        "Output tokens per second by replica",
        [{**trace, "error_y": interval(values, lows, highs)}],
        x=_replica_axis(rows),
        y=Axis(title="tokens per second"),
        note=_INTERVALS,
        bargap=0.4,
    )


def _requests(rows: Sequence[Row]) -> Figure:
    answered = bars("answered", _names(rows), [row.succeeded for row in rows], color=_colors(rows))
    failed = bars("failed", _names(rows), [row.errors for row in rows], color="--bad")
    mean = sum(row.requests for row in rows) / len(rows)
    return figure(
        "Requests by replica",
        [answered, failed] if any(row.errors for row in rows) else [answered],
        x=_replica_axis(rows),
        y=Axis(title="requests"),
        marks=[limit_line(mean, f"mean {decimal(mean)}", color=SOFT)],
        note="Failed ones on top." if any(row.errors for row in rows) else "All were answered.",
        bargap=0.4,
        barmode="stack",
        showlegend=False,
    )


def _latencies(title: str, rows: Sequence[Row], of: _Of, limit_s: float | None) -> Figure:
    words = "" if limit_s is None else f"objective {milliseconds(limit_s)} ms"
    return figure(
        f"{title} by replica",
        [*_known(rows, of), *_bounds(rows, of)],
        x=_replica_axis(rows),
        y=Axis(title="ms", low=0),
        marks=[] if limit_s is None else [limit_line(limit_s * 1000, words)],
        note=_INTERVALS,
    )


def _known(rows: Sequence[Row], of: _Of) -> Iterator[Trace]:
    for level, color, symbol in _LEVELS:
        found = [(row.name, one) for row in rows if (one := of(row).at(level)).value is not None]
        if not found:
            continue
        values = [(one.value or 0.0) * 1000 for _, one in found]
        lows = [scaled(one.low, 1000) for _, one in found]
        highs = [scaled(one.high, 1000) for _, one in found]
        marker = {"color": color, "size": 10, "symbol": symbol}
        names = [name for name, _ in found]
        bar = interval(values, lows, highs)
        yield points(f"p{level * 100:g}", names, values, marker=marker, error_y=bar)


def _bounds(rows: Sequence[Row], of: _Of) -> Iterator[Trace]:
    """Yield the lower bounds of what the samples cannot carry."""
    for level, color, _ in _LEVELS:
        found = [(row.name, of(row).at(level)) for row in rows]
        lows = {name: one.low * 1000 for name, one in found if one.value is None and one.low}
        if lows:
            marker = {"color": color, "size": 11, "symbol": "triangle-up-open"}
            yield points(f"p{level * 100:g} is at least", lows, lows.values(), marker=marker)
