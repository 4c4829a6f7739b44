"""Hand-made runs for the tests of reports, with every kind of number in them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console, RenderableType

from replicore.bench.load.arrivals import Load
from replicore.bench.load.lengths import Lengths
from replicore.bench.load.workload import Workload
from replicore.bench.record import (
    BenchResult,
    Calibration,
    ClientSecond,
    Failure,
    FailureKind,
    RequestRecord,
    ServerSample,
)
from replicore.bench.selfcheck.verdict import Kind, Verdict
from replicore.bench.stats.client import ClientSummary
from replicore.bench.stats.objectives import Objectives
from replicore.bench.stats.quantiles import Distribution, Quantile
from replicore.bench.stats.rates import Rate
from replicore.bench.stats.rows import Row
from replicore.bench.stats.summary import Summary
from replicore.bench.stats.window import Window

VALID = Verdict(
    kind=Kind.VALID,
    reasons=("chunks were read 0.20 ms after they came (p99)",),
    numbers={"read_lag_p99_s": 0.0002, "full_share": 0.998, "requests": 200.0},
)
NOTHING = Distribution(n=0)


def record(index: int = 0, replica: str = "r0", **fields: Any) -> RequestRecord:
    """A request of 10 tokens in and 3 out: TTFT 250 ms, TPOT 50 ms, E2E 0.35 s."""
    start = float(index)
    values: dict[str, Any] = {
        "index": index,
        "endpoint": "http://127.0.0.1:8000",
        "replica": replica,
        "input_tokens_asked": 10,
        "output_tokens_asked": 3,
        "intended_s": start,
        "dispatched_s": start,
        "ended_s": start + 1,
        "chunk_times_s": (start + 0.25, start + 0.3, start + 0.35),
        "chunk_tokens": (1.0, 1.0, 1.0),
        "input_tokens": 10,
        "output_tokens": 3,
        "status": 200,
    }
    return RequestRecord(**(values | fields))


def run(*records: RequestRecord, **fields: Any) -> BenchResult:
    values: dict[str, Any] = {
        "endpoints": ("http://127.0.0.1:8000",),
        "model": "tiny",
        "workload": Workload(input_tokens=Lengths(10), output_tokens=Lengths(3, 1)),
        "requests": len(records),
        "load": Load(concurrency=1),
        "simulated": False,
        "exact_prompts": True,
        "started_at": "2026-11-23T08:00:00+00:00",
        "interrupted": False,
        "warmup": (),
        "records": records,
    }
    return BenchResult(**(values | fields))


def values(p50: float, p99: float | None, *, n: int = 200, low: float = 0.4) -> Distribution:
    """A distribution of which p99 is known to 10 %, or refused with a lower bound."""
    tail = Quantile(p=0.99, low=low)
    if p99 is not None:
        tail = Quantile(p=0.99, value=p99, low=p99 * 0.9, high=p99 * 1.1)
    middle = Quantile(p=0.5, value=p50, low=p50 * 0.9, high=p50 * 1.1)
    return Distribution(n=n, effective_n=n / 2, mean=p50, min=p50 / 2, quantiles=(middle, tail))


def row(name: str = "total", **fields: Any) -> Row:
    numbers: dict[str, Any] = {
        "name": name,
        "requests": 200,
        "succeeded": 200,
        "errors": 0,
        "unfinished": 0,
        "share": 1.0,
        "input_tokens": 2000,
        "output_tokens": 600,
        "cached_tokens": 0,
        "output_tokens_per_s": Rate(value=100.0, low=90.0, high=110.0),
        "total_tokens_per_s": Rate(value=400.0),
        "requests_per_s": Rate(value=33.3),
        "goodput_per_s": None,
        "attainment": None,
        "ttft_s": values(0.25, 0.5),
        "tpot_s": values(0.05, 0.06),
        "gap_s": values(0.05, 0.07),
        "e2e_s": values(0.35, 0.6),
        "ttft_dispatched_s": values(0.25, 0.5),
        "e2e_dispatched_s": values(0.35, 0.6),
        "normalized_s": values(0.12, 0.2),
        "user_rate_per_s": values(20.0, 22.0),
        "max_stall_s": values(0.06, 0.08),
        "fluidity": NOTHING,
    }
    return Row(**(numbers | fields))


def summary(total: Row | None = None, *replicas: Row, **fields: Any) -> Summary:
    total = total or row()
    numbers: dict[str, Any] = {
        "total": total,
        "replicas": replicas or (total,),
        "whole": total,
        "window": Window(start_s=1.0, end_s=9.0, steady=True),
        "duration_s": 10.0,
        "latency_from": "dispatched",
        "objectives": Objectives(),
        "imbalance": None,
        "jain": None,
        "little": None,
        "ttft_trend": None,
        "in_flight_trend": None,
        "client": ClientSummary(
            send_delay_p50_s=0.0001,
            send_delay_p99_s=0.001,
            read_lag_p99_s=0.0002,
            requested_rate_per_s=None,
            achieved_rate_per_s=33.3,
            full_share=0.998,
        ),
        "errors": {},
        "error_examples": {},
    }
    return Summary(**(numbers | fields))


def busy_run(*, seconds: float = 60.0, places: int = 8, replicas: int = 2) -> BenchResult:
    """A closed loop over several replicas, drawn from a fixed seed, one of them slower."""
    rng = np.random.default_rng(7)
    warmup: list[RequestRecord] = []
    records: list[RequestRecord] = []
    for place in range(places):
        time_s = 0.0
        while time_s < seconds:
            one = _drawn(rng, len(records), time_s, place % replicas)
            (records if time_s > 2 else warmup).append(one)
            time_s = one.ended_s + 0.0002
    records.sort(key=lambda one: one.dispatched_s)
    return run(
        *records,
        warmup=tuple(warmup),
        load=Load(concurrency=places),
        workload=Workload(input_tokens=Lengths(550, 150), output_tokens=Lengths(40, 10)),
        model="Qwen3-0.6B",
        client=_client(seconds),
        servers=_servers(seconds, replicas),
        calibration=Calibration(
            streams=places,
            chunks_per_s=310.0,
            ttft_error_s=0.0002,
            ttft_p99_error_s=0.0006,
            gap_p99_error_s=0.0003,
            stamped=True,
        ),
    )


def _drawn(rng: np.random.Generator, index: int, start: float, replica: int) -> RequestRecord:
    tokens = max(2, round(float(rng.normal(40, 10))))
    first = start + 0.2 * float(rng.lognormal(0, 0.4)) * (1 + 0.3 * replica)
    gaps = 0.02 * rng.lognormal(0, 0.25, tokens - 1) * (1 + 0.15 * replica)
    times = tuple((first + np.concatenate(([0.0], np.cumsum(gaps)))).tolist())
    fields: dict[str, Any] = {
        "dispatched_s": start,
        "intended_s": start,
        "written_s": start + 0.0002,
        "ended_s": times[-1] + 0.001,
        "chunk_times_s": times,
        "chunk_lags_s": (0.0001,) * tokens,
        "chunk_tokens": (1.0,) * tokens,
        "output_tokens": tokens,
        "output_tokens_asked": tokens,
    }
    if index % 37 == 36:
        failure = Failure(FailureKind.HTTP, "status 503: no replica has room <now>")
        lost = {"chunk_times_s": (), "chunk_lags_s": (), "chunk_tokens": (), "output_tokens": None}
        fields |= lost | {"failure": failure, "status": 503, "ended_s": start + 0.05}
    return record(index, f"replica-{replica}", **fields)


def _client(seconds: float) -> tuple[ClientSecond, ...]:
    return tuple(
        ClientSecond(
            worker=0,
            start_s=float(second),
            loop_lag_s=0.0004 + 0.0002 * (second % 5),
            cpu_share=0.11 + 0.01 * (second % 3),
            run_queue_s=0.002,
            gc_s=0.0,
        )
        for second in range(int(seconds))
    )


def _servers(seconds: float, replicas: int) -> tuple[ServerSample, ...]:
    return tuple(
        ServerSample(
            replica=f"replica-{replica}",
            at_s=float(second),
            running=4.0 - (second + replica) % 2,
            waiting=float((second + replica) % 3),
            kv_usage=min(0.8, 0.02 * second),
        )
        for second in range(int(seconds))
        for replica in range(replicas)
    )


def printed(*renderables: RenderableType, width: int = 120) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width)
    for renderable in renderables:
        console.print(renderable)
    return file.getvalue()


def cells(text: str) -> dict[str, Sequence[str]]:
    """Return the cells of a printed table by their row's name; lines without one are left out."""
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines()]
    return {line[0]: line[1:] for line in lines if line and line[0]}


def drawable(value: Any) -> Any:
    """Return a figure with colours in place of their names, as the page makes it before drawing."""
    match value:
        case str() if value.startswith("--"):
            return "#000000"
        case dict():
            return {key: drawable(inner) for key, inner in value.items()}
        case list() | tuple():
            return [drawable(inner) for inner in value]
    return value
