"""Sends sessions to endpoints and returns a record of each request: the load client as a whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, Unpack

from replicore.bench.client.census import Census, take_census
from replicore.bench.client.drive import Driver
from replicore.bench.client.feed import Listed
from replicore.bench.client.plan import MakeMeter, Plan, Sending
from replicore.bench.client.process import Outcome, drive
from replicore.bench.client.processes import spread
from replicore.bench.client.tally import Tally
from replicore.bench.client.targets import Targets, open_targets
from replicore.bench.client.tick import Progress
from replicore.bench.load.arrivals import Load
from replicore.bench.load.jobs import Session
from replicore.bench.record import ClientSecond, RequestRecord, ServerSample
from replicore.http.client import split_endpoint

# Where the number in flight is not known beforehand.
_OPEN_LOOP_CONNECTIONS = 128


class Scraper(Protocol):
    """Asks servers for what they tell of themselves."""

    def start(self) -> None: ...

    async def stop(self) -> list[ServerSample]: ...


# Makes the scraper of some endpoints from the start of the run.
MakeScraper = Callable[[Sequence[str], float], Scraper]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run left behind; see :class:`~replicore.bench.record.BenchResult`.

    Attributes:
        records: Of the measured requests, by index.
        stopped: Whether it was ended early.
        processes: How many sent: no more than there were places.
    """

    warmup: tuple[RequestRecord, ...]
    records: tuple[RequestRecord, ...]
    client: tuple[ClientSecond, ...]
    servers: tuple[ServerSample, ...]
    stopped: bool
    simulated: bool
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What is sent, how, and who looks on; ``warmup`` and ``records`` fill as it goes."""

    plan: Plan
    sessions: Iterable[Session]
    census: Census
    progress: Progress | None
    stop: asyncio.Event
    scraper: MakeScraper | None
    warmup: list[RequestRecord] = field(default_factory=list)
    records: list[RequestRecord] = field(default_factory=list)

    def keep(self, record: RequestRecord, warmup: bool) -> None:
        (self.warmup if warmup else self.records).append(record)

    def run(self, outcome: Outcome, servers: Sequence[ServerSample]) -> Run:
        """Return the run that is over."""
        return Run(
            warmup=_in_order(self.warmup),
            records=_in_order(self.records),
            client=outcome.client,
            servers=tuple(servers),
            stopped=outcome.stopped,
            simulated=outcome.simulated,
            processes=self.plan.processes,
        )


async def send_sessions(
    endpoints: Sequence[str],
    sessions: Iterable[Session],
    *,
    path: str,
    load: Load,
    processes: int = 1,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
    meter: MakeMeter | None = None,
    scraper: MakeScraper | None = None,
    **sending: Unpack[Sending],
) -> Run:
    """Send each session's requests once, in the order of the sessions.

    Args:
        sessions: Warm-up sessions first; ascending in ``at_s``. Anything but a sequence is asked
            for its next session when the one before it has left.
        path: Route to post to.
        load: How many may be in flight; when each session leaves is its own ``at_s``.
        processes: Of the client; at most as many as there are places.
        stop: When set, the run ends at once with what it has.
        sending: See :class:`~.plan.Plan`.

    Raises:
        ConfigError: A number out of range, an unknown policy, or not a URL.
        ReplicoreError: A client process does not start.
    """
    by_time = load.arrivals is None and sending.get("duration_s") is not None
    census = take_census(sessions, by_time=by_time)
    plan = Plan(
        endpoints=tuple(endpoints),
        path=path,
        concurrency=load.concurrency,
        connections=_connections(load, census, len(endpoints)),
        meter=meter,
        processes=min(processes, load.concurrency or processes),
        **sending,
    )
    for endpoint in plan.endpoints:
        split_endpoint(endpoint)  # raises here, and not in a process that then is missing
    task = _Task(
        plan=plan,
        sessions=sessions,
        census=census,
        progress=progress,
        stop=stop or asyncio.Event(),
        scraper=scraper,
    )
    return await (_send_here if plan.processes == 1 else _send_spread)(task)


def _connections(load: Load, census: Census, endpoints: int) -> int:
    """Return how many connections each endpoint is given before the clock starts."""
    at_once = _OPEN_LOOP_CONNECTIONS
    if load.concurrency is not None and load.arrivals is None:
        at_once = load.concurrency
    most = at_once if census.sessions is None else min(at_once, census.sessions)
    return -(-most // max(1, endpoints))


async def _send_here(task: _Task) -> Run:
    """Send with this process alone."""
    plan = task.plan
    feed = Listed(task.sessions)
    tally = Tally(task.census.total, task.census.warmup)
    async with open_targets(plan.endpoints, plan.connections) as opened:
        targets = Targets(opened, plan.dispatch)
        zero = time.perf_counter()
        async with _scraping(task, zero) as servers:
            driver = Driver(plan, feed, targets, tally, zero=zero, keep=task.keep)
            outcome = await drive(driver, plan, zero=zero, progress=task.progress, stop=task.stop)
    return task.run(outcome, servers)


async def _send_spread(task: _Task) -> Run:
    """Send with several processes."""
    async with spread(task.plan) as processes:
        zero = time.perf_counter()
        async with _scraping(task, zero) as servers:
            outcome = await processes.run(
                task.sessions,
                task.census,
                zero=zero,
                keep=task.keep,
                progress=task.progress,
                stop=task.stop,
            )
    return task.run(outcome, servers)


@asynccontextmanager
async def _scraping(task: _Task, zero: float) -> AsyncIterator[list[ServerSample]]:
    """Ask the servers within the block; the samples are there after it."""
    samples: list[ServerSample] = []
    if task.scraper is None:
        yield samples
        return
    scraper = task.scraper(task.plan.endpoints, zero)
    scraper.start()
    try:
        yield samples
    finally:
        samples += await scraper.stop()


def _in_order(records: Sequence[RequestRecord]) -> tuple[RequestRecord, ...]:
    return tuple(sorted(records, key=lambda record: record.index))
