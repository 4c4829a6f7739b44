"""Charts over a run's time: what arrived, what was in flight, when first tokens came. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from replicore.bench.record import BenchResult, RequestRecord
from replicore.bench.report.charts.bins import bin_edges, in_flight, per_second, thinned
from replicore.bench.report.figure import (
    BAD,
    INK,
    SOFT,
    Annotation,
    Axis,
    Figure,
    Shape,
    Trace,
    faded,
    figure,
    limit_line,
    line,
    points,
    series_color,
    series_dash,
    time_span,
)
from replicore.bench.report.words import decimal, milliseconds
from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.flow import output_tokens
from replicore.bench.stats.latency import start_s, ttft
from replicore.bench.stats.summary import Summary

# Points of all requests together; more are slow to draw and lie on each other.
_POINTS = 4000


def timeline(result: BenchResult, summary: Summary) -> list[Figure]:
    """Return the charts of a run over its time, warm-up included; the window is shaded."""
    if not result.records:
        return []
    charts = _Timeline(result, summary)
    return [charts.throughput(), charts.in_flight(), charts.first_tokens()]


class _Timeline:
    """The charts of one run; its time is cut in the same places for all of them."""

    def __init__(self, result: BenchResult, summary: Summary) -> None:
        self._result = result
        self._summary = summary
        self._records = (*result.warmup, *result.records)
        self._edges = bin_edges(max(record.ended_s for record in self._records))
        self._names = [row.name for row in summary.replicas]

    def throughput(self) -> Figure:
        flow = output_tokens(self._records)
        owners = np.array([record.replica for record in self._records], dtype=np.str_)
        traces = []
        for index, name in enumerate(self._names):
            mine = flow.of(owners == name)
            rates = per_second(mine.times, mine.amounts, self._edges)
            color = series_color(index)
            area = {"stackgroup": "all", "fillcolor": faded(color, 0.35)}
            traces.append(_steps(name, self._edges, rates, color, index, **area))
        shaded = "; the measured window is shaded" if self._summary.window.steady else ""
        return self._figure(
            "Output tokens per second",
            [*traces, *_mean_rate(self._summary)],
            unit="tokens per second",
            note=f"By arrival, in steps of {decimal(float(self._edges[1]))} s{shaded}.",
            unified=True,
        )

    def in_flight(self) -> Figure:
        traces = [_steps("all", self._edges, _levels(self._records, self._edges), INK)]
        for index, name in enumerate(self._names if len(self._names) > 1 else []):
            mine = [record for record in self._records if record.replica == name]
            levels = _levels(mine, self._edges)
            traces.append(_steps(name, self._edges, levels, series_color(index), index))
        asked = self._result.concurrency
        return self._figure(
            "Requests in flight",
            traces,
            unit="requests",
            marks=[] if asked is None else [limit_line(asked, f"{asked} asked", color=SOFT)],
            note="The mean of each step, weighted by time.",
            unified=True,
        )

    def first_tokens(self) -> Figure:
        since = self._summary.latency_from
        answered = [record for record in self._result.records if record.chunk_times_s]
        values = np.array([ttft(record, since) * 1000 for record in answered])
        kept = thinned(values, most=_POINTS)
        chosen = [(answered[place], float(values[place])) for place in kept]
        traces = []
        for index, name in enumerate(self._names):
            mine = [(start_s(one, since), value) for one, value in chosen if one.replica == name]
            color = faded(series_color(index), 0.75)
            x, y = [time_s for time_s, _ in mine], [value for _, value in mine]
            traces.append(points(name, x, y, color=color, size=5))
        limit = self._summary.objectives.ttft_s
        words = "" if limit is None else f"objective {milliseconds(limit)} ms"
        drawn = f"By when each was {since}."
        if len(kept) < len(answered):
            drawn += f" {len(kept):,} of {len(answered):,} are drawn, every outlier among them."
        return self._figure(
            "Time to first token of each request",
            [*traces, *_failures(self._result)],
            unit="TTFT, ms",
            marks=[] if limit is None else [limit_line(limit * 1000, words)],
            note=drawn,
        )

    def _figure(
        self,
        title: str,
        traces: Iterable[Trace],
        *,
        unit: str,
        note: str,
        marks: Sequence[tuple[Shape, Annotation]] = (),
        unified: bool = False,
    ) -> Figure:
        window = self._summary.window
        shaded = [time_span(window.start_s, window.end_s)] if window.steady else []
        return figure(
            title,
            traces,
            x=Axis(title="seconds since the run began", low=0, high=float(self._edges[-1])),
            y=Axis(title=unit, low=0),
            marks=[*shaded, *marks],
            note=note,
            wide=True,
            unified=unified,
        )


def _steps(
    name: str, edges: Floats, values: Floats, color: str, index: int = 0, **trace: Any
) -> Trace:
    """Return a line that holds each bin's value over the bin's length."""
    held = [*values.tolist(), float(values[-1])]
    style = {"color": color, "width": 1.5, "shape": "hv", "dash": series_dash(index)}
    return line(name, edges.tolist(), held, line=style, **trace)


def _mean_rate(summary: Summary) -> list[Trace]:
    found, window = summary.total.output_tokens_per_s, summary.window
    if found is None or not window.steady:
        return []
    style = {"color": INK, "width": 1.5, "dash": "dot"}
    span, level = (window.start_s, window.end_s), (found.value, found.value)
    return [line(f"mean {decimal(found.value)}", span, level, line=style, hoverinfo="skip")]


def _levels(records: Sequence[RequestRecord], edges: Floats) -> Floats:
    starts = np.array([record.dispatched_s for record in records])
    return in_flight(starts, np.array([record.ended_s for record in records]), edges)


def _failures(result: BenchResult) -> list[Trace]:
    """Return a mark at the bottom for each failed request, when it ended; of many some."""
    failed = [
        (one.ended_s, one.failure.kind.value)
        for one in result.records
        if one.failure is not None and not one.unfinished
    ]
    kept = failed[:: math.ceil(len(failed) / _POINTS) or 1]
    if not kept:
        return []
    marker = {"color": BAD, "size": 8, "symbol": "x"}
    times = [time_s for time_s, _ in kept]
    kinds = [kind for _, kind in kept]
    zeros = [0.0] * len(kept)
    return [points("failed", times, zeros, marker=marker, text=kinds, cliponaxis=False)]
