"""Throughput of every layout against a latency, with the feasible region and the front. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import log2, log10
from typing import Any

from replicore.bench.report.figure import (
    GOOD,
    INK,
    SOFT,
    Annotation,
    Axis,
    Figure,
    Shape,
    Trace,
    faded,
    figure,
    interval,
    limit_line,
    line,
    points,
    series_color,
)
from replicore.bench.report.words import milliseconds
from replicore.plan_page.picks import Latency, Runnable, front, runnable
from replicore.plan_page.words import hover
from replicore.planner.plan import Plan

_HEIGHT_PX = 430
_SMALLEST_PX, _PX_PER_DOUBLING = 5.0, 1.7
_STAR_PX = 18
HOW_TO_READ = (
    "Up and to the left is better. A point is a layout: its colour is the tp, its size the batch "
    "size; hollow ones are too likely to break a limit. Bars are 80 % intervals, of the layouts on "
    "the Pareto front; every other has them in its label. The star is the pick. The table has the "
    "best of each tp, and those on a front."
)
# Left and right of the outermost points, as a factor.
_MARGIN = 1.35


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chart:
    """One chart's latency, and what is drawn against it.

    Attributes:
        limit_s: Of the SLO; None where none is set.
        is_tail: Whether ``latency`` is a 99th percentile, because the limit is for that.
    """

    name: str
    latency: Latency
    limit_s: float | None
    is_tail: bool
    plan: Plan
    layouts: Sequence[Runnable] = field(default=())


def scatters(plan: Plan) -> list[Figure]:
    """Return the output rate against TTFT and against TPOT; none where no layout can be run."""
    slo, layouts = plan.question.slo, runnable(plan)
    charts = (
        _Chart(
            name="TTFT",
            latency=(lambda s: s.ttft_p99_s) if slo.ttft_p99_s else (lambda s: s.ttft_s),
            limit_s=slo.ttft_p99_s,
            is_tail=slo.ttft_p99_s is not None,
            plan=plan,
            layouts=[one for one in layouts if one.service.ttft_s is not None],
        ),
        _Chart(
            name="TPOT",
            latency=(lambda s: s.tpot_p99_s) if slo.tpot_p99_s else (lambda s: s.tpot_s),
            limit_s=slo.tpot_p99_s,
            is_tail=slo.tpot_p99_s is not None,
            plan=plan,
            layouts=layouts,
        ),
    )
    return [_scatter(chart) for chart in charts if chart.layouts]


def _scatter(chart: _Chart) -> Figure:
    what = f"{chart.name} p99" if chart.is_tail else chart.name
    low, high = _range_ms(chart)
    return figure(
        f"Output rate against {what}",
        [*_front(chart), *_all_points(chart), *_best(chart)],
        x=Axis(title=f"{what}, ms", kind="log", low=low, high=high),
        y=Axis(title="output tokens per second, all replicas", low=0),
        marks=_region(chart, low),
        note=_note(chart),
        height=_HEIGHT_PX,
        wide=True,
    )


def _note(chart: _Chart) -> str:
    untold = len(runnable(chart.plan)) - len(chart.layouts)
    if not untold:
        return ""
    return f"{untold} are so busy that no {chart.name} can be told, and are left out."


def _at_ms(chart: _Chart, one: Runnable) -> float:
    found = chart.latency(one.service)
    return 0.0 if found is None else found.value * 1000


def _range_ms(chart: _Chart) -> tuple[float, float]:
    values = [_at_ms(chart, one) for one in chart.layouts]
    if chart.limit_s is not None:
        values.append(chart.limit_s * 1000)
    return min(values) / _MARGIN, max(values) * _MARGIN


def _region(chart: _Chart, low_ms: float) -> Iterator[tuple[Shape, Annotation | None]]:
    """Shade what is within the limit."""
    if chart.limit_s is None:
        return
    limit_ms = chart.limit_s * 1000
    words = f"limit {milliseconds(chart.limit_s)} ms"
    edge, said = limit_line(limit_ms, words, color=GOOD, upright=True)
    within: Shape = {
        "type": "rect",
        "yref": "paper",
        "x0": low_ms,
        "x1": limit_ms,
        "y0": 0,
        "y1": 1,
        "fillcolor": faded(GOOD, 0.08),
        "line": {"width": 0},
        "layer": "below",
    }
    yield within, None
    # plotly.js places shapes by their values on a logarithmic axis, but words by their exponents.
    yield edge, {**said, "x": log10(limit_ms), "xanchor": "right"}


def _front(chart: _Chart) -> Iterator[Trace]:
    best = front(chart.layouts, chart.latency)
    x, times = [_at_ms(chart, one) for one in best], [chart.latency(o.service) for o in best]
    rates = [one.service.tokens_per_s for one in best]
    y = [found.value for found in rates]
    lows = [None if found is None else found.low * 1000 for found in times]
    highs = [None if found is None else found.high * 1000 for found in times]
    thin = {"color": faded(SOFT, 0.55), "thickness": 1, "width": 2}
    yield line(
        "Pareto front",
        x,
        y,
        hoverinfo="skip",
        error_x={**interval(x, lows, highs), **thin},
        error_y={**interval(y, [r.low for r in rates], [r.high for r in rates]), **thin},
    ) | {"line": {"color": SOFT, "width": 1.5, "dash": "dash"}}


def _all_points(chart: _Chart) -> Iterator[Trace]:
    degrees = sorted({one.outcome.tp for one in chart.layouts})
    for index, tp in enumerate(degrees):
        mine = [one for one in chart.layouts if one.outcome.tp == tp]
        # The legend has the form of the first.
        mine.sort(key=lambda one: not _is_safe(chart, one))
        yield _points(chart, f"tp {tp}", mine, series_color(index))


def _points(chart: _Chart, name: str, mine: Sequence[Runnable], color: str) -> Trace:
    return points(
        name,
        [_at_ms(chart, one) for one in mine],
        [one.service.tokens_per_s.value for one in mine],
        marker={
            "color": faded(color, 0.75),
            "size": [_size_px(one.outcome.batch_size) for one in mine],
            "symbol": ["circle" if _is_safe(chart, one) else "circle-open" for one in mine],
        },
        **_labels(chart, mine),
    )


def _is_safe(chart: _Chart, one: Runnable) -> bool:
    return one.service.meets >= 1 - chart.plan.question.risk


def _size_px(batch_size: int) -> float:
    return _SMALLEST_PX + _PX_PER_DOUBLING * log2(batch_size)


def _best(chart: _Chart) -> Iterator[Trace]:
    mine = [one for one in chart.layouts if one.outcome == chart.plan.best]
    if mine:
        outline = {"color": INK, "width": 1.5}
        marker = {"color": GOOD, "size": _STAR_PX, "symbol": "star", "line": outline}
        x, y = [_at_ms(chart, mine[0])], [mine[0].service.tokens_per_s.value]
        name = f"{'pick' if chart.plan.feasible else 'nearest'}: {mine[0].outcome.size}"
        yield points(name, x, y, marker=marker, **_labels(chart, mine))


def _labels(chart: _Chart, mine: Sequence[Runnable]) -> dict[str, Any]:
    stated = chart.plan.question.slo.stated
    return {
        "text": [hover(one, stated=stated) for one in mine],
        "hovertemplate": "%{text}<extra></extra>",
    }
