"""Charts as data: traces and a layout in plotly.js's words, with the page's colours by name. Pure.

A colour is the name of one of the page's CSS variables, such as ``--series-0``, and may end in an
opacity, as ``--series-0/0.2``. The page looks it up when it draws, and when the theme changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Trace: TypeAlias = dict[str, object]
Shape: TypeAlias = dict[str, object]
Annotation: TypeAlias = dict[str, object]

INK, SOFT, GRID = "--ink", "--soft", "--grid"
GOOD, WARN, BAD = "--good", "--warn", "--bad"
_SERIES = 8
_DASHES = ("solid", "dot", "dash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis.

    Attributes:
        title: The quantity with its unit.
        kind: ``category`` puts text side by side.
        low: Where it begins; None leaves that to the data. Without ``high`` it can only be 0.
        high: Where it ends; needs ``low``.
        ticks: Marks by position, where the usual ones do not fit.
    """

    title: str
    kind: Literal["linear", "log", "category"] = "linear"
    low: float | None = None
    high: float | None = None
    ticks: Mapping[float, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One chart of a page.

    Attributes:
        note: How to read it, in a sentence or two.
        height: In pixels, without title and note.
        wide: Whether it takes a row of its own.
    """

    title: str
    traces: Sequence[Trace]
    layout: Mapping[str, object]
    note: str = ""
    height: int = 280
    wide: bool = False


def figure(
    title: str,
    traces: Iterable[Trace],
    *,
    x: Axis,
    y: Axis,
    marks: Iterable[tuple[Shape, Annotation | None]] = (),
    note: str = "",
    height: int = 280,
    wide: bool = False,
    unified: bool = False,
    **layout: object,
) -> Figure:
    """Return a chart with two axes.

    Args:
        marks: Lines and areas with their words, of :func:`limit_line` and :func:`time_span`.
        unified: Whether the pointer shows all traces at its x at once.
        layout: More of plotly's layout.
    """
    drawn = list(traces)
    marked = list(marks)
    legend = sum(bool(trace.get("showlegend", True)) for trace in drawn) > 1
    own: dict[str, object] = {
        "xaxis": _axis(x),
        "yaxis": _axis(y),
        "shapes": [shape for shape, _ in marked],
        "annotations": [words for _, words in marked if words],
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hovermode": "x unified" if unified else "closest",
        "hoverlabel": {"bgcolor": "--card", "bordercolor": GRID, "font": {"color": INK}},
        "margin": {"l": 56, "r": 16, "t": 40 if legend else 16, "b": 44},
        "font": {"color": SOFT, "family": "system-ui, sans-serif", "size": 12},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
    layout = {**own, **layout}
    return Figure(title=title, traces=drawn, layout=layout, note=note, height=height, wide=wide)


def _axis(axis: Axis) -> dict[str, object]:
    found: dict[str, object] = {
        "title": {"text": axis.title, "standoff": 8},
        "type": axis.kind,
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": GRID,
        "automargin": True,
    }
    if axis.low is not None and axis.high is not None:
        found["range"] = [_place(axis, axis.low), _place(axis, axis.high)]
    elif axis.low == 0:
        found["rangemode"] = "tozero"
    if axis.ticks is not None:
        found |= {"tickvals": list(axis.ticks), "ticktext": list(axis.ticks.values())}
    return found


def _place(axis: Axis, value: float | None) -> float | None:
    # plotly.js places the ends of a logarithmic axis by their exponents.
    return math.log10(value) if value is not None and axis.kind == "log" else value


def series_color(index: int) -> str:
    """Return the colour of the series ``index``; after eight they come again."""
    return f"--series-{index % _SERIES}"


def series_dash(index: int) -> str:
    """Return the dash that tells series of one colour apart."""
    return _DASHES[index // _SERIES % len(_DASHES)]


def faded(color: str, opacity: float) -> str:
    return f"{color}/{opacity:g}"


def line(
    name: str,
    x: Iterable[float],
    y: Iterable[float | None],
    *,
    color: str = "--series-0",
    **trace: object,
) -> Trace:
    """Return a line; None in ``y`` is a gap in it."""
    style = {"color": color, "width": 2}
    own: Trace = {"type": "scatter", "mode": "lines", "name": plain(name), "line": style}
    return {**own, "x": short(x), "y": short(y), **trace}


def points(
    name: str,
    x: Iterable[float | str],
    y: Iterable[float],
    *,
    color: str = "--series-0",
    size: float = 6,
    **trace: object,
) -> Trace:
    """Return single points; text as ``x`` puts them over a name."""
    marker = {"color": color, "size": size}
    own: Trace = {"type": "scatter", "mode": "markers", "name": plain(name), "marker": marker}
    return {**own, "x": _places(x), "y": short(y), **trace}


def bars(
    name: str,
    x: Iterable[float | str],
    y: Iterable[float],
    *,
    color: str | Sequence[str] = "--series-0",
    **trace: object,
) -> Trace:
    """Return bars; text as ``x`` makes one for each name."""
    own: Trace = {"type": "bar", "name": plain(name), "marker": {"color": color}}
    return {**own, "x": _places(x), "y": short(y), **trace}


def _places(values: Iterable[float | str]) -> list[object]:
    return [plain(value) if isinstance(value, str) else _short(value) for value in values]


def interval(
    values: Sequence[float], lows: Sequence[float | None], highs: Sequence[float | None]
) -> dict[str, object]:
    """Return error bars from each low to each high; an end that is None is not drawn."""
    above = (None if end is None else end - v for v, end in zip(values, highs, strict=True))
    below = (None if end is None else v - end for v, end in zip(values, lows, strict=True))
    return {
        "type": "data",
        "symmetric": False,
        "array": short(above),
        "arrayminus": short(below),
        "color": INK,
        "thickness": 1.2,
        "width": 4,
    }


def limit_line(
    value: float, words: str, *, color: str = BAD, upright: bool = False
) -> tuple[Shape, Annotation]:
    """Return a dashed line over the whole chart at one ``y``, with its words at its end.

    Args:
        upright: The line is at one ``x`` instead.
    """
    along, across = ("y", "x") if upright else ("x", "y")
    shape: Shape = {
        "type": "line",
        f"{along}ref": "paper",
        f"{along}0": 0,
        f"{along}1": 1,
        f"{across}0": value,
        f"{across}1": value,
        "line": {"color": color, "width": 1.5, "dash": "dash"},
    }
    return shape, {
        f"{along}ref": "paper",
        along: 1,
        across: value,
        "xanchor": "left" if upright else "right",
        "yanchor": "top" if upright else "bottom",
        "text": plain(words),
        "showarrow": False,
        "font": {"color": color, "size": 11},
    }


def time_span(start_s: float, end_s: float) -> tuple[Shape, None]:
    """Return an area behind the data, between two ``x``."""
    shape: Shape = {
        "type": "rect",
        "yref": "paper",
        "x0": start_s,
        "x1": end_s,
        "y0": 0,
        "y1": 1,
        "fillcolor": faded("--series-0", 0.07),
        "line": {"width": 0},
        "layer": "below",
    }
    return shape, None


def plain(text: str) -> str:
    """Return text that plotly shows as it is: it reads some HTML otherwise."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def scaled(value: float | None, scale: float) -> float | None:
    """Return a value in another unit; None stays None."""
    return None if value is None else value * scale


def short(values: Iterable[float | None]) -> list[float | None]:
    """Return the values with six digits: more cannot be seen, and a page holds many."""
    return [None if value is None else _short(value) for value in values]


def _short(value: float) -> float:
    return float(f"{value:.6g}")
