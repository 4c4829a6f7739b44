"""What this client measures of a server whose answers are known, at the load of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replicore.bench.client.run import send_sessions
from replicore.bench.load.arrivals import Load
from replicore.bench.load.bodies import route
from replicore.bench.record import BenchResult, Calibration, RequestRecord
from replicore.bench.selfcheck.against_mock import Found, found_in, mock_sessions, truth_of
from replicore.bench.selfcheck.mock.child import running_mock
from replicore.bench.selfcheck.mock.server import Plan

_WAVES = 2
_WAVE_S = 1.0
_TTFT_S = 0.05
_MOST_CHUNKS = 1000
_TIMEOUT_S = 30.0


async def calibrate(result: BenchResult) -> Calibration | None:
    """Return the client's own errors at this run's load; takes two to three seconds.

    The mock gets as many streams as the run had in flight, chunks at its rate, prompts of its
    size, from as many client processes. It shares the machine with the client, as the servers may
    not, so the errors are at most what is returned.

    Returns:
        None where the run has no chunks, so no load that could be repeated.

    Raises:
        ReplicoreError: The mock does not start.
    """
    shape = shape_of(result)
    if shape is None:
        return None
    api = result.workload.api
    sessions = mock_sessions(
        api,
        requests=_WAVES * shape.streams,
        input_tokens=shape.input_tokens,
        output_tokens=shape.chunks,
    )
    async with running_mock(Plan(ttft_s=_TTFT_S, itl_s=shape.itl_s)) as mock:
        run = await send_sessions(
            [mock.url],
            sessions,
            path=route(api),
            load=Load(concurrency=shape.streams),
            timeout=_TIMEOUT_S,
            processes=result.processes,
        )
        truth = truth_of(await mock.report())
    found = found_in(run.records, truth)
    return None if found is None else _calibration(found, shape)


def _calibration(found: Found, shape: Shape) -> Calibration:
    return Calibration(
        streams=shape.streams,
        chunks_per_s=found.chunks_per_s,
        ttft_error_s=found.best.ttft_s,
        ttft_p99_error_s=found.best.ttft_p99_s,
        gap_p99_error_s=found.best.gap_p99_s,
        stamped=found.stamped is not None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What of a run's load its client notices.

    Attributes:
        streams: Most requests in flight.
        itl_s: Between two chunks of a stream, its wait for the first one spread over all.
        chunks: Of a stream that lasts about a second.
        input_tokens: Of a prompt, on average.
    """

    streams: int
    itl_s: float
    chunks: int
    input_tokens: int


def shape_of(result: BenchResult) -> Shape | None:
    """Return the load of a run; None where too little was answered to tell."""
    answered = [record for record in result.records if record.succeeded and record.chunk_times_s]
    if not answered:
        return None
    streams = _most_in_flight(result.records)
    first = min(record.dispatched_s for record in answered)
    last = max(record.chunk_times_s[-1] for record in answered)
    chunks = sum(len(record.chunk_times_s) for record in answered)
    itl_s = streams * (last - first) / chunks
    if not itl_s > 0:
        return None
    return Shape(
        streams=streams,
        itl_s=itl_s,
        chunks=min(max(2, 1 + round((_WAVE_S - _TTFT_S) / itl_s)), _MOST_CHUNKS),
        input_tokens=sum(r.input_tokens_asked for r in answered) // len(answered),
    )


def _most_in_flight(records: Sequence[RequestRecord]) -> int:
    """Return the largest number of requests that were on their way at once.

    One that ends when another begins has made room for it.
    """
    changes = [(record.dispatched_s, 1) for record in records]
    changes += [(record.ended_s, -1) for record in records]
    in_flight = most = 0
    for _, change in sorted(changes):
        in_flight += change
        most = max(most, in_flight)
    return most
