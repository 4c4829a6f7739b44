from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from replicore.bench.record import ClientSecond
from replicore.bench.selfcheck.meter import Meter, used
from replicore.bench.selfcheck.seconds import Usage


@dataclass
class Loop:
    """An event loop's timer and clock in the hands of a test; it is also the timer."""

    now: float = 100.0
    due: float | None = None
    cpu_s: float = 0.0
    ring: Callable[[], None] = field(default=lambda: None)

    def timer(self, ring: Callable[[], None]) -> Loop:
        self.ring = ring
        return self

    def set(self, at: float) -> None:
        self.due = at

    def close(self) -> None:
        self.due = None

    def turn(self, *, late_s: float) -> None:
        """Let the timer go off, and the loop come to it that much later."""
        assert self.due is not None
        self.now = self.due + late_s
        self.ring()

    def usage(self) -> Usage:
        return Usage(cpu_s=self.cpu_s, run_queue_s=None)

    def meter(self, *, zero: float = 100.0) -> Meter:
        made = Meter(2, zero, clock=lambda: self.now, usage=self.usage, timer=self.timer)
        made.start()
        return made


def test_second_has_the_longest_delay_of_its_timers() -> None:
    loop = Loop()
    meter = loop.meter()
    for late_s in (0.0, 0.25, 0.125):
        loop.turn(late_s=late_s)
    (second,) = meter.stop()

    assert second.loop_lag_s == pytest.approx(0.25)
    assert (second.worker, second.start_s) == (2, 0.0)


def test_seconds_follow_each_other_and_each_has_its_own_share_of_a_core() -> None:
    loop = Loop()
    meter = loop.meter(zero=99.0)
    loop.cpu_s = 0.5
    loop.turn(late_s=0.99)
    loop.cpu_s = 0.6
    loop.turn(late_s=0.99)
    first, second = meter.stop()

    assert [first.start_s, second.start_s] == pytest.approx([1.0, 2.0])
    assert [first.cpu_share, second.cpu_share] == pytest.approx([0.5, 0.1])
    assert first.run_queue_s is None


def test_one_long_delay_is_counted_once() -> None:
    loop = Loop()
    loop.meter()
    loop.turn(late_s=0.5)

    assert loop.due is not None
    assert loop.due > loop.now


def test_meter_counts_the_pauses_of_the_garbage_collector() -> None:
    loop = Loop()
    meter = loop.meter()
    for callback in gc.callbacks:
        if getattr(callback, "__self__", None) is meter:
            callback("start", {})
            loop.now += 0.25
            callback("stop", {})
    (second,) = meter.stop()

    assert second.gc_s == pytest.approx(0.25)


def test_stopped_meter_leaves_no_timer_and_no_callback_behind() -> None:
    before = list(gc.callbacks)
    loop = Loop()
    meter = loop.meter()
    loop.now += 0.5
    meter.stop()

    assert loop.due is None
    assert gc.callbacks == before
    assert meter.stop() == []


def test_meter_that_was_not_started_has_nothing_to_tell() -> None:
    assert Meter(0, 0.0).stop() == []


def test_meter_works_in_an_event_loop() -> None:
    async def run() -> list[ClientSecond]:
        meter = Meter(0, time.perf_counter())
        meter.start()
        await asyncio.sleep(0)
        return meter.stop()

    assert len(asyncio.run(run())) == 1


def test_used_tells_the_cpu_time_of_this_process() -> None:
    before = time.process_time()

    assert before <= used().cpu_s <= time.process_time()
