"""Which stream's token is due next. Pure.

All streams have the same gap between tokens. So a stream that has just got a token is due after all
others that wait for a further one, and all that wait for their first token are due in the order in
which they came: two queues, and every step takes the head of one. That is why one thread holds a
thousand streams.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar


class Due(Protocol):
    """A stream; ``due`` is the time of its next token."""

    due: float


StreamT = TypeVar("StreamT", bound=Due)


class Schedule(Generic[StreamT]):
    """The streams in the order of their next tokens; times are seconds of one clock."""

    __slots__ = ("_first", "_itl_s", "_later", "_ttft_s")

    def __init__(self, *, ttft_s: float, itl_s: float) -> None:
        self._ttft_s = ttft_s
        self._itl_s = itl_s
        self._first: deque[StreamT] = deque()
        self._later: deque[StreamT] = deque()

    def add(self, stream: StreamT, arrived: float) -> None:
        """Plan the first token of a request that arrived at that time."""
        stream.due = arrived + self._ttft_s
        self._first.append(stream)

    def again(self, stream: StreamT) -> None:
        """Plan the next token by when the last one was due, not by when it went out."""
        stream.due += self._itl_s
        self._later.append(stream)

    def take(self, now: float) -> StreamT | None:
        """Return the stream whose token is due first, out of the plan; None if none is due."""
        queue = self._next_queue()
        if queue and queue[0].due <= now:
            return queue.popleft()
        return None

    def next_due(self) -> float | None:
        """Return when the next token is due."""
        queue = self._next_queue()
        return queue[0].due if queue else None

    def _next_queue(self) -> deque[StreamT]:
        first, later = self._first, self._later
        if first and (not later or first[0].due < later[0].due):
            return first
        return later
