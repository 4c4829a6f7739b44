"""From what a tool wrote to its errors: measured less what the mock sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.bench_accuracy.tools import CHUNK_GAPS, OURS, Fields, Tool
from replicore.bench.record import RequestRecord
from replicore.bench.selfcheck import against_mock
from replicore.bench.selfcheck.against_mock import Truth, found_in
from replicore.bench.selfcheck.mock.server import Plan


class NoResult(Exception):
    """Raised for a tool that left no numbers; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Measured less true, in milliseconds."""

    ttft_p50_ms: float
    ttft_p99_ms: float
    itl_p99_ms: float


def read_errors(tool: Tool, folder: Path, truth: Truth, plan: Plan) -> dict[str, Errors]:
    """Return a tool's errors by the name of their row; ours has two rows.

    Raises:
        NoResult: It wrote none, or none that we can read.
    """
    found = sorted(folder.glob(tool.result))
    if not found:
        raise NoResult("it left no result file")
    if tool.fields is None:
        return _ours(found[0], truth)
    return {tool.name: _theirs(found[0], tool.fields, truth, plan)}


def _theirs(path: Path, fields: Fields, truth: Truth, plan: Plan) -> Errors:
    document = json.loads(path.read_bytes())
    # What a tool has of other quantities is compared with the plan: nobody knows what was sent.
    itl_s = truth.gap_p99_s if fields.itl_of == CHUNK_GAPS else plan.itl_s

    def error(keys: tuple[str | int, ...], true_s: float) -> float:
        found = document
        try:
            for key in keys:
                found = found[key]
            return (float(found) * fields.scale - true_s) * 1000
        except (KeyError, IndexError, TypeError, ValueError):
            where = ".".join(map(str, keys))
            raise NoResult(f"{path.name} has no number at {where}") from None

    return Errors(
        ttft_p50_ms=error(fields.ttft_p50, truth.ttft_p50_s),
        ttft_p99_ms=error(fields.ttft_p99, truth.ttft_p99_s),
        itl_p99_ms=error(fields.itl_p99, itl_s),
    )


def _ours(path: Path, truth: Truth) -> dict[str, Errors]:
    """Read every request by when its chunks were read, and by the kernel's stamps, as we do."""
    lines = path.read_bytes().splitlines()
    records = [msgspec.json.decode(line, type=RequestRecord) for line in lines]
    found = found_in(records, truth)
    if found is None:
        raise NoResult("no request succeeded")
    rows = {f"{OURS}, as read": _errors(found.read)}
    return rows if found.stamped is None else {OURS: _errors(found.stamped), **rows}


def _errors(errors: against_mock.Errors) -> Errors:
    return Errors(
        ttft_p50_ms=errors.ttft_s * 1000,
        ttft_p99_ms=errors.ttft_p99_s * 1000,
        itl_p99_ms=errors.gap_p99_s * 1000,
    )
