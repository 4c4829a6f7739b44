"""A small machine, a model on it, and runs on it, with numbers that are easy to reckon with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replicore.bench.stats.objectives import Objectives
from replicore.bench.sweep.cells import Cell, cells_of
from replicore.bench.sweep.entries import Run
from replicore.bench.sweep.plan import SweepPlan
from replicore.hardware.devices import devices
from replicore.models.anatomy import Anatomy
from replicore.planner.memory.rank import RankMemory
from replicore.planner.plan import Outcome
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.question import Cores, Degree, Lengths, Load, Question, Slo
from replicore.planner.sheet import OwnCores
from replicore.planner.step.precision import Precision
from replicore.tune.belief import Problem
from replicore.tune.layouts import sweep_plan
from replicore.units import GIB
from tests.unit.bench.sweep.made import run

CORE = devices()["h100"]
ANATOMY = Anatomy(
    layers=32, hidden=4096, heads=32, kv_heads=8, head_dim=128, vocab=128256, intermediate=14336
)
CORES = 4
SIZES = ("4x1x8", "2x2x8", "1x4x8")


def question(*, slo: Slo | None = None, batch_sizes: Sequence[int] = (8,)) -> Question:
    """Return a question about four cores: 4x1, 2x2, 1x4 and those that leave some idle."""
    return Question(
        name="default",
        model="llama-8b",
        engine="vllm",
        anatomy=ANATOMY,
        precision=Precision(),
        cores=Cores(machine="4 x H100", count=CORES, sheet=OwnCores(core=CORE, count=CORES)),
        degrees=tuple(Degree(tp=tp, replicas=CORES // tp) for tp in (1, 2, 4)),
        memory=_memory,
        max_model_len=4096,
        input_tokens=Lengths(mean=1024),
        output_tokens=Lengths(mean=256),
        batch_sizes=tuple(batch_sizes),
        slo=slo or Slo(),
        load=Load(),
        # So small that one run is not enough.
        risk=1e-6,
    )


def _memory(
    *, replicas: int, tp: int, batch_size: int, max_model_len: int
) -> tuple[RankMemory, str]:
    kv = batch_size * GIB // tp
    found = RankMemory(
        capacity=79 * GIB,
        weights=16 * GIB // tp,
        kv=kv,
        kv_per_token=131_072 // tp,
        activation=2 * GIB,
        overhead=GIB,
    )
    return found, ""


def problem(sizes: Sequence[str] = SIZES, *, slo: Slo | None = None) -> Problem:
    """Return a problem of which nothing was ever measured."""
    return Problem(question=question(slo=slo), start=uncalibrated(), sizes=frozenset(sizes))


def outcomes(found: Problem) -> list[Outcome]:
    return [one for one in found.outcomes() if one.size in found.sizes]


def plan_of(found: Problem) -> SweepPlan:
    return sweep_plan(outcomes(found), concurrency=None, requests=20, per_place=1, seed=7)


def run_of(
    size: str, rate: float = 100.0, *, ttft_s: float = 0.1, tpot_s: float = 0.01, **more: Any
) -> Run:
    """Return a run of a layout with all of its slots taken, all requests alike."""
    replicas, _, batch_size = (int(part) for part in size.split("x"))
    return run(
        size,
        rate,
        concurrency=replicas * batch_size,
        ttft_s=(ttft_s,) * 20,
        tpot_s=(tpot_s,) * 20,
        **more,
    )


def cells(found: Problem, runs: Sequence[Run], slo: Objectives | None = None) -> tuple[Cell, ...]:
    return cells_of(plan_of(found), runs, slo or Objectives())
