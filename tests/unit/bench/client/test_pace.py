"""Alarms: never early, at the time set last, and not at all when closed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import pytest

from replicore.bench.client.pace import FileTimer, LoopTimer, Timer, make_timer
from tests.integration.loops import run

Make = Callable[[Callable[[], None]], Timer]

linux = pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")
TIMERS = [
    pytest.param(FileTimer, id="file", marks=linux),
    pytest.param(LoopTimer, id="loop"),
    pytest.param(make_timer, id="best"),
]


class Bell:
    """Keeps when it rang."""

    def __init__(self) -> None:
        self.rang: list[float] = []
        self.heard = asyncio.Event()

    def ring(self) -> None:
        self.rang.append(time.perf_counter())
        self.heard.set()


@pytest.mark.parametrize("make", TIMERS)
def test_timer_rings_once_and_not_before_its_time(make: Make) -> None:
    async def test() -> None:
        bell = Bell()
        timer = make(bell.ring)
        # Fractions of a millisecond, which loops round.
        for delay in (0.0004, 0.0016, 0.0105):
            bell.heard.clear()
            at = time.perf_counter() + delay
            timer.set(at)
            await bell.heard.wait()
            assert bell.rang[-1] >= at
        timer.close()
        assert len(bell.rang) == 3

    run(test)


@pytest.mark.parametrize("make", TIMERS)
def test_timer_set_to_the_past_rings_soon(make: Make) -> None:
    async def test() -> None:
        bell = Bell()
        timer = make(bell.ring)
        timer.set(time.perf_counter() - 10)
        await bell.heard.wait()
        timer.close()

    run(test)


@pytest.mark.parametrize("make", TIMERS)
def test_timer_rings_only_at_the_time_it_was_set_to_last(make: Make) -> None:
    async def test() -> None:
        bell = Bell()
        timer = make(bell.ring)
        timer.set(time.perf_counter() + 0.001)
        later = time.perf_counter() + 0.02
        timer.set(later)
        await bell.heard.wait()
        timer.close()

        assert len(bell.rang) == 1
        assert bell.rang[0] >= later

    run(test)


@pytest.mark.parametrize("make", TIMERS)
def test_timer_set_to_the_same_time_again_rings_once_more_after_it_rang(make: Make) -> None:
    async def test() -> None:
        bell = Bell()
        timer = make(bell.ring)
        at = time.perf_counter() + 0.001
        for _ in range(2):
            bell.heard.clear()
            timer.set(at)
            timer.set(at)
            await bell.heard.wait()
        timer.close()

        assert len(bell.rang) == 2

    run(test)


@pytest.mark.parametrize("make", TIMERS)
def test_closed_timer_does_not_ring(make: Make) -> None:
    async def test() -> None:
        closed, other = Bell(), Bell()
        timer, after = make(closed.ring), make(other.ring)
        timer.set(time.perf_counter() + 0.001)
        timer.close()
        timer.close()
        after.set(time.perf_counter() + 0.01)
        await other.heard.wait()
        after.close()

        assert closed.rang == []

    run(test)
