"""Runs an asynchronous test on both event loops: asyncio's, and uvloop, which production has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import uvloop

TIMEOUT_S = 30.0

T = Callable[[], Awaitable[None]]


def run(test: T) -> None:
    """Run ``test`` twice, each time in a new loop, and at most ``TIMEOUT_S`` seconds."""
    for new_loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_bounded(test))


async def _bounded(test: T) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        await test()
