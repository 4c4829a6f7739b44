"""Charts as data; plotly's own checks say whether plotly.js would understand them."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest

from replicore.bench.report.figure import (
    Axis,
    bars,
    faded,
    figure,
    interval,
    limit_line,
    line,
    points,
    series_color,
    series_dash,
    time_span,
)
from tests.unit.bench.report.runs import drawable

X = Axis(title="seconds", low=0, high=10)
Y = Axis(title="ms")


def test_figure_is_what_plotly_understands() -> None:
    errors = interval([2.0], [1.0], [None])
    traces = [line("a", [1], [2]), points("b", [1], [2], error_y=errors), bars("c", ["r0"], [1])]
    marks = [limit_line(2, "limit"), limit_line(3, "p50", upright=True), time_span(0, 1)]
    found = figure("title", traces, x=X, y=Y, marks=marks, unified=True, bargap=0.4)

    # Raises ValueError on a property that plotly does not know.
    go.Figure(drawable({"data": found.traces, "layout": found.layout}))


def test_colours_are_names_that_the_page_looks_up() -> None:
    assert series_color(0) == "--series-0"
    assert faded(series_color(1), 0.25) == "--series-1/0.25"


def test_ninth_series_has_the_first_colour_with_another_dash() -> None:
    assert series_color(8) == series_color(0)
    assert series_dash(8) != series_dash(0)


def test_one_trace_needs_no_legend() -> None:
    one = figure("t", [line("a", [1], [2])], x=X, y=Y)
    two = figure("t", [line("a", [1], [2]), line("b", [1], [2])], x=X, y=Y)
    hidden = figure("t", [line("a", [1], [2]), line("b", [1], [2], showlegend=False)], x=X, y=Y)

    assert [f.layout["showlegend"] for f in (one, two, hidden)] == [False, True, False]


def test_ends_of_a_logarithmic_axis_are_exponents() -> None:
    found = figure("t", [], x=Axis(title="ms", kind="log", low=1, high=1000), y=Y)

    axis = found.layout["xaxis"]
    assert isinstance(axis, dict)
    assert axis["range"] == [0, 3]


def test_axis_that_begins_at_zero_leaves_its_end_to_the_data() -> None:
    found = figure("t", [], x=X, y=Axis(title="ms", low=0))

    axis = found.layout["yaxis"]
    assert isinstance(axis, dict)
    assert axis["rangemode"] == "tozero"
    assert "range" not in axis


def test_error_bar_without_an_end_is_not_drawn_there() -> None:
    found = interval([5.0, 5.0], [4.0, None], [7.0, None])

    assert found["array"] == [2.0, None]
    assert found["arrayminus"] == [1.0, None]


def test_names_are_shown_as_they_are_and_not_as_html() -> None:
    assert line("<b>&", [1], [2])["name"] == "&lt;b>&amp;"
    assert bars("n", ["<i>"], [1])["x"] == ["&lt;i>"]


@pytest.mark.parametrize(("value", "kept"), [(1.23456789, 1.23457), (123456789.0, 123457000.0)])
def test_values_are_kept_to_six_digits(value: float, kept: float) -> None:
    assert line("a", [value], [None])["x"] == [kept]
    assert line("a", [value], [None])["y"] == [None]


def test_line_across_and_line_upright_run_over_the_whole_chart() -> None:
    across, _ = limit_line(5, "limit")
    upright, _ = limit_line(5, "limit", upright=True)

    assert (across["y0"], across["y1"], across["xref"]) == (5, 5, "paper")
    assert (upright["x0"], upright["x1"], upright["yref"]) == (5, 5, "paper")
