"""When finished calls are read: little at a time, least of all while the loop is late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from replicore.bench.client.backlog import Backlog
from replicore.bench.client.call import Call


@dataclass
class Reader:
    """Reads calls, each in ``cost_s`` of a clock that only that moves."""

    cost_s: float
    now: float = 0.0
    read: list[int] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def clock(self) -> float:
        return self.now

    def __call__(self, call: Call) -> None:
        self.now += self.cost_s
        self.read.append(cast(int, call))
        if len(self.read) == 5:
            self.enough.set()

    def backlog(self, calls: int) -> Backlog:
        backlog = Backlog(self, clock=self.clock)
        for number in range(calls):
            backlog.add(cast(Call, number))
        return backlog


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test()

    asyncio.run(bounded())


def test_calls_are_read_in_order_for_a_millisecond() -> None:
    async def test() -> None:
        reader = Reader(cost_s=0.0003)
        backlog = reader.backlog(10)
        backlog.read_some()

        # 0.3, 0.6, 0.9 and 1.2 ms: the fourth one ends the slice.
        assert reader.read == [0, 1, 2, 3]
        backlog.read_all()

    in_loop(test)


def test_late_loop_reads_one_call() -> None:
    async def test() -> None:
        reader = Reader(cost_s=0.0003)
        backlog = reader.backlog(10)
        reader.now += 0.1
        backlog.read_some()

        assert reader.read == [0]
        backlog.read_all()

    in_loop(test)


def test_late_loop_with_very_many_calls_reads_them_as_usual() -> None:
    async def test() -> None:
        reader = Reader(cost_s=0.0003)
        backlog = reader.backlog(3000)
        reader.now += 0.1
        backlog.read_some()

        assert len(reader.read) == 4
        backlog.read_all()

    in_loop(test)


def test_calls_are_read_without_being_asked_for() -> None:
    async def test() -> None:
        reader = Reader(cost_s=0.0006)
        reader.backlog(5)
        await reader.enough.wait()

        assert reader.read == [0, 1, 2, 3, 4]

    in_loop(test)


def test_reading_all_reads_the_rest_at_once() -> None:
    async def test() -> None:
        reader = Reader(cost_s=0.01)
        backlog = reader.backlog(3)
        backlog.read_all()
        backlog.read_all()

        assert reader.read == [0, 1, 2]

    in_loop(test)
