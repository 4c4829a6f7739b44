"""One run of one tool against a mock of its own, with the CPU time that the tool took."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.bench_accuracy.tools import Place, Tool
from benchmarks.gateway import usage
from replicore.bench.selfcheck.mock.account import Report
from replicore.bench.selfcheck.mock.child import running_mock
from replicore.bench.selfcheck.mock.server import Plan

_TIMEOUT_S = 300.0
_LOOK_S = 0.25


class Failed(Exception):
    """Raised for a tool that does not end well; the message is the end of what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What was seen of a run from outside the tool.

    Attributes:
        first_request_s: From the start of the command to its first stream at the mock.
        cpu_cores: CPU time while the mock had streams, over that time.
    """

    mock: Report
    first_request_s: float
    cpu_cores: float


async def run_tool(
    tool: Tool, plan: Plan, *, streams: int, requests: int, folder: Path, tokenizer: Path
) -> Ran:
    """Run ``tool`` once; its results are in ``folder`` then.

    Raises:
        Failed: It ended with an error, or not in time.
    """
    async with running_mock(plan) as mock:
        place = Place(
            url=mock.url, streams=streams, requests=requests, folder=folder, tokenizer=tokenizer
        )
        started = time.perf_counter()
        looks = await _run(tool, place)
        report = await mock.report(in_flight=streams)
    ended = report.began_s + report.busy_s
    return Ran(
        mock=report,
        first_request_s=report.began_s - started,
        cpu_cores=_cores(looks, report.began_s, ended),
    )


# A moment, and the CPU time of a tool's processes until then.
_Look = tuple[float, float]


async def _run(tool: Tool, place: Place) -> list[_Look]:
    log = place.folder / "log"
    looks: list[_Look] = []
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *tool.program,
            *tool.options(place),
            stdin=DEVNULL,
            stdout=file,
            stderr=file,
            cwd=place.folder,
            env={**os.environ, **tool.environ(place)},
            start_new_session=True,
        )
    watcher = asyncio.create_task(_watch(process.pid, looks))
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            code = await process.wait()
    except TimeoutError:
        raise Failed(f"not done in {_TIMEOUT_S:g} s: {_end_of(log)}") from None
    finally:
        watcher.cancel()
        await _end(process)
    if code:
        raise Failed(f"exit code {code}: {_end_of(log)}")
    return looks


async def _watch(pid: int, looks: list[_Look]) -> None:
    while True:
        with suppress(psutil.Error, OSError):  # one of its processes has just ended
            looks.append((time.perf_counter(), usage.cpu_s(usage.tree(pid))))
        await asyncio.sleep(_LOOK_S)


async def _end(process: Process) -> None:
    """End what is left of the tool's session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-3:])


def _cores(looks: Sequence[_Look], start: float, end: float) -> float:
    """Return the CPU time between two moments over their distance; linear between looks."""
    if not looks or end <= start:
        return 0.0
    times, used = zip(*looks, strict=True)
    before, after = np.interp([start, end], times, used)
    return float((after - before) / (end - start))
