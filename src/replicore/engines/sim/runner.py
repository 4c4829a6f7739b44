"""Drives the scheduler: one timer for the whole engine, no task per stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from replicore.engines.sim.metrics import Metrics
from replicore.engines.sim.pace import Pace
from replicore.engines.sim.replies import WRITTEN_AFTER_S, Reply
from replicore.engines.sim.scheduler import Emission
from replicore.engines.sim.sequence import Sequence

# uvloop's timers count whole milliseconds and round to the nearest: half of one more never fires
# early.
_TIMER_ROUNDING_S = 0.0005

# Steps handed out in one turn of the event loop, a few milliseconds' work: libuv accepts a single
# connection in a turn.
_STEPS_AT_ONCE = 250

# Later than this, all are: what comes together for a stream leaves in one write, which is most of
# what a token costs, so that the time is made up for.
_CATCH_UP_S = 0.1
_STEPS_TO_CATCH_UP = 20_000


class Runner:
    """Hands each decode step to the reply of its sequence, when it is due.

    Args:
        clock: Seconds. Not the loop's own: uvloop's stands still within a turn of the loop.
        crash_after_tokens: Tokens after which nothing more is sent and ``die`` is called.
        die: Ends the process.
    """

    def __init__(
        self,
        scheduler: Pace,
        metrics: Metrics,
        *,
        clock: Callable[[], float],
        crash_after_tokens: int | None,
        die: Callable[[str], None],
    ) -> None:
        self._scheduler = scheduler
        self._metrics = metrics
        self._clock = clock
        self._crash_after_tokens = crash_after_tokens
        self._die = die
        self._loop = asyncio.get_running_loop()
        self._replies: dict[Sequence, Reply] = {}
        self._steps: list[Emission] = []  # due, and not yet handed out
        self._timer: asyncio.Handle | None = None
        self._timer_at: float | None = None
        self._crashed = False

    @property
    def late(self) -> float:
        """Seconds since the oldest token that is due."""
        at = self._next_at
        return 0.0 if at is None else max(0.0, self._clock() - at)

    @property
    def _next_at(self) -> float | None:
        return self._steps[0].at if self._steps else self._scheduler.next_at

    def add(self, reply: Reply, sequences: Iterable[Sequence]) -> None:
        """Start generating; ``reply`` hears of every step."""
        now = self._clock()
        for sequence in sequences:
            self._replies[sequence] = reply
            self._scheduler.add(sequence, now)
        self._set_timer()

    def cancel(self, sequences: Iterable[Sequence]) -> None:
        """Stop generating; the slots are free at once. Finished sequences are left alone."""
        now = self._clock()
        gone = {each for each in sequences if self._replies.pop(each, None) is not None}
        for sequence in gone:
            self._scheduler.cancel(sequence, now)
            self._metrics.finished["abort"] += 1
        if self._steps:
            self._steps = [step for step in self._steps if step.sequence not in gone]
        self._set_timer()

    def _set_timer(self) -> None:
        at = self._next_at
        if at == self._timer_at or self._crashed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None
        if at is not None:
            delay = at - self._clock()
            if delay > 0:
                self._timer = self._loop.call_later(delay + _TIMER_ROUNDING_S, self._wake)
            else:
                self._timer = self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._timer = self._timer_at = None
        count = _STEPS_AT_ONCE if self.late < _CATCH_UP_S else _STEPS_TO_CATCH_UP
        if not self._steps:
            self._steps = self._scheduler.advance(self._clock(), most=_STEPS_TO_CATCH_UP)
        steps, self._steps = self._steps[:count], self._steps[count:]
        if self._crash_after_tokens is not None:
            steps = self._up_to_crash(steps, self._crash_after_tokens)
        self._metrics.record(steps)
        for reply in self._deliver(steps):
            reply.flush()
        self._set_timer()

    def _deliver(self, steps: Iterable[Emission]) -> Iterable[Reply]:
        """Hand out steps; return whose have to be written."""
        replies = self._replies
        heard: dict[Reply, None] = {}
        for sequence, _, _, _, delta in steps:
            reply = replies[sequence]
            if delta.finish is not None:
                del replies[sequence]
            reply.take(sequence, delta)
            heard[reply] = None
        return heard

    def _up_to_crash(self, steps: list[Emission], limit: int) -> list[Emission]:
        """Return the steps up to the one that ends the process, and see to that it does."""
        tokens = self._metrics.generation_tokens
        for count, step in enumerate(steps, start=1):
            tokens += len(step.delta.ids)
            if tokens == limit:
                self._crash()
                return steps[:count]
        return steps

    def _crash(self) -> None:
        self._crashed = True
        message = f"crash-after-tokens={self._crash_after_tokens}"
        self._loop.call_later(WRITTEN_AFTER_S, self._die, message)
