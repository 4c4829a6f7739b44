"""Wakes the sender when the next request of a plan is due: never early, and as little late as can.

An event loop's own timers count whole milliseconds, so that a request would leave up to one late.
Linux has timers that are files, count nanoseconds, and go off at a time of the clock that
``time.perf_counter`` reads (``timerfd_create(2)``). Elsewhere the loop's timers have to do.
"""

from __future__ import annotations

import asyncio
import ctypes
import math
import os
import time
from collections.abc import Callable
from typing import Protocol

_TICK_S = 0.001
_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


class Timer(Protocol):
    """Calls back once, not before the time that it was set to last."""

    def set(self, at: float) -> None: ...

    def close(self) -> None: ...


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class FileTimer:
    """A ``timerfd``.

    Raises:
        AttributeError: The system has none.
        OSError: There are no more files.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._ring = ring
        self._at: float | None = None
        self._spec = _TimerSpec()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._look)

    def set(self, at: float) -> None:
        if at == self._at:
            return
        self._at = at
        # A time of 0 would switch the timer off; one in the past goes off at once.
        nanoseconds = max(1, math.ceil(at * 1e9))
        self._spec.value.seconds, self._spec.value.nanoseconds = divmod(nanoseconds, 10**9)
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(self._spec), None)

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _look(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # set anew after it went off
            return
        self._at = None
        self._ring()


class LoopTimer:
    """The event loop's timers; up to a millisecond late."""

    def __init__(
        self, ring: Callable[[], None], *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._ring = ring
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._at = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        self.close()
        self._at = at
        # uvloop rounds to the nearest millisecond, and to none at all.
        ticks = max(1, math.ceil((at - self._clock()) / _TICK_S))
        self._handle = self._loop.call_later(ticks * _TICK_S, self._look)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        if self._clock() < self._at:
            self.set(self._at)
        else:
            self._ring()


def make_timer(ring: Callable[[], None]) -> Timer:
    """Return the most precise timer there is for the running loop."""
    try:
        return FileTimer(ring)
    except (AttributeError, OSError):  # a system without them
        return LoopTimer(ring)
