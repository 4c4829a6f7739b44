"""Runs and plans as a sweep makes them, with numbers that are easy to reckon with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from replicore.bench.load.arrivals import Load
from replicore.bench.load.workload import Lengths, Workload
from replicore.bench.record import BenchResult, RequestRecord
from replicore.bench.stats.summary import Objectives, Rate
from replicore.bench.sweep.entries import Failed, Latencies, Run
from replicore.bench.sweep.findings import Findings, find
from replicore.bench.sweep.plan import SweepPlan, arms_of, parse_layouts

STARTED = "2026-11-23T08:00:00+00:00"


def plan(
    layouts: str = "2x1,1x2",
    concurrencies: Sequence[int] = (4,),
    *,
    repeats: int = 3,
    scaling: bool = False,
) -> SweepPlan:
    arms = arms_of(parse_layouts(layouts), concurrencies, scaling=scaling)
    return SweepPlan(arms=arms, repeats=repeats, requests=20, seed=7)


def run(
    layout: str = "2x1",
    rate: float | None = 100.0,
    *,
    concurrency: int = 4,
    repeat: int = 0,
    ttft_s: Sequence[float | None] = (0.1,) * 20,
    tpot_s: Sequence[float | None] = (0.01,) * 20,
    slots: int = 8,
    verdict: str = "VALID",
    errors: Mapping[str, int] | None = None,
    simulated: bool = False,
    restarts: int = 0,
) -> Run:
    replicas, tp = (int(part) for part in layout.split("x")[:2])
    ranges = [range(index * tp, (index + 1) * tp) for index in range(replicas)]
    found = None if rate is None else Rate(value=rate)
    return Run(
        layout=layout,
        concurrency=concurrency,
        repeat=repeat,
        seed=1,
        slots=slots,
        cores=tuple(",".join(map(str, cores)) for cores in ranges),
        ready_s=0.5,
        started_at=STARTED,
        duration_s=10.0,
        file=f"runs/{layout}-c{concurrency}-r{repeat + 1}.json",
        simulated=simulated,
        verdict=verdict,
        reasons=("the client was slow",) if verdict != "VALID" else (),
        restarts=restarts,
        requests=len(ttft_s),
        errors=dict(errors or {}),
        output_tokens_per_s=found,
        total_tokens_per_s=found,
        requests_per_s=found,
        latencies=Latencies(ttft_s=tuple(ttft_s), tpot_s=tuple(tpot_s), e2e_s=tuple(ttft_s)),
    )


def answered(requests: int, *, concurrency: int = 1, seed: int = 0) -> BenchResult:
    """Return a run that answered its requests one after the other, in a second each."""
    records = tuple(
        RequestRecord(
            index=index,
            endpoint="http://127.0.0.1:1",
            replica="r0",
            input_tokens_asked=10,
            output_tokens_asked=2,
            intended_s=float(index),
            dispatched_s=float(index),
            ended_s=index + 1.0,
            chunk_times_s=(index + 0.25, index + 0.5),
            chunk_tokens=(1.0, 1.0),
            input_tokens=10,
            output_tokens=2,
            status=200,
        )
        for index in range(requests)
    )
    return BenchResult(
        endpoints=("http://127.0.0.1:1",),
        model="tiny",
        workload=Workload(input_tokens=Lengths(10), output_tokens=Lengths(2), seed=seed),
        load=Load(concurrency=concurrency),
        requests=requests,
        simulated=False,
        exact_prompts=True,
        started_at=STARTED,
        interrupted=False,
        warmup=(),
        records=records,
    )


def repeats(layout: str, rates: Sequence[float], **fields: Any) -> list[Run]:
    """Return a run of the layout for each rate, one in each repeat."""
    return [run(layout, rate, repeat=index, **fields) for index, rate in enumerate(rates)]


def findings(
    runs: Iterable[Run],
    *,
    of: SweepPlan | None = None,
    slo: Objectives | None = None,
    failed: Sequence[Failed] = (),
) -> Findings:
    return find(
        of or plan(),
        name="test",
        started_at=STARTED,
        conditions={"model.source": "tiny"},
        slo=slo or Objectives(),
        runs={one.point: one for one in runs},
        failed={one.layout: one for one in failed},
    )
