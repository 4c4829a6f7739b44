"""A benchmark run from its numbers to its records: find the server, make prompts, loop."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime

import msgspec

from replicore.bench.client.call import Target
from replicore.bench.client.closed_loop import ClosedLoop, Job, Progress
from replicore.bench.load.arrivals import Load
from replicore.bench.load.prompts import (
    find_server,
    prompt_fields,
    prompt_source,
    route,
)
from replicore.bench.load.workload import Draft, PromptSource, Workload
from replicore.bench.record import BenchResult, RequestRecord
from replicore.errors import ConfigError, UpstreamError
from replicore.http.client import Pool
from replicore.http.endpoint import parse_endpoint


async def run_bench(
    urls: Sequence[str],
    workload: Workload,
    *,
    requests: int,
    concurrency: int,
    model: str | None = None,
    warmup: int | None = None,
    timeout: float = 600.0,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
) -> BenchResult:
    """Send ``requests`` requests, ``concurrency`` at a time, and return a record of each.

    A request that fails is a record with its failure; it is never sent again.

    Args:
        urls: Servers under test: a gateway, or replicas. Of several, each request goes to the one
            with the fewest in flight, and round robin where equal.
        model: Name to ask for; None takes the first that the server lists.
        warmup: Requests sent before the measured ones without a pause; None means ``concurrency``.
        timeout: Seconds that one request may take.
        stop: When set, the run ends at once with what it has, marked as interrupted.

    Raises:
        ConfigError: A number out of range, or not a URL.
        UpstreamError: No server answers, or it cannot be given prompts of a known length.
    """
    warmup = concurrency if warmup is None else warmup
    _check(urls, requests=requests, concurrency=concurrency, warmup=warmup, timeout=timeout)
    endpoints = tuple(parse_endpoint(url) for url in urls)
    endpoint, served = await find_server(endpoints)
    model = model or served
    drafts = _drafts(workload, requests, warmup)
    longest = max(draft.input_tokens for draft, _ in drafts)
    source = await prompt_source(endpoint, model, workload, longest=longest)
    jobs = [Job(draft, _body(draft, workload, model, source), warm) for draft, warm in drafts]
    started_at = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    loop = await _run(endpoints, jobs, workload, concurrency, timeout, progress, stop)
    return BenchResult(
        endpoints=endpoints,
        model=model,
        workload=workload,
        requests=requests,
        load=Load(concurrency=concurrency),
        simulated=loop.simulated,
        exact_prompts=source.exact,
        started_at=started_at,
        interrupted=loop.stopped,
        warmup=_in_order(loop.warmup),
        records=_in_order(loop.records),
    )


async def _run(
    endpoints: Sequence[str],
    jobs: Sequence[Job],
    workload: Workload,
    concurrency: int,
    timeout: float,
    progress: Progress | None,
    stop: asyncio.Event | None,
) -> ClosedLoop:
    async with AsyncExitStack() as stack:
        connections = math.ceil(concurrency / len(endpoints))
        targets = [await _open(stack, endpoint, connections) for endpoint in endpoints]
        loop = ClosedLoop(targets, jobs, route(workload.api), timeout, progress)
        await loop.run(concurrency, stop or asyncio.Event())
    return loop


def _check(
    urls: Sequence[str], *, requests: int, concurrency: int, warmup: int, timeout: float
) -> None:
    if not urls:
        raise ConfigError("no URL to measure")
    if requests < 1:
        raise ConfigError(f"requests: {requests} is below 1")
    if concurrency < 1:
        raise ConfigError(f"concurrency: {concurrency} is below 1")
    if warmup < 0:
        raise ConfigError(f"warmup: {warmup} is below 0")
    if not timeout > 0:
        raise ConfigError(f"timeout: {timeout:g} s is not above 0")


def _drafts(workload: Workload, requests: int, warmup: int) -> list[tuple[Draft, bool]]:
    """Return warm-up requests, then measured ones."""
    warm = [(workload.request(index, warmup=True), True) for index in range(warmup)]
    return warm + [(workload.request(index), False) for index in range(requests)]


def _body(draft: Draft, workload: Workload, model: str, source: PromptSource) -> bytes:
    fields: dict[str, object] = {
        "model": model,
        "max_tokens": draft.output_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if workload.ignore_eos:
        fields["ignore_eos"] = True
    return msgspec.json.encode(fields | prompt_fields(workload.api, draft.prompt(source)))


async def _open(stack: AsyncExitStack, endpoint: str, connections: int) -> Target:
    """Open the connections before the clock starts; one that is refused is a request's failure."""
    pool = Pool(endpoint)
    stack.push_async_callback(pool.close)
    with suppress(UpstreamError):
        await pool.open(connections)
    return Target(endpoint, pool)


def _in_order(records: Sequence[RequestRecord]) -> tuple[RequestRecord, ...]:
    return tuple(sorted(records, key=lambda record: record.index))
