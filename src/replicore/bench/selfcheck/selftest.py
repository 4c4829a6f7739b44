"""What this client measures of the mock, load by load: its own errors, next to the mock's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np

from replicore.bench.client.run import Run, send_sessions
from replicore.bench.load.arrivals import Constant, Load
from replicore.bench.load.bodies import route
from replicore.bench.load.jobs import Session
from replicore.bench.load.workload import Api
from replicore.bench.record import RequestRecord
from replicore.bench.selfcheck.against_mock import Found, found_in, mock_sessions, truth_of
from replicore.bench.selfcheck.meter import Meter
from replicore.bench.selfcheck.mock.account import Report
from replicore.bench.selfcheck.mock.child import Mock, running_mock
from replicore.bench.selfcheck.mock.server import Plan
from replicore.errors import ReplicoreError

PLAN = Plan(ttft_s=0.05, itl_s=0.01, tokens=100)
INPUT_TOKENS = 100
RATE_PER_S = 1000.0

# Waves of requests; at 1 stream, five requests have five hundred gaps.
_WAVES = 3
_LEAST_REQUESTS = 5
_PACED_S = 3.0
_TURNS = 101
_TURNS_IN_FLIGHT = 8
_TIMEOUT_S = 60.0

# A mock whose tokens are this late, at p99, does not hold the load.
_HELD_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsRow:
    """The client at one number of streams.

    Attributes:
        asked: Requests sent; ``mock.streams`` is what arrived.
        found: What was measured, less what the mock sent.
        cpu_cores: CPU time of all client processes over the time of the run, in cores.
        mock: What the mock saw, and how late it was itself.
    """

    streams: int
    asked: int
    found: Found
    cpu_cores: float
    mock: Report

    @property
    def held(self) -> bool:
        """Whether the mock kept its own plan: beyond that the load is another than was asked."""
        return self.mock.late.p99_s < _HELD_S


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceRow:
    """The client in an open loop at a constant rate.

    Attributes:
        send_delay_p99_s: From when a request should leave until its last byte did.
        achieved_share: Rate that was sent over the one that was asked for.
    """

    rate_per_s: float
    asked: int
    arrived: int
    distinct: int
    send_delay_p50_s: float
    send_delay_p99_s: float
    achieved_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsRow:
    """Round robin over two mocks: how many requests each of them got."""

    asked: int
    arrived: tuple[int, ...]


async def measure_streams(streams: int, *, processes: int = 1) -> StreamsRow:
    """Hold so many streams of the mock, for a few seconds.

    Raises:
        ReplicoreError: The mock does not start, or answers nothing.
    """
    sessions = _sessions(max(_LEAST_REQUESTS, _WAVES * streams))
    async with running_mock(PLAN) as mock:
        run = await _send([mock], sessions, Load(concurrency=streams), processes=processes)
        report = await mock.report(in_flight=streams)
    found = found_in(run.records, truth_of(report))
    if found is None:
        raise ReplicoreError(
            f"the mock answered none of {len(sessions)} requests: {_why(run.records)}"
        )
    return StreamsRow(
        streams=streams,
        asked=len(sessions),
        found=found,
        cpu_cores=_cpu_cores(run),
        mock=report,
    )


async def measure_pace(rate_per_s: float = RATE_PER_S, *, processes: int = 1) -> PaceRow:
    """Send requests of one token at a constant rate, for a few seconds.

    Raises:
        ReplicoreError: The mock does not start, or answers nothing.
    """
    requests = round(rate_per_s * _PACED_S)
    sessions = [
        Session(index=session.index, jobs=session.jobs, at_s=session.index / rate_per_s)
        for session in _sessions(requests, output_tokens=1)
    ]
    load = Load(concurrency=None, arrivals=Constant(rate_per_s))
    async with running_mock(PLAN) as mock:
        run = await _send([mock], sessions, load, processes=processes)
        report = await mock.report()
    sent = [r for r in run.records if r.written_s is not None]
    if len(sent) < 2:
        raise ReplicoreError(f"none of {requests} requests was sent: {_why(run.records)}")
    p50, p99 = np.percentile([(r.written_s or 0.0) - r.intended_s for r in sent], [50, 99])
    left = sorted(record.dispatched_s for record in sent)
    return PaceRow(
        rate_per_s=rate_per_s,
        asked=requests,
        arrived=report.streams,
        distinct=report.distinct,
        send_delay_p50_s=float(p50),
        send_delay_p99_s=float(p99),
        achieved_share=(len(left) - 1) / (left[-1] - left[0]) / rate_per_s,
    )


async def measure_turns(*, processes: int = 1) -> TurnsRow:
    """Send an odd number of requests to two mocks in turn.

    Raises:
        ReplicoreError: A mock does not start.
    """
    async with AsyncExitStack() as stack:
        mocks = [await stack.enter_async_context(running_mock(PLAN)) for _ in range(2)]
        await _send(
            mocks,
            _sessions(_TURNS, output_tokens=2),
            Load(concurrency=_TURNS_IN_FLIGHT),
            dispatch="round_robin",
            processes=processes,
        )
        reports = await asyncio.gather(*(mock.report() for mock in mocks))
    return TurnsRow(asked=_TURNS, arrived=tuple(report.streams for report in reports))


def _sessions(requests: int, *, output_tokens: int = PLAN.tokens) -> list[Session]:
    return mock_sessions(
        Api.COMPLETIONS,
        requests=requests,
        input_tokens=INPUT_TOKENS,
        output_tokens=output_tokens,
    )


async def _send(
    mocks: Sequence[Mock],
    sessions: Sequence[Session],
    load: Load,
    *,
    dispatch: str = "least_in_flight",
    processes: int,
) -> Run:
    return await send_sessions(
        [mock.url for mock in mocks],
        sessions,
        path=route(Api.COMPLETIONS),
        load=load,
        dispatch=dispatch,
        timeout=_TIMEOUT_S,
        processes=processes,
        meter=Meter,
    )


def _cpu_cores(run: Run) -> float:
    """Return the CPU time over the wall time, of all processes together.

    Seconds of one process are told apart by their start, so the sum of mean shares is enough.
    """
    shares: dict[int, list[float]] = {}
    for second in run.client:
        shares.setdefault(second.worker, []).append(second.cpu_share)
    return sum(sum(of_worker) / len(of_worker) for of_worker in shares.values())


def _why(records: Sequence[RequestRecord]) -> str:
    failed = next((record.failure for record in records if record.failure is not None), None)
    return failed.message if failed is not None else "no request was made"
