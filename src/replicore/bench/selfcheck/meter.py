"""How a client process did while it measured, second by second."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

from replicore.bench.client.pace import Timer, make_timer
from replicore.bench.record import ClientSecond
from replicore.bench.selfcheck.seconds import Seconds, Usage

_PERIOD_S = 0.01
_SCHEDSTAT = Path("/proc/self/schedstat")


class Meter:
    """Watches the process that it is in.

    A timer tells every 10 ms how late the event loop is; the rest is read once a second.

    Args:
        worker: Number of the process.
        zero: ``time.perf_counter()`` at the start of the run.
    """

    def __init__(
        self,
        worker: int,
        zero: float,
        *,
        clock: Callable[[], float] = time.perf_counter,
        usage: Callable[[], Usage] | None = None,
        timer: Callable[[Callable[[], None]], Timer] = make_timer,
    ) -> None:
        self._worker = worker
        self._zero = zero
        self._clock = clock
        self._usage = usage or used
        self._make_timer = timer
        self._timer: Timer | None = None
        self._seconds: Seconds | None = None
        self._due = 0.0
        self._pause_began = 0.0

    def start(self) -> None:
        """Begin; within the running event loop."""
        now = self._clock()
        self._seconds = Seconds(self._worker, now, self._usage(), zero=self._zero)
        self._due = now + _PERIOD_S
        self._timer = self._make_timer(self._tick)
        self._timer.set(self._due)
        gc.callbacks.append(self._on_collection)

    def stop(self) -> list[ClientSecond]:
        """End, and return every second; the last one may be shorter. Without a start, nothing."""
        if self._seconds is None or self._timer is None:
            return []
        gc.callbacks.remove(self._on_collection)
        self._timer.close()
        self._timer = None
        return self._seconds.all(self._clock(), self._usage())

    def _tick(self) -> None:
        if self._seconds is None or self._timer is None:
            return
        now = self._clock()
        self._seconds.late(now - self._due)
        if self._seconds.is_over(now):
            self._seconds.close(now, self._usage())
        # Not at once again after a long delay: it would be counted several times.
        self._due = max(self._due, now) + _PERIOD_S
        self._timer.set(self._due)

    def _on_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._pause_began = self._clock()
        elif self._seconds is not None:
            self._seconds.paused(self._clock() - self._pause_began)


def used() -> Usage:
    """Return what this process has used so far."""
    return Usage(cpu_s=time.process_time(), run_queue_s=_run_queue_s())


def _run_queue_s() -> float | None:
    """Return how long the main thread was ready to run and had no core (sched-stats.rst)."""
    try:
        return int(_SCHEDSTAT.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None
