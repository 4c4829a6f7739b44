"""Hand-made records for the tests of the statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from replicore.bench.load.arrivals import Load
from replicore.bench.load.workload import Workload
from replicore.bench.record import BenchResult, Failure, FailureKind, RequestRecord
from replicore.bench.stats.arrays import Floats


def record(
    start: float = 0.0,
    chunks: tuple[float, ...] = (1.0, 2.0, 3.0),
    tokens: tuple[float, ...] | None = None,
    **fields: Any,
) -> RequestRecord:
    """A request whose chunks arrive at the given times, one token each unless told."""
    tokens = (1.0,) * len(chunks) if tokens is None else tokens
    values: dict[str, Any] = {
        "index": 0,
        "endpoint": "http://127.0.0.1:8000",
        "replica": "r0",
        "input_tokens_asked": 10,
        "output_tokens_asked": 3,
        "intended_s": start,
        "dispatched_s": start,
        "ended_s": chunks[-1] if chunks else start,
        "chunk_times_s": chunks,
        "chunk_tokens": tokens,
        "input_tokens": 10,
        "output_tokens": round(sum(tokens)),
        "status": 200,
    }
    return RequestRecord(**(values | fields))


def failed(kind: FailureKind = FailureKind.CONNECT, **fields: Any) -> RequestRecord:
    missing: dict[str, Any] = {"input_tokens": None, "output_tokens": None, "status": None}
    failure = {"failure": Failure(kind, "refused"), "chunks": ()}
    return record(**(missing | failure | fields))


def span(start: float, end: float, **fields: Any) -> RequestRecord:
    """A request in flight from start to end, with its first token in the middle."""
    return record(start, chunks=((start + end) / 2, end), **fields)


class Planned:
    """Arrivals for a load that is an open loop; the records say when they were."""

    limit = None

    def times(self, count: int, rng: np.random.Generator) -> Floats:
        raise NotImplementedError


OPEN = Load(concurrency=None, arrivals=Planned())


def run(
    *records: RequestRecord,
    concurrency: int = 1,
    load: Load | None = None,
    warmup: tuple[RequestRecord, ...] = (),
) -> BenchResult:
    return BenchResult(
        endpoints=("http://127.0.0.1:8000",),
        model="m",
        workload=Workload(),
        requests=len(records),
        load=load or Load(concurrency=concurrency),
        simulated=False,
        exact_prompts=True,
        started_at="2026-11-23T08:00:00+00:00",
        interrupted=False,
        warmup=warmup,
        records=records,
    )


def back_to_back(
    count: int, *, places: int = 1, length: float = 1.0, start: float = 0.0
) -> list[RequestRecord]:
    """``count`` requests for each place of a closed loop, one after the other."""
    return [
        span(start + number * length, start + (number + 1) * length, index=number * places + place)
        for number in range(count)
        for place in range(places)
    ]
