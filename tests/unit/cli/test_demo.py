from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.bench.load.arrivals import Load
from replicore.bench.load.workload import Lengths, Workload
from replicore.bench.record import BenchResult
from replicore.bench.report.layouts import LayoutRow
from replicore.bench.stats.summary import Summary, summarize
from replicore.cli.demo import check_answered, machine_line
from replicore.errors import ReplicoreError
from replicore.hardware.simulated import SimulatedHardware

UNANSWERED = summarize(
    BenchResult(
        endpoints=("http://127.0.0.1:8000",),
        model="tiny",
        workload=Workload(input_tokens=Lengths(10), output_tokens=Lengths(3)),
        requests=1,
        load=Load(concurrency=1),
        simulated=False,
        exact_prompts=True,
        started_at="2026-11-23T08:00:00+00:00",
        interrupted=False,
        warmup=(),
        records=(),
    )
)


def row(layout: str, *, succeeded: int) -> LayoutRow:
    summary: Summary = replace(UNANSWERED, total=replace(UNANSWERED.total, succeeded=succeeded))
    return LayoutRow(layout, summary)


def test_layout_without_an_answer_is_an_error_that_names_it() -> None:
    rows = [row("2 × 1 core", succeeded=0), row("1 × 2 cores", succeeded=1)]

    with pytest.raises(ReplicoreError, match="none of the requests to 2 × 1 core was answered"):
        check_answered(rows)


def test_layouts_with_an_answer_each_are_fine() -> None:
    check_answered([row("2 × 1 core", succeeded=1), row("1 × 2 cores", succeeded=2)])


def test_machine_line_has_name_cores_and_limits() -> None:
    machine = replace(SimulatedHardware(2).detect(), note="the CPU quota lets 1 be busy")

    assert machine_line(machine) == "simulated, 2 usable cores (0-1); the CPU quota lets 1 be busy"


def test_machine_line_without_limits_ends_with_the_cores() -> None:
    machine = replace(SimulatedHardware(1).detect(), note="")

    assert machine_line(machine) == "simulated, 1 usable core (0)"
