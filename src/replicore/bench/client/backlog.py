"""Reads the answers of finished calls while nothing else is to be done.

Reading one takes about as long as receiving a hundred events. So a finished call waits here, the
next request leaves first, and a timer reads for a moment at a time; it reads least while the event
loop is late anyway. What is left at the end of the run is read then.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from replicore.bench.client.call import Call

_EVERY_S = 0.005
_SLICE_S = 0.001

# Late by more than this, the loop has no time to spare.
_LATE_S = 0.002

# What waits holds its bytes: with more calls than this, they are read whether there is time or not.
_MOST_WAITING = 2000


class Backlog:
    """Finished calls that wait to be read, oldest first.

    Args:
        read: Makes the record of a call.
        clock: Seconds.
    """

    def __init__(
        self, read: Callable[[Call], None], *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._read = read
        self._clock = clock
        self._waiting: deque[Call] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def add(self, call: Call) -> None:
        self._waiting.append(call)
        if self._timer is None:
            self._set_timer()

    def read_all(self) -> None:
        """Read everything that waits, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._read(self._waiting.popleft())

    def read_some(self) -> None:
        """Read for a moment, one call at least; the timer does this."""
        self._timer = None
        now = self._clock()
        is_late = now - self._due > _LATE_S and len(self._waiting) <= _MOST_WAITING
        until = now if is_late else now + _SLICE_S
        while self._waiting:
            self._read(self._waiting.popleft())
            if self._clock() >= until:
                break
        if self._waiting:
            self._set_timer()

    def _set_timer(self) -> None:
        self._due = self._clock() + _EVERY_S
        self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self.read_some)
