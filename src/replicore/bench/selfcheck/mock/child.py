"""The mock as a child process of whoever measures it."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from replicore.bench.selfcheck.mock.account import Report
from replicore.bench.selfcheck.mock.server import Plan
from replicore.errors import ReplicoreError
from replicore.http.fetch import fetch

_START_S = 30.0
_ANSWER_S = 10.0
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Mock:
    """A mock that runs."""

    url: str
    pid: int

    async def report(self, *, in_flight: int | None = None) -> Report:
        """Return what it saw since it started, or since :meth:`reset`."""
        query = "" if in_flight is None else f"?in_flight={in_flight}"
        reply = await fetch(self.url, "GET", f"/mock/report{query}", timeout=_ANSWER_S)
        return msgspec.json.decode(reply.body, type=Report)

    async def reset(self) -> None:
        """Count from 0."""
        await fetch(self.url, "DELETE", "/mock/report", timeout=_ANSWER_S)


@asynccontextmanager
async def running_mock(plan: Plan) -> AsyncIterator[Mock]:
    """Run a mock on a free port; it ends with the block, and with this process.

    Raises:
        ReplicoreError: It does not start.
    """
    process = await asyncio.create_subprocess_exec(*_argv(plan), stdin=PIPE, stdout=PIPE)
    try:
        yield Mock(await _url(process), process.pid)
    finally:
        await _stop(process)


def _argv(plan: Plan) -> list[str]:
    return [
        *(sys.executable, "-m", "replicore.bench.selfcheck.mock", "--port", "0", "--until-eof"),
        *("--ttft-ms", repr(plan.ttft_s * 1000), "--itl-ms", repr(plan.itl_s * 1000)),
        *("--tokens", str(plan.tokens)),
    ]


async def _url(process: Process) -> str:
    if process.stdout is None:
        raise ReplicoreError("the mock was started without a pipe for what it says")
    async with asyncio.timeout(_START_S):
        line = await process.stdout.readline()
    if not line:
        raise ReplicoreError(f"the mock exited with code {await process.wait()} before it served")
    return line.decode().split()[-1]


async def _stop(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
