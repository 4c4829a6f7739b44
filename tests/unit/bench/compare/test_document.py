"""The JSON document of a comparison."""

from __future__ import annotations

import json
from typing import Any

import pytest

from replicore.bench.compare.comparison import compare
from replicore.bench.compare.document import document
from replicore.bench.compare.meaning import STREAM_END, Metric
from tests.unit.bench.compare.runs import latencies, reading, run

FIRST = run({Metric.TTFT: reading(latencies(0.2))}, succeeded=1000)
SECOND = run({Metric.TTFT: reading(latencies(0.1, seed=2), STREAM_END)}, notes=["a note"])


@pytest.fixture(name="found", scope="module")
def parsed_document() -> Any:
    return json.loads(document(compare([FIRST, SECOND]), command=["replicore", "compare"]))


def test_document_has_its_schema_and_command(found: Any) -> None:
    assert found["schema"] == "replicore-compare/1"
    assert found["command"] == ["replicore", "compare"]
    assert found["metrics"]["ttft_s"] == "t₁ − s"


def test_document_has_each_run_with_its_fields(found: Any) -> None:
    assert list(found["runs"]) == ["A", "B"]
    assert found["runs"]["A"]["conditions"]["succeeded"] == 1000
    assert found["runs"]["B"]["notes"] == ["a note"]
    field = found["runs"]["B"]["metrics"]["ttft_s"]
    assert (field["field"], field["values"]) == ("field", 1000)
    assert field["departures"] == [STREAM_END.says]
    assert set(field["statistics"]) == {"mean", "p50", "p90", "p95", "p99"}


def test_document_has_each_ratio_with_its_interval(found: Any) -> None:
    (pair,) = found["pairs"]
    metric = pair["metrics"]["ttft_s"]

    assert (pair["first"], pair["second"], pair["paired"]) == ("A", "B", False)
    assert metric["means_the_same"] == "nearly"
    assert metric["reasons"] == [f"B {STREAM_END.says}"]
    p50 = metric["statistics"]["p50"]
    assert p50["interval"]["low"] < p50["ratio"] < p50["interval"]["high"]
    assert p50["interval"]["improvement"] == 1.0
    assert p50["clear"] is True


def test_document_has_what_forbids_ratios() -> None:
    opened = run(FIRST.readings, closed=False)
    found = json.loads(document(compare([FIRST, opened]), command=[]))
    (pair,) = found["pairs"]

    assert pair["obstacles"][0]["because"].startswith("A is a closed loop")
    assert pair["metrics"]["ttft_s"]["statistics"]["p50"]["interval"] is None
