"""The closed loop: a fixed number of requests in flight until a fixed number is answered."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from replicore.bench.client.call import Call, Target
from replicore.bench.load.workload import Draft
from replicore.bench.record import FailureKind, RequestRecord
from replicore.http.client import encode_request

_HEADERS = ((b"content-type", b"application/json"), (b"accept", b"text/event-stream"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """How far a run is; sent at its start and after every request, warm-up included.

    Attributes:
        warming: Requests of the warm-up that are not over yet.
        output_tokens: Of the measured requests so far.
    """

    done: int
    total: int
    warming: int
    errors: int
    output_tokens: int
    elapsed_s: float


Progress = Callable[[Tick], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A request whose body was encoded before the clock started."""

    draft: Draft
    body: bytes
    warmup: bool


class ClosedLoop:
    """Sends jobs in order, each as soon as a place is free, to the target with the least to do.

    Args:
        targets: Servers with their connections open.
        path: Route that every job is posted to.
        timeout: Seconds that one request may take.

    Attributes:
        warmup: Records of the warm-up so far, in the order they ended.
        records: Records of the measured requests so far, in the order they ended.
        stopped: Whether the run was ended early.
        simulated: Whether an answer came from a simulator.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        jobs: Sequence[Job],
        path: str,
        timeout: float,
        progress: Progress | None,
    ) -> None:
        # Least recently used first, so that the first of the least loaded is the next in turn.
        self._targets = deque(targets)
        self._jobs: Iterator[Job] = iter(jobs)
        self._total = sum(not job.warmup for job in jobs)
        self._warming = len(jobs) - self._total
        self._path = path
        self._timeout = timeout
        self._progress = progress
        self._calls: set[Call] = set()
        self._zero = 0.0
        self._errors = 0
        self._output_tokens = 0
        self.warmup: list[RequestRecord] = []
        self.records: list[RequestRecord] = []
        self.stopped = False
        self.simulated = False

    async def run(self, concurrency: int, stop: asyncio.Event) -> None:
        self._zero = time.perf_counter()
        self._report()
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work()) for _ in range(concurrency)]
            watcher = group.create_task(self._stop_when(stop))
            await asyncio.wait(workers)
            watcher.cancel()

    async def _work(self) -> None:
        """Send one request after the other: one place of the closed loop."""
        free_since = self._zero
        while not self.stopped and (job := next(self._jobs, None)) is not None:
            record = await self._send(job, free_since)
            free_since = self._zero + record.ended_s
            self._keep(job, record)
            self._report()

    async def _send(self, job: Job, free_since: float) -> RequestRecord:
        target = self._pick()
        request = encode_request(
            "POST", self._path, host=target.pool.authority, headers=_HEADERS, body=job.body
        )
        call = Call(job.draft, target, intended=free_since)
        self._calls.add(call)
        target.in_flight += 1
        try:
            call.start(request, timeout=self._timeout)
            await call.over
        finally:
            target.in_flight -= 1
            self._calls.discard(call)
        self.simulated |= call.simulated
        record = call.record(self._zero)
        target.failures = 0 if record.succeeded else target.failures + 1
        return record

    def _pick(self) -> Target:
        """Return the target with the least in flight, the least recently used of several.

        A failure counts as one in flight: a dead replica answers fastest of all, and would
        otherwise draw every request of the run.
        """
        target = min(self._targets, key=lambda target: target.in_flight + target.failures)
        self._targets.remove(target)
        self._targets.append(target)
        return target

    async def _stop_when(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.stopped = True
        for call in tuple(self._calls):
            call.give_up(FailureKind.INTERRUPTED, "the run was ended early")

    def _keep(self, job: Job, record: RequestRecord) -> None:
        if job.warmup:
            self.warmup.append(record)
            return
        self.records.append(record)
        self._errors += not record.succeeded
        self._output_tokens += record.output_tokens or 0

    def _report(self) -> None:
        if self._progress is None:
            return
        self._progress(
            Tick(
                done=len(self.records),
                total=self._total,
                warming=self._warming - len(self.warmup),
                errors=self._errors,
                output_tokens=self._output_tokens,
                elapsed_s=time.perf_counter() - self._zero,
            )
        )
