"""A sweep as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from replicore.bench.results import environment
from replicore.bench.sweep.cells import Cell
from replicore.bench.sweep.entries import Run
from replicore.bench.sweep.findings import Findings
from replicore.bench.sweep.said import headline, notes

SCHEMA = "replicore-sweep/1"


def sweep_document(found: Findings, *, command: Sequence[str]) -> bytes:
    """Return the document: what was found, and what it rests on; the runs are in their own files.

    Times are in seconds, rates per second; intervals are 95 %.
    """
    fields = {
        "schema": SCHEMA,
        "name": found.name,
        "command": list(command),
        "started_at": found.started_at,
        "environment": environment(),
        "conditions": found.conditions,
        "plan": {
            "layouts": [str(arm.layout) for arm in found.plan.arms if not arm.baseline],
            "repeats": found.plan.repeats,
            "requests": found.plan.requests,
            "seed": found.plan.seed,
        },
        "objectives": found.slo,
        "verdict": headline(found),
        "notes": notes(found),
        "winner": found.winner,
        "scaling": found.scalings,
        "cells": [_cell(cell, found) for cell in found.cells],
        "failed": {one.layout: one.message for one in found.failed},
        "missing_runs": found.missing,
        "runs": [_run(run) for run in found.runs],
    }
    return msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n"


def _cell(cell: Cell, found: Findings) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(cell, str_keys=True)
    return {
        **fields,
        "output_tokens_per_s_per_core": cell.rate / cell.cores,
        "meets_objectives": cell.meets,
        "pareto_front": cell in found.front,
    }


def _run(run: Run) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(run)
    del fields["entry"], fields["latencies"]
    return fields
