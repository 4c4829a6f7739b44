from __future__ import annotations

import pytest

from replicore.bench.load.arrivals import Load
from replicore.bench.load.workload import Workload
from replicore.bench.record import BenchResult, Failure, FailureKind, RequestRecord
from replicore.bench.selfcheck.calibration import shape_of


def record(
    start_s: float, end_s: float, *, chunks: int = 2, tokens: int = 100, ok: bool = True
) -> RequestRecord:
    """Return a request whose chunks come evenly, the last one at its end."""
    step = (end_s - start_s) / chunks
    return RequestRecord(
        index=0,
        endpoint="http://127.0.0.1:1",
        replica="127.0.0.1:1",
        input_tokens_asked=tokens,
        output_tokens_asked=chunks,
        intended_s=start_s,
        dispatched_s=start_s,
        ended_s=end_s,
        chunk_times_s=tuple(start_s + step * (i + 1) for i in range(chunks)),
        failure=None if ok else Failure(FailureKind.CUT, "cut"),
    )


def run(*records: RequestRecord) -> BenchResult:
    return BenchResult(
        endpoints=("http://127.0.0.1:1",),
        model="m",
        workload=Workload(),
        load=Load(concurrency=8),
        requests=len(records),
        simulated=False,
        exact_prompts=True,
        started_at="2026-01-01T00:00:00+00:00",
        interrupted=False,
        warmup=(),
        records=records,
    )


def test_shape_repeats_streams_chunk_rate_and_prompt_size_of_the_run() -> None:
    # Two streams for 4 s, 80 chunks in all: 20 a second, so each has one every 0.1 s.
    shape = shape_of(run(record(0, 4, chunks=40, tokens=10), record(0, 4, chunks=40, tokens=20)))

    assert shape is not None
    assert (shape.streams, shape.input_tokens) == (2, 15)
    assert shape.itl_s == pytest.approx(0.1)
    # 0.05 s to the first, then 0.95 s in steps of 0.1
    assert shape.chunks == 10


def test_request_that_begins_when_another_ends_takes_its_place() -> None:
    shape = shape_of(run(record(0, 2), record(2, 4), record(4, 6)))

    assert shape is not None
    assert shape.streams == 1


def test_failed_requests_are_in_flight_but_have_no_chunks() -> None:
    shape = shape_of(run(record(0, 2, chunks=20), record(0, 2, ok=False)))

    assert shape is not None
    assert (shape.streams, shape.chunks, shape.input_tokens) == (2, 6, 100)
    assert shape.itl_s == pytest.approx(0.2)


def test_slow_run_is_repeated_with_two_chunks_at_least() -> None:
    shape = shape_of(run(record(0, 60, chunks=2)))

    assert shape is not None
    assert shape.chunks == 2


def test_fast_run_is_repeated_with_a_thousand_chunks_at_most() -> None:
    shape = shape_of(run(record(0, 1, chunks=100_000)))

    assert shape is not None
    assert shape.chunks == 1000


def test_run_without_an_answer_has_no_shape() -> None:
    assert shape_of(run()) is None
    assert shape_of(run(record(0, 1, ok=False))) is None
