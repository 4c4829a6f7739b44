"""Requests that wait for a free slot: one bounded first-in, first-out queue."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class QueueFull(Exception):
    """Raised when the queue holds as many requests as it may."""


class Queue(Generic[T]):
    """A bounded FIFO from which any entry can leave at once.

    A dict keeps its order and removes in constant time, which a deque does not.
    """

    __slots__ = ("_entries", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._entries: dict[T, None] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def push(self, entry: T) -> None:
        """Let ``entry`` wait.

        Raises:
            QueueFull: ``limit`` entries wait already.
        """
        if len(self._entries) >= self.limit:
            raise QueueFull
        self._entries[entry] = None

    def remove(self, entry: T) -> None:
        """Take ``entry`` out, wherever it stands; nothing happens if it does not wait."""
        self._entries.pop(entry, None)

    def entries(self) -> list[T]:
        """Return who waits, the longest first."""
        return list(self._entries)
