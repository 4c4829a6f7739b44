"""Requests that wait for a free slot: one bounded, fair queue. Pure.

Service order:

1. Resumed streams (``front``), the oldest first: their clients have read half an answer.
2. The priority classes, high before normal before low. A class that waited while ``GUARD`` requests
   of higher classes were served goes before them once, so each class that waits is given at least
   one of every ``GUARD + 2`` slots.
3. Within a class the callers (API keys) take turns, one request each.
4. Within a caller first in, first out.

A request that no free replica may serve is passed by and keeps its place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

HIGH, NORMAL, LOW = range(3)
PRIORITIES = {"high": HIGH, "normal": NORMAL, "low": LOW}

GUARD = 8


class QueueFull(Exception):
    """Raised when the queue holds as many requests as it may."""


class FairQueue(Generic[T]):
    """A bounded queue in the order above; any entry can leave it at once.

    Pushing, removing, and taking the first entry cost the same however many wait.

    Attributes:
        limit: Entries that may wait, those at the front aside.
    """

    __slots__ = ("_classes", "_front", "_lines", "_places", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._front: _Line[T] = _Line(())
        low: _Line[T] = _Line(())
        normal = _Line((low,))
        self._classes = (_Line((normal, low)), normal, low)
        self._lines = (self._front, *self._classes)
        self._places: dict[T, tuple[_Line[T], str]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def push(
        self, entry: T, *, caller: str = "", priority: int = NORMAL, front: bool = False
    ) -> None:
        """Let ``entry`` wait.

        An entry at the front is never refused: it had a slot, so there are no more than slots.

        Raises:
            QueueFull: ``limit`` entries wait already.
        """
        if front:
            line, caller = self._front, ""
        elif len(self._places) < self.limit:
            line = self._classes[priority]
        else:
            raise QueueFull
        self._places[entry] = (line, caller)
        line.add(entry, caller)

    def displace(self, *, caller: str = "", priority: int = NORMAL) -> T | None:
        """Make room in a full queue: put out the newest entry of whoever has far more waiting.

        That is the caller with the most entries in the class or a lower one, where it keeps at
        least as many as ``caller`` has then. So no caller can fill the queue for all others.
        """
        lines = self._classes[priority:]
        own = len(self._classes[priority].callers.get(caller, ()))
        crowd = max(
            (entries for line in lines for name, entries in line.callers.items() if name != caller),
            key=len,
            default=None,
        )
        if crowd is None or len(crowd) < own + 2:
            return None
        entry = next(reversed(crowd))
        self.remove(entry)
        return entry

    def remove(self, entry: T) -> None:
        """Take ``entry`` out, wherever it stands; nothing happens if it does not wait."""
        place = self._places.pop(entry, None)
        if place is not None:
            line, caller = place
            line.discard(entry, caller)

    def take(self, fits: Callable[[T], bool]) -> T | None:
        """Take out the first entry that ``fits``; None if none does."""
        for line in self._service_order():
            # The first caller's oldest entry fits, as a rule; if not, no one behind it is held up.
            for caller, entries in line.callers.items():
                for entry in entries:
                    if fits(entry):
                        line.serve(entry, caller)
                        del self._places[entry]
                        return entry
        return None

    def entries(self) -> list[T]:
        """Return who waits: class by class, and within it caller by caller."""
        return [
            entry for line in self._lines for entries in line.callers.values() for entry in entries
        ]

    def _service_order(self) -> tuple[_Line[T], ...]:
        _, normal, low = self._classes
        if normal.passed_over < GUARD and low.passed_over < GUARD:
            return self._lines
        starved = low if low.passed_over > normal.passed_over else normal
        return (self._front, starved, *self._classes)


class _Line(Generic[T]):
    """Who waits in one class.

    OrderedDict and not dict: finding the first key of a dict takes longer with every key that was
    removed before it.

    Attributes:
        callers: Each caller's entries, the oldest first; the caller whose turn it is comes first.
        lower: The classes that stand back behind this one.
        passed_over: Entries of higher classes that were served while this class waited.
    """

    __slots__ = ("callers", "lower", "passed_over")

    def __init__(self, lower: tuple[_Line[T], ...]) -> None:
        self.callers: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()
        self.lower = lower
        self.passed_over = 0

    def add(self, entry: T, caller: str) -> None:
        entries = self.callers.get(caller)
        if entries is None:
            self.callers[caller] = entries = OrderedDict()
        entries[entry] = None

    def discard(self, entry: T, caller: str) -> None:
        entries = self.callers[caller]
        del entries[entry]
        if not entries:
            del self.callers[caller]
            if not self.callers:
                self.passed_over = 0

    def serve(self, entry: T, caller: str) -> None:
        """Take the entry out; the caller's next turn comes after everybody else's."""
        self.passed_over = 0
        self.discard(entry, caller)
        if caller in self.callers:
            self.callers.move_to_end(caller)
        for line in self.lower:
            if line.callers:
                line.passed_over += 1
