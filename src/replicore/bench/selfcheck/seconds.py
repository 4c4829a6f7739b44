"""The seconds of a client process, put together from what its meter sees. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from replicore.bench.record import ClientSecond

_LENGTH_S = 1.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since it began, in seconds.

    Attributes:
        run_queue_s: Ready to run, without a core; None where nobody tells.
    """

    cpu_s: float
    run_queue_s: float | None


class Seconds:
    """Collects; times are of one clock.

    Args:
        start: When the first second begins.
        usage: Until then.
        zero: Start of the run.
    """

    def __init__(self, worker: int, start: float, usage: Usage, *, zero: float) -> None:
        self._worker = worker
        self._zero = zero
        self._done: list[ClientSecond] = []
        self._start = start
        self._usage = usage
        self._loop_lag_s = 0.0
        self._gc_s = 0.0

    def late(self, lag_s: float) -> None:
        """Take how late a timer of the event loop was."""
        self._loop_lag_s = max(self._loop_lag_s, lag_s)

    def paused(self, gc_s: float) -> None:
        """Take a pause of the garbage collector."""
        self._gc_s += gc_s

    def is_over(self, now: float) -> bool:
        """Whether the second is: time to :meth:`close` it."""
        return now - self._start >= _LENGTH_S

    def close(self, now: float, usage: Usage) -> None:
        """End this second and begin the next."""
        length = now - self._start
        if length > 0:
            self._done.append(self._second(length, usage))
        self._start = now
        self._usage = usage
        self._loop_lag_s = 0.0
        self._gc_s = 0.0

    def all(self, now: float, usage: Usage) -> list[ClientSecond]:
        """End, and return every second."""
        self.close(now, usage)
        return self._done

    def _second(self, length: float, usage: Usage) -> ClientSecond:
        return ClientSecond(
            worker=self._worker,
            start_s=self._start - self._zero,
            loop_lag_s=self._loop_lag_s,
            cpu_share=(usage.cpu_s - self._usage.cpu_s) / length,
            run_queue_s=_difference(self._usage.run_queue_s, usage.run_queue_s),
            gc_s=self._gc_s,
        )


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
