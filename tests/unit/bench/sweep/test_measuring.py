"""The file of a run's record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replicore.bench.selfcheck.verdict import judge
from replicore.bench.stats.summary import summarize
from replicore.bench.sweep.measuring import RunFiles
from replicore.bench.sweep.plan import Point
from replicore.bench.sweep.runner import Outcome
from replicore.errors import ReplicoreError
from tests.unit.bench.sweep.made import answered

POINT = Point("2x1", 8, 0)


def outcome() -> Outcome:
    result = answered(4)
    summary = summarize(result)
    return Outcome(result=result, summary=summary, verdict=judge(result, summary))


def test_run_is_written_as_bench_writes_it(tmp_path: Path) -> None:
    files = RunFiles(folder=tmp_path, name="laptop", command=["replicore", "sweep"])
    file = files.keep(POINT, outcome())
    read = json.loads((tmp_path / file).read_bytes())

    assert file == "runs/2x1-c8-r1.json"
    assert (read["name"], read["command"]) == ("laptop 2x1", ["replicore", "sweep"])
    assert (len(read["records"]), read["verdict"]["kind"]) == (4, outcome().verdict.kind.value)


def test_run_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_bytes(b"")
    files = RunFiles(folder=tmp_path, name="laptop", command=[])

    with pytest.raises(ReplicoreError, match=r"2x1-c8-r1\.json: cannot be written"):
        files.keep(POINT, outcome())
