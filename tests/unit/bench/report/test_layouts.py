"""Layouts side by side."""

from __future__ import annotations

from replicore.bench.report.layouts import LayoutRow, best_layout, layouts_table, verdict
from replicore.bench.stats.summary import Rate
from tests.unit.bench.report.runs import printed, row, summary, values


def layout(name: str, rate: float, errors: int = 0) -> LayoutRow:
    total = row(output_tokens_per_s=Rate(value=rate), errors=errors, ttft_s=values(0.25, None))
    return LayoutRow(name, summary(total))


def test_layouts_table_names_the_better_layout_and_by_how_much() -> None:
    text = printed(layouts_table([layout("1 x 2 cores", 80.0), layout("2 x 1 core", 100.0)]))

    assert "better: 2 x 1 core, with 1.25 × the output tok/s of 1 x 2 cores" in text
    assert "80.0" in text
    assert "≥: too few requests" in text


def test_layouts_that_are_close_may_be_noise() -> None:
    said = verdict([layout("a", 100.0), layout("b", 110.0)])

    assert said.endswith("with 1.10 × the output tok/s of a; one run each, so that may be noise")


def test_layout_with_errors_is_not_better_than_one_without() -> None:
    rows = [layout("fast", 100.0, errors=1), layout("clean", 50.0)]

    assert verdict(rows) == "better: clean, with 0.50 × the output tok/s of fast"


def test_layout_that_answered_nothing_is_not_compared() -> None:
    assert verdict([layout("a", 0.0), layout("b", 5.0)]) == "better: b"
    assert best_layout([layout("a", 0.0)]) is None
    assert verdict([]) == "no layout answered"
