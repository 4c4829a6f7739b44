"""Several processes that send, where one is not enough.

Each has its share of the places of a closed loop, and the sessions of these places: session i is
for place i mod C. Without a number of places, session i is for process i mod n. Each has its own
connections, and its own view of which endpoint has how many requests in flight.

A process that dies takes with it what it had not told yet: those requests are recorded as
unfinished, and the sessions that would have been its go to the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from replicore.bench.client.census import Census
from replicore.bench.client.child import Child, spawn
from replicore.bench.client.drive import Keep
from replicore.bench.client.messages import READY, STOP, Kept, Report, Setup, Start
from replicore.bench.client.plan import Plan
from replicore.bench.client.process import Outcome, telling
from replicore.bench.client.tick import Progress, Tick, merge_ticks
from replicore.bench.load.jobs import Session
from replicore.errors import ReplicoreError

# Sessions that a process has before it begins them; it tells ten times a second what it has begun.
_AHEAD = 500

_READY_TIMEOUT_S = 60.0


@asynccontextmanager
async def spread(plan: Plan) -> AsyncIterator[Processes]:
    """Start the plan's processes and let them connect; none is left after the block.

    Raises:
        ReplicoreError: One of them does not start.
    """
    async with AsyncExitStack() as stack:
        children = []
        for number in range(plan.processes):
            child = await spawn(number)
            stack.push_async_callback(child.close)
            child.tell(Setup(plan.share(number)))
            children.append(child)
        for child in children:
            await _ready(child)
        yield Processes(children, plan.concurrency)


async def _ready(child: Child) -> None:
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            message = await child.hear()
    except TimeoutError:
        message = None
    if message != READY:
        await child.close()
        raise ReplicoreError(f"client process {child.number} {child.how_it_ended} before the run")


class Processes:
    """Processes that are ready to send, for one run."""

    def __init__(self, children: Sequence[Child], places: int | None) -> None:
        self._children = children
        self._places = places
        self._sending = list(children)
        self._rest: Iterator[Session] = iter(())
        self._dealt = 0
        self._drained = False
        self._zero = 0.0
        self._census = Census()
        self._warm_done = 0

    async def run(
        self,
        sessions: Iterable[Session],
        census: Census,
        *,
        zero: float,
        keep: Keep,
        progress: Progress | None,
        stop: asyncio.Event,
    ) -> Outcome:
        """Send everything and return when all is over; ``keep`` is given each record."""
        self._rest = iter(sessions)
        self._census = census
        self._zero = zero
        self._deal()
        for child in self._children:
            child.tell(Start(zero))
        watcher = asyncio.get_running_loop().create_task(self._stop_when(stop))
        try:
            async with telling(progress, self._tick):
                await asyncio.gather(*(self._hear(child, keep) for child in self._children))
        finally:
            watcher.cancel()
        return self._outcome()

    def _deal(self) -> None:
        """Hand out sessions in turn until each process has enough of them."""
        hands: dict[Child, list[tuple[int, Session]]] = {child: [] for child in self._sending}
        was_drained = self._drained
        while not self._drained and any(
            child.ahead + len(hand) < _AHEAD for child, hand in hands.items()
        ):
            session = next(self._rest, None)
            if session is None:
                self._drained = True
            else:
                hands[self._next_child()].append((self._dealt, session))
                self._dealt += 1
        for child, hand in hands.items():
            if hand or self._drained != was_drained:
                child.hand(hand, last=self._drained)

    def _next_child(self) -> Child:
        place = self._dealt if self._places is None else self._dealt % self._places
        return self._sending[place % len(self._sending)]

    async def _hear(self, child: Child, keep: Keep) -> None:
        """Take what a process tells until it ends."""
        while child.outcome is None and (message := await child.hear()) is not None:
            if isinstance(message, Kept):
                self._keep(message, keep)
            elif isinstance(message, Report) and child.ahead < _AHEAD // 2:
                self._deal()
        self._sending.remove(child)
        if child.outcome is None:
            await child.wait()
            for lost in child.lost(time.perf_counter() - self._zero):
                self._keep(lost, keep)

    def _keep(self, kept: Kept, keep: Keep) -> None:
        self._warm_done += kept.warmup
        keep(kept.record, kept.warmup)

    async def _stop_when(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._drained = True
        for child in self._children:
            child.tell(STOP)

    def _tick(self) -> Tick:
        ticks = [child.tick() for child in self._children]
        warming = sum(tick.warming for tick in ticks)
        if self._census.warmup is not None:
            warming = self._census.warmup - self._warm_done
        return merge_ticks(
            ticks,
            total=self._census.total,
            warming=warming,
            elapsed_s=time.perf_counter() - self._zero,
        )

    def _outcome(self) -> Outcome:
        told = [child.outcome for child in self._children if child.outcome is not None]
        seconds = sorted(
            (second for one in told for second in one.client),
            key=lambda second: (second.start_s, second.worker),
        )
        return Outcome(
            client=tuple(seconds),
            stopped=not told or any(one.stopped for one in told),
            simulated=any(one.simulated for one in told),
        )
