"""A benchmark run from its numbers to its records: find the server, prepare the load, send it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Unpack

from replicore.bench.client.plan import Plan, Sending
from replicore.bench.client.run import Run, send_sessions
from replicore.bench.client.tick import Progress
from replicore.bench.load.arrivals import Load
from replicore.bench.load.jobs import Session
from replicore.bench.load.prepare import prepare
from replicore.bench.load.server import find_server
from replicore.bench.load.workload import Workload
from replicore.bench.record import BenchResult
from replicore.bench.selfcheck.calibration import calibrate as measure_client
from replicore.bench.selfcheck.meter import Meter
from replicore.bench.selfcheck.scrape import Scraper
from replicore.errors import ConfigError
from replicore.http.endpoint import parse_endpoint


async def run_sessions(
    endpoints: Sequence[str],
    sessions: Iterable[Session],
    *,
    path: str,
    load: Load,
    processes: int = 1,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
    meter: bool = True,
    scrape: bool = True,
    **sending: Unpack[Sending],
) -> Run:
    """Send sessions as :func:`~replicore.bench.client.run.send_sessions` does, and watch.

    Args:
        meter: Watch the client's own processes.
        scrape: Ask the endpoints for their metrics once a second.

    Raises:
        ConfigError: A number out of range, an unknown policy, or not a URL.
        ReplicoreError: A client process does not start.
    """
    scraper = partial(Scraper, headers=tuple(sending.get("headers", ())))
    return await send_sessions(
        endpoints,
        sessions,
        path=path,
        load=load,
        processes=processes,
        progress=progress,
        stop=stop,
        meter=Meter if meter else None,
        scraper=scraper if scrape else None,
        **sending,
    )


async def run_bench(
    urls: Sequence[str],
    workload: Workload,
    *,
    load: Load | None = None,
    concurrency: int | None = None,
    requests: int | None = None,
    model: str | None = None,
    warmup: int | None = None,
    api_key: str | None = None,
    processes: int = 1,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
    calibrate: bool = False,
    **sending: Unpack[Sending],
) -> BenchResult:
    """Send requests and return a record of each; one that fails is never sent again.

    Args:
        urls: Servers under test: a gateway, or replicas.
        load: When requests are sent; ``concurrency=4`` is short for a closed loop of four.
        requests: How many are measured; None for those of ``duration_s``, or all of a trace.
        model: Name to ask for; None takes the first that the server lists.
        warmup: Requests sent before the measured ones without a pause; None means as many as are
            kept in flight.
        stop: When set, the run ends at once with what it has, marked as interrupted.
        calibrate: Measure this client against a mock at the load of the run, afterwards.
        sending: See :class:`~replicore.bench.client.plan.Plan`.

    Raises:
        ConfigError: A number out of range, or not a URL.
        UpstreamError: No server answers, or it cannot be given prompts of a known length.
    """
    load = load or Load(concurrency=concurrency)
    warmup = load.concurrency or 0 if warmup is None else warmup
    endpoints = tuple(parse_endpoint(url) for url in urls)
    _check(requests, warmup)
    # Its own checks, before any server is asked
    Plan(endpoints=endpoints, path="", concurrency=load.concurrency, processes=processes, **sending)
    headers = sending["headers"] = (*sending.get("headers", ()), *_authorization(api_key))
    endpoint, served = await find_server(endpoints, headers)
    prepared = await prepare(
        endpoint,
        model or served,
        workload,
        load,
        requests=requests,
        duration_s=sending.get("duration_s"),
        warmup=warmup,
        headers=headers,
    )
    result = BenchResult(
        endpoints=endpoints,
        model=model or served,
        workload=workload,
        load=load,
        dispatch=sending.get("dispatch", "least_in_flight"),
        requests=requests,
        exact_prompts=prepared.exact,
        started_at=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        simulated=False,
        interrupted=False,
        warmup=(),
        records=(),
    )
    run = await run_sessions(
        endpoints,
        prepared.sessions,
        path=prepared.path,
        load=load,
        processes=processes,
        progress=progress,
        stop=stop,
        **sending,
    )
    result = _filled(result, run)
    return replace(result, calibration=await measure_client(result)) if calibrate else result


def _filled(result: BenchResult, run: Run) -> BenchResult:
    return replace(
        result,
        simulated=run.simulated,
        interrupted=run.stopped,
        processes=run.processes,
        warmup=run.warmup,
        records=run.records,
        client=run.client,
        servers=run.servers,
    )


def _check(requests: int | None, warmup: int) -> None:
    if requests is not None and requests < 1:
        raise ConfigError(f"requests: {requests} is below 1")
    if warmup < 0:
        raise ConfigError(f"warmup: {warmup} is below 0")


def _authorization(api_key: str | None) -> tuple[tuple[bytes, bytes], ...]:
    return () if api_key is None else ((b"authorization", b"Bearer " + api_key.encode()),)
