"""A sweep as charts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from replicore.bench.report.figure import (
    GOOD,
    INK,
    SOFT,
    Axis,
    Figure,
    Trace,
    bars,
    figure,
    interval,
    limit_line,
    line,
    plain,
    points,
    series_color,
)
from replicore.bench.report.words import milliseconds
from replicore.bench.stats.summary import Quantile
from replicore.bench.sweep.cells import Cell
from replicore.bench.sweep.findings import Findings
from replicore.bench.sweep.ranking import Versus, is_winner

_TALL, _USUAL = 420, 280
_STAR_PX, _POINT_PX = 16, 9
_ROW_PX = 34
_AROUND_ROWS_PX = 110

Median = Callable[[Cell], Quantile]


def overview(found: Findings) -> list[Figure]:
    """Return throughput against TTFT: the median, and the 99th percentile where it is known."""
    return [*_pareto(found, 0.5), *_pareto(found, 0.99)]


def _pareto(found: Findings, level: float) -> Iterator[Figure]:
    cells = [cell for cell in _ranked(found) if _ttft_ms(cell, level) is not None]
    if not cells:
        return
    is_median = level == 0.5
    traces = [*_front(found)] if is_median else []
    traces += [_path(layout, cells, level, found) for layout in _colors(found)]
    limit = None if is_median else found.slo.ttft_s
    marks = [] if limit is None else [limit_line(limit * 1000, "slo", upright=True)]
    yield figure(
        f"Output rate against TTFT p{level * 100:g}",
        [trace for trace in traces if trace["x"]],
        x=Axis(title=f"TTFT p{level * 100:g}, ms"),
        y=Axis(title="output tokens per second", low=0),
        marks=marks,
        note="Up and to the left is better. The number at a point is how many requests were in "
        "flight; bars are 95 % intervals; the star wins."
        + (" Dashed: the Pareto front." if is_median else ""),
        height=_TALL if is_median else _USUAL,
        wide=is_median,
    )


def _ranked(found: Findings) -> list[Cell]:
    return [cell for cell in found.cells if not cell.baseline and cell.rate]


def _colors(found: Findings) -> dict[str, str]:
    """Return a colour for each layout, the same in all charts."""
    layouts = dict.fromkeys(cell.layout for cell in found.cells)
    return {layout: series_color(index) for index, layout in enumerate(layouts)}


def _front(found: Findings) -> Iterator[Trace]:
    x = [_ttft_ms(cell, 0.5) or 0.0 for cell in found.front]
    style = {"color": SOFT, "width": 1.5, "dash": "dash"}
    y = [cell.rate for cell in found.front]
    yield line("Pareto front", x, y, hoverinfo="skip") | {"line": style}


def _ttft_ms(cell: Cell, level: float) -> float | None:
    return _ms(_ttft(cell, level).value)


def _ttft(cell: Cell, level: float) -> Quantile:
    return cell.ttft_p50 if level == 0.5 else cell.ttft_s.at(level)


def _path(layout: str, cells: Sequence[Cell], level: float, found: Findings) -> Trace:
    """Return one layout's way through its loads, with a star where it wins.

    The 99th percentile is not known of every load, so its points have no line through them.
    """
    color = _colors(found)[layout]
    wins = [is_winner(cell, found.winner) for cell in cells if cell.layout == layout]
    mine = [cell for cell in cells if cell.layout == layout]
    known = [_ttft(cell, level) for cell in mine]
    x = [_ttft_ms(cell, level) or 0.0 for cell in mine]
    y = [cell.rate for cell in mine]
    return points(
        layout,
        x,
        y,
        marker={
            "color": color,
            "size": [_STAR_PX if win else _POINT_PX for win in wins],
            "symbol": ["star" if win else "circle" for win in wins],
        },
        mode="lines+markers+text" if level == 0.5 else "markers+text",
        text=[str(cell.concurrency) for cell in mine],
        textposition="top left",
        textfont={"color": INK},
        line={"color": color, "width": 2},
        error_x=interval(x, [_ms(q.low) for q in known], [_ms(q.high) for q in known]),
        error_y=_rate_interval(mine),
        hovertemplate="%{text} in flight: %{y:.1f} tok/s, TTFT %{x:.0f} ms",
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _rate_interval(cells: Sequence[Cell]) -> dict[str, object]:
    rates = [cell.output_tokens_per_s for cell in cells]
    lows = [rate.low if rate else None for rate in rates]
    return interval(
        [cell.rate for cell in cells], lows, [rate.high if rate else None for rate in rates]
    )


def by_load(found: Findings) -> list[Figure]:
    """Return rate, TTFT and TPOT of each layout at each load."""
    slo = found.slo
    return [
        _by_load(found, "Output rate", "tokens per second", _rate_trace, None),
        _by_load(found, "TTFT p50", "ms", _latency_trace(lambda cell: cell.ttft_p50), slo.ttft_s),
        _by_load(found, "TPOT p50", "ms", _latency_trace(lambda cell: cell.tpot_p50), slo.tpot_s),
    ]


_Draw = Callable[[str, Sequence[Cell], str], Trace]


def _by_load(found: Findings, title: str, unit: str, draw: _Draw, limit_s: float | None) -> Figure:
    traces = []
    for layout, color in _colors(found).items():
        cells = [cell for cell in found.cells if cell.layout == layout and cell.rate]
        traces.append(draw(layout, cells, color))
    words = "" if limit_s is None else f"slo: p99 within {milliseconds(limit_s)} ms"
    loads = sorted({cell.concurrency for cell in found.cells})
    return figure(
        title,
        [trace for trace in traces if trace["x"]],
        x=Axis(title="requests in flight", kind="log", ticks={c: str(c) for c in loads}),
        y=Axis(title=unit, low=0),
        marks=[] if limit_s is None else [limit_line(1000 * limit_s, words)],
    )


def _rate_trace(layout: str, cells: Sequence[Cell], color: str) -> Trace:
    x, y = [cell.concurrency for cell in cells], [cell.rate for cell in cells]
    return line(layout, x, y, color=color, mode="lines+markers", error_y=_rate_interval(cells))


def _latency_trace(median: Median) -> _Draw:
    def draw(layout: str, cells: Sequence[Cell], color: str) -> Trace:
        found = {c.concurrency: q for c in cells if (q := median(c)).value is not None}
        y = [1000 * (one.value or 0.0) for one in found.values()]
        ends = [(_ms(one.low), _ms(one.high)) for one in found.values()]
        bounds = interval(y, [low for low, _ in ends], [high for _, high in ends])
        return line(layout, found, y, color=color, mode="lines+markers", error_y=bounds)

    return draw


def rivals(others: Sequence[Versus]) -> Figure:
    """Return the winner's rate over that of every other layout; 1 is no difference."""
    known = [one for one in others if one.ratio is not None]
    names = [plain(f"{one.layout} at {one.concurrency}") for one in known]
    values = [one.value for one in known]
    lows = [one.ratio.low if one.ratio else None for one in known]
    highs = [one.ratio.high if one.ratio else None for one in known]
    trace = points("ratio", values, [], size=10, error_x=interval(values, lows, highs))
    trace["y"] = names
    return figure(
        "How much better than the best of each other layout",
        [trace | {"hovertemplate": "%{y}: %{x:.2f} ×<extra></extra>"}],
        x=Axis(title="output rate of the winner over theirs"),
        y=Axis(title="", kind="category", low=-0.5, high=len(known) - 0.5),
        marks=[limit_line(1.0, "no difference", color=SOFT, upright=True)],
        note="Bars are 95 % intervals over the repeats.",
        height=_AROUND_ROWS_PX + _ROW_PX * len(known),
    )


def scaling(found: Findings) -> Figure:
    """Return the scaling efficiency of each layout at each load."""
    rows = found.scalings
    names = [f"{one.layout} at {one.concurrency}" for one in rows]
    values = [100 * one.efficiency for one in rows]
    lows = [None if one.low is None else 100 * one.low for one in rows]
    highs = [None if one.high is None else 100 * one.high for one in rows]
    colors = [_colors(found)[one.layout] for one in rows]
    bounds = interval(values, lows, highs)
    traces = [bars("efficiency", names, values, color=colors, error_y=bounds)]
    return figure(
        "Scaling efficiency",
        traces,
        x=Axis(title="", kind="category"),
        y=Axis(title="%", low=0),
        marks=[limit_line(100, "perfect", color=GOOD)],
        note="Output rate over that of one replica alone at its share of the load, times the "
        "number of replicas. 100 % is perfect.",
    )
