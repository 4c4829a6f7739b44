"""The page of a comparison."""

from __future__ import annotations

import json
import re

from replicore.bench.compare.comparison import compare
from replicore.bench.compare.meaning import STREAM_END, Metric
from replicore.bench.compare.page import page
from tests.unit.bench.compare.runs import latencies, rate, reading, run

FIRST = run({Metric.TTFT: reading(latencies(0.2)), Metric.OUTPUT_RATE: rate(10.0, 9.0, 11.0)})
SECOND = run(
    {
        Metric.TTFT: reading(latencies(0.1, seed=2), STREAM_END),
        Metric.OUTPUT_RATE: rate(5.0, 4.9, 5.1),
    }
)


def charts(text: str) -> list[dict[str, object]]:
    found = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    return [json.loads(data) for data in found]


def test_page_has_the_numbers_the_fields_the_notes_and_the_command() -> None:
    text = page(compare([FIRST, SECOND]), command="replicore compare a b")

    assert "<h1>Comparison of 2 runs</h1>" in text
    assert "B against A: better in TTFT (mean, p50, p99)" in text
    assert "nearly [1]" in text
    assert f"[1] B {STREAM_END.says}" in text
    assert "replicore compare a b" in text


def test_page_charts_a_ratio_for_each_line_with_an_interval() -> None:
    (chart,) = charts(page(compare([FIRST, SECOND]), command=""))

    traces = chart["data"]
    assert isinstance(traces, list)
    found = {trace["name"]: trace for trace in traces}
    assert list(found) == ["better", "worse"]
    assert len(found["better"]["x"]) == 3
    assert found["worse"]["x"] == [0.5]
    assert found["worse"]["error_x"]["array"][0] > 0


def test_page_without_ratios_has_no_chart() -> None:
    opened = run(FIRST.readings, closed=False)
    text = page(compare([FIRST, opened]), command="")

    assert charts(text) == []
    assert "not compared: A is a closed loop" in text


def test_names_of_files_are_text_and_no_markup() -> None:
    text = page(compare([FIRST, SECOND]), command="compare '<script>alert(1)</script>'")

    assert "<script>alert" not in text
