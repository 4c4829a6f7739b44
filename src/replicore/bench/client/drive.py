"""Sends sessions: in a closed loop, each as soon as there is a place; in an open one by a plan.

Everything happens in callbacks, and a place that becomes free is filled within the callback that
freed it: a task would run only after everything else that the event loop had to read.

A session is *due* at its time, or, without one, at once. It begins when it is due, has a place, and
all before it have begun. It keeps its place until its last turn is over, pauses included. Of a
session whose place came late, the intended time is still that of the plan.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from replicore.bench.client.backlog import Backlog
from replicore.bench.client.call import Call
from replicore.bench.client.feed import Feed
from replicore.bench.client.pace import Timer, make_timer
from replicore.bench.client.plan import Plan
from replicore.bench.client.tally import Tally
from replicore.bench.client.targets import Target, Targets
from replicore.bench.client.tick import Tick
from replicore.bench.load.jobs import Session
from replicore.bench.record import FailureKind, RequestRecord
from replicore.http.client import encode_request

_HEADERS = ((b"content-type", b"application/json"), (b"accept", b"text/event-stream"))

# uvloop's timers count whole milliseconds and round to the nearest: with half of one more they are
# seldom early.
_TIMER_ROUNDING_S = 0.0005

# Takes a request's record, and whether it is of the warm-up.
Keep = Callable[[RequestRecord, bool], None]


@dataclass(slots=True, eq=False)
class _Active:
    """A session that has begun.

    Attributes:
        position: In the run, over all processes.
        turn: The one that is sent next, or is on its way.
        answers: Texts of the turns before it, where a later turn needs them.
        target: Where its last turn went.
    """

    session: Session
    position: int
    turn: int = 0
    answers: list[str] = field(default_factory=list)
    target: Target | None = None


class Driver:
    """Sends the sessions of a feed.

    Args:
        zero: Start of the run, on the clock of ``time.perf_counter``.
        keep: Is given each record, somewhat after its request is over.

    Attributes:
        stopped: Whether the run was ended early.
        simulated: Whether an answer came from a simulator.
    """

    def __init__(
        self, plan: Plan, feed: Feed, targets: Targets, tally: Tally, *, zero: float, keep: Keep
    ) -> None:
        self._plan = plan
        self._feed = feed
        self._targets = targets
        self._tally = tally
        self._zero = zero
        self._keep = keep
        self._headers = (*_HEADERS, *plan.headers)
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._alarm: Timer | None = None
        self._backlog = Backlog(self._read)
        self._active: set[_Active] = set()
        self._pauses: dict[_Active, asyncio.TimerHandle] = {}
        self._calls: dict[Call, _Active] = {}
        self._timers: list[asyncio.TimerHandle] = []
        self._unsent = 0  # turns of the sessions that have begun
        self._measuring = False
        self._time_is_up = False
        self._draining = False
        self._closed = False
        self.stopped = False
        self.simulated = False

    async def run(self, stop: asyncio.Event) -> None:
        """Return when all is over and read; ``stop`` ends it early.

        Raises:
            Exception: What the feed, a body or ``keep`` raised.
        """
        watcher = self._loop.create_task(self._stop_when(stop))
        try:
            self._guarded(self._begin_due, self._zero)
            await self._over
        finally:
            watcher.cancel()
            self._close()
            self._give_up("the run was broken off")
            for timer in self._timers:
                timer.cancel()
            self._backlog.read_all()

    def advance(self) -> None:
        """Begin what is due: the feed has more, or the time of the next session has come."""
        self._guarded(self._begin_due, time.perf_counter())

    def tick(self) -> Tick:
        """Return how far the run is."""
        return self._tally.tick(self._calls, time.perf_counter() - self._zero)

    # sessions

    def _begin_due(self, freed: float) -> None:
        """Begin every session that is due and has a place; one became free at ``freed``."""
        while not self._closed and self._has_place():
            session = self._feed.peek()
            if session is None:
                break
            due = None if session.at_s is None else self._zero + session.at_s
            if due is not None and due > time.perf_counter():
                self._wake_at(due)
                break
            active = _Active(session, self._feed.take())
            self._begin(active, freed if due is None else due)
        self._look_for_end()

    def _begin(self, active: _Active, intended: float) -> None:
        session = active.session
        if not self._measuring and not session.warmup:
            self._measuring = True
            if self._plan.duration_s is not None:
                self._after(self._plan.duration_s, self._end_time, session.at_s is not None)
        self._active.add(active)
        self._unsent += len(session.jobs)
        self._send(active, intended)

    def _wake_at(self, due: float) -> None:
        if self._alarm is None:
            self._alarm = make_timer(self.advance)
        self._alarm.set(due)

    def _has_place(self) -> bool:
        cap = self._plan.concurrency
        return cap is None or len(self._active) < cap

    def _send(self, active: _Active, intended: float) -> None:
        """Send the session's next turn."""
        self._unsent -= 1
        job = active.session.jobs[active.turn]
        body = job.body if isinstance(job.body, bytes) else job.body(active.answers)
        number = active.position + active.turn
        target = active.target = self._targets.pick(active.target, number=number)
        request = encode_request(
            "POST",
            self._plan.path,
            host=target.pool.authority,
            headers=self._headers,
            body=body,
        )
        call = Call(
            job,
            target,
            intended=intended,
            on_over=self._on_over,
            session=active.session.index,
            turn=active.turn,
            worker=self._plan.worker,
            warmup=active.session.warmup,
        )
        self._calls[call] = active
        target.in_flight += 1
        call.start(request, timeout=self._plan.timeout)

    def _on_over(self, call: Call) -> None:
        self._guarded(self._end, call)

    def _end(self, call: Call) -> None:
        active = self._calls.pop(call)
        target = call.target
        target.in_flight -= 1
        target.failures = target.failures + 1 if call.failed else 0
        self.simulated |= call.simulated
        self._tally.over(call)
        self._backlog.add(call)
        self._go_on(active, call)

    def _go_on(self, active: _Active, call: Call) -> None:
        """Send the session's next turn after its pause, or give its place to another session."""
        active.turn += 1
        later = active.session.jobs[active.turn :]
        if not later or self._closed:
            self._active.discard(active)
            self._begin_due(call.ended)
            return
        if any(not isinstance(job.body, bytes) for job in later):
            active.answers.append(call.text)
        self._send_at(active, call.ended + later[0].pause_s)

    def _send_at(self, active: _Active, intended: float) -> None:
        """Send the session's next turn at its time; the loop's timers may fire early."""
        self._pauses.pop(active, None)
        left = intended - time.perf_counter()
        if left <= 0:
            self._send(active, intended)
            self._look_for_end()
            return
        self._pauses[active] = self._loop.call_later(
            left + _TIMER_ROUNDING_S, self._guarded, self._send_at, active, intended
        )

    # ends

    async def _stop_when(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.stopped = True
        self._guarded(self._close)
        self._guarded(self._give_up, "the run was ended early")

    def _end_time(self, is_planned: bool) -> None:
        """Take note that the run's time is up; what has a time of its own is sent even so."""
        self._time_is_up = True
        if is_planned:
            self._look_for_end()
        else:
            self._close()

    def _close(self) -> None:
        """Send nothing more."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.close()
            self._alarm = None
        for active, pause in self._pauses.items():
            pause.cancel()
            self._active.discard(active)
        self._pauses.clear()
        self._unsent = 0
        self._look_for_end()

    def _give_up(self, reason: str) -> None:
        for call in tuple(self._calls):
            call.give_up(FailureKind.INTERRUPTED, reason)

    def _look_for_end(self) -> None:
        """End when all is over; after the run's time, leave what is in flight only so long."""
        if self._unsent or not (self._closed or self._feed.ended):
            return
        drain_s = self._plan.drain_s
        if not self._active:
            if not self._over.done():
                self._over.set_result(None)
        elif self._time_is_up and drain_s is not None and not self._draining:
            self._draining = True
            reason = f"not finished within {drain_s:g} s after the end of the run"
            self._after(drain_s, self._give_up, reason)

    def _after(self, delay: float, step: Callable[..., None], *arguments: object) -> None:
        timer = self._loop.call_later(delay, self._guarded, step, *arguments)
        self._timers.append(timer)

    def _guarded(self, step: Callable[..., None], *arguments: object) -> None:
        """Take a step; what it raises is raised by :meth:`run`, not lost in a callback."""
        try:
            step(*arguments)
        except Exception as error:
            if self._over.done():
                raise
            self._over.set_exception(error)

    def _read(self, call: Call) -> None:
        self._guarded(self._record, call)

    def _record(self, call: Call) -> None:
        record = call.record(self._zero, keep_text=self._plan.keep_text)
        self._tally.read(call, record)
        self._keep(record, call.warmup)
