"""Where a process takes its sessions from: all of them, or what its parent hands to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from replicore.bench.load.jobs import Session


class Feed(Protocol):
    """Sessions in the order in which they are sent."""

    @property
    def ended(self) -> bool:
        """Whether there is no session left, and none to come."""
        ...

    def peek(self) -> Session | None:
        """Return the next session; None where there is none now."""
        ...

    def take(self) -> int:
        """Go on to the session after it; return its position in the run, 0-based."""
        ...


class Listed:
    """Sessions that this process has or makes itself, each when the one before it is taken."""

    def __init__(self, sessions: Iterable[Session]) -> None:
        self._rest = iter(sessions)
        self._next = next(self._rest, None)
        self._taken = 0

    @property
    def ended(self) -> bool:
        return self._next is None

    def peek(self) -> Session | None:
        return self._next

    def take(self) -> int:
        self._next = next(self._rest, None)
        self._taken += 1
        return self._taken - 1


class Handed:
    """Sessions that come in by and by."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Session]] = deque()
        self._closed = False
        self.taken = 0

    @property
    def ended(self) -> bool:
        return self._closed and not self._waiting

    def add(self, sessions: Iterable[tuple[int, Session]]) -> None:
        """Take sessions, each with its position in the run."""
        self._waiting.extend(sessions)

    def close(self) -> None:
        """Take note that no more will come."""
        self._closed = True

    def peek(self) -> Session | None:
        return self._waiting[0][1] if self._waiting else None

    def take(self) -> int:
        self.taken += 1
        return self._waiting.popleft()[0]
