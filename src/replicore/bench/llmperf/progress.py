"""LLMPerf's progress bar on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from replicore.bench.llmperf.bar import bar_line


class Bar:
    """Draws the bar anew whenever the number of requests has changed.

    Args:
        clock: Seconds.
    """

    def __init__(
        self, total: int, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._stream = stream
        self._clock = clock
        self._zero = clock()
        self._shown: int | None = None

    def show(self, done: int) -> None:
        """Draw ``done`` of the total."""
        if done != self._shown:
            self._shown = done
            self._stream.write("\r" + bar_line(done, self._total, self._clock() - self._zero))
            self._stream.flush()

    def close(self) -> None:
        """Leave the bar's line, if there is one."""
        if self._shown is not None:
            self._stream.write("\n")
            self._stream.flush()
