"""Drives the scheduler: one timer for the whole engine, no task per stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from replicore.engines.sim.metrics import Metrics
from replicore.engines.sim.replies import WRITTEN_AFTER_S, Reply
from replicore.engines.sim.scheduler import Emission, Scheduler
from replicore.engines.sim.sequence import Sequence

# uvloop's timers count whole milliseconds and round to the nearest: half of one more never fires
# early.
_TIMER_ROUNDING_S = 0.0005


class Runner:
    """Hands each decode step to the reply of its sequence, when it is due.

    Args:
        clock: Seconds. Not the loop's own: uvloop's stands still within a turn of the loop.
        crash_after_tokens: Tokens after which nothing more is sent and ``die`` is called.
        die: Ends the process.
    """

    def __init__(
        self,
        scheduler: Scheduler,
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
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._crashed = False

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
        for sequence in sequences:
            if self._replies.pop(sequence, None) is not None:
                self._scheduler.cancel(sequence, now)
                self._metrics.finished["abort"] += 1
        self._set_timer()

    def _set_timer(self) -> None:
        at = self._scheduler.next_at
        if at == self._timer_at or self._crashed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None
        if at is not None:
            delay = max(0.0, at - self._clock()) + _TIMER_ROUNDING_S
            self._timer = self._loop.call_later(delay, self._wake)

    def _wake(self) -> None:
        self._timer = self._timer_at = None
        replies: dict[Reply, None] = {}
        for emission in self._scheduler.advance(self._clock()):
            replies[self._deliver(emission)] = None
            if self._metrics.generation_tokens == self._crash_after_tokens:
                self._crash()
                break
        for reply in replies:
            reply.flush()
        self._set_timer()

    def _deliver(self, emission: Emission) -> Reply:
        sequence, delta = emission.sequence, emission.delta
        reply = self._replies[sequence]
        if delta.finish is not None:
            del self._replies[sequence]
        self._metrics.record(emission)
        reply.take(sequence, delta)
        return reply

    def _crash(self) -> None:
        self._crashed = True
        message = f"crash-after-tokens={self._crash_after_tokens}"
        self._loop.call_later(WRITTEN_AFTER_S, self._die, message)
