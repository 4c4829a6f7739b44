"""What surrounds sending: telling how far it is, and the garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from replicore.bench.client.process import _no_collection, telling
from replicore.bench.client.tick import Tick
from tests.unit.bench.client.made import tick


class Watcher:
    """Counts its ticks; ``wrong`` is raised at the second one."""

    def __init__(self, wrong: Exception | None = None) -> None:
        self.ticks = 0
        self.twice = asyncio.Event()
        self._wrong = wrong

    def __call__(self, _tick: Tick) -> None:
        self.ticks += 1
        if self.ticks == 2:
            self.twice.set()
            if self._wrong is not None:
                raise self._wrong


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test()

    asyncio.run(bounded())


def test_progress_is_told_again_and_again_and_at_the_end() -> None:
    async def test() -> None:
        watcher = Watcher()
        async with telling(watcher, tick, every_s=0.001):
            await watcher.twice.wait()
            during = watcher.ticks

        assert watcher.ticks == during + 1

    in_loop(test)


def test_watcher_that_is_gone_is_told_no_more() -> None:
    async def test() -> None:
        watcher = Watcher(BrokenPipeError())
        async with telling(watcher, tick, every_s=0.001):
            await watcher.twice.wait()

        assert watcher.ticks == 2

    in_loop(test)


def test_error_of_a_watcher_is_raised_after_the_block() -> None:
    async def test() -> None:
        watcher = Watcher(ValueError("a bug"))
        block = telling(watcher, tick, every_s=0.001)
        await block.__aenter__()
        await watcher.twice.wait()
        with pytest.raises(ValueError, match="a bug"):
            await block.__aexit__(None, None, None)

    in_loop(test)


def test_nobody_need_look_on() -> None:
    async def test() -> None:
        async with telling(None, tick):
            pass

    in_loop(test)


@pytest.mark.parametrize("enabled", [True, False])
def test_collector_is_as_it_was_after_the_block(enabled: bool) -> None:
    was = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with _no_collection():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
