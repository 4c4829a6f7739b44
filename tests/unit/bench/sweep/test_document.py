"""A sweep as one JSON document."""

from __future__ import annotations

from typing import Any

import msgspec

from replicore.bench.sweep.document import sweep_document
from replicore.bench.sweep.entries import Failed
from replicore.bench.sweep.findings import Findings
from tests.unit.bench.sweep.made import findings, plan, repeats

RUNS = repeats("2x1", [150, 151, 149]) + repeats("1x2", [100, 101, 99])


def document(found: Findings) -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode(
        sweep_document(found, command=["replicore", "sweep"])
    )
    return read


def test_document_names_schema_command_plan_and_winner() -> None:
    read = document(findings(RUNS))

    assert (read["schema"], read["command"]) == ("replicore-sweep/1", ["replicore", "sweep"])
    assert read["plan"]["layouts"] == ["2x1", "1x2"]
    assert (read["winner"]["layout"], read["winner"]["clear"]) == ("2x1", True)
    assert read["verdict"].startswith("best: 2x1")


def test_document_has_a_cell_for_each_layout_and_load() -> None:
    first, second = document(findings(RUNS))["cells"]

    assert (first["layout"], first["concurrency"], first["rates"]) == (
        "2x1",
        4,
        {"0": 150, "1": 151, "2": 149},
    )
    assert first["output_tokens_per_s_per_core"] == 75
    assert (first["pareto_front"], second["pareto_front"]) == (True, False)


def test_document_names_the_file_of_every_run_without_its_latencies() -> None:
    runs = document(findings(RUNS))["runs"]

    assert [run["file"] for run in runs] == [run.file for run in RUNS]
    assert "latencies" not in runs[0]


def test_document_of_nothing_tells_what_failed_and_what_is_missing() -> None:
    failed = [Failed(layout="2x1", repeat=0, message="r0 exited")]
    read = document(findings([], of=plan(repeats=2), failed=failed))

    assert (read["winner"], read["cells"]) == (None, [])
    assert (read["failed"], read["missing_runs"]) == ({"2x1": "r0 exited"}, 2)


def test_document_leaves_baselines_out_of_the_layouts() -> None:
    read = document(findings(repeats("2x1", [1, 2, 3], concurrency=8), of=plan(scaling=True)))

    assert read["plan"]["layouts"] == ["2x1", "1x2"]
