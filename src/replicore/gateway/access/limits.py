"""What a caller may use: requests in flight, and tokens per minute, over all workers. Pure.

**Requests in flight** are counted from admission to release. A worker announces a request in its
own cell and then looks at the sum, so the limit is never overshot; of two that ask for the last
place at the same instant both may be refused, but never one of a caller who keeps to its limit.

**Tokens** are prompt plus output, of the last 60 s. A prompt is charged with its estimate when it
is admitted; when the engine has told the usage, or the stream's tokens are counted, the rest is
charged, or what was too much is taken back from the minute that it was charged in, so that no
minute is ever below zero. What is used is taken from two windows of one minute::

    used = current + previous * (1 - elapsed / 60)

``current`` and ``previous`` are the tokens of this clock minute and of the one before, ``elapsed``
the seconds of this one that are over. A request is admitted while ``used`` is below the limit, how
big it may be itself: what it takes beyond the limit, later ones wait for.

Each worker writes its own row of cells for a caller, and all workers look for one another's in the
same row. Workers read the key file at different times, so a row carries a tag of the caller's name,
and a row with another tag is not summed: counts never pass from one caller to another. A caller
finds its row by its name, so its counts outlive a change of the file. A row whose caller has been
idle for two minutes is given to another one when no other is free; where none is left, the caller's
limits hold for each worker by itself.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from replicore.gateway.access.refusal import Refusal

if TYPE_CHECKING:
    from replicore.gateway.access.key_file import Caller
    from replicore.gateway.routing.cells import Cells, Memory, Place

WINDOW_S = 60.0

# The fields of a row. A window is numbered from the clock's zero; tag 0 is nobody's.
_IN_FLIGHT, _CURRENT, _PREVIOUS, _WINDOW, _TAG = range(5)
_FIELDS = 5

# A request in flight ends at a time that nobody knows.
_IN_FLIGHT_RETRY_S = 1


class Limiter:
    """Admits the requests of one worker; ``now`` is the monotonic clock, the same for all."""

    __slots__ = ("_cells", "_rows")

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._rows: dict[str, _Row] = {}

    def admit(self, caller: Caller, tokens: float, now: float) -> Refusal | None:
        """Count a request in and charge ``tokens``, its prompt's estimate; or refuse it."""
        limit = caller.tokens_per_minute
        if limit is None and caller.max_in_flight is None:
            return None
        row = self._rows.get(caller.name) or self._open(caller.name, now)
        if limit is not None:
            current, previous = row.usage(now)
            if used(current, previous, now) >= limit:
                return _too_many_tokens(caller.name, limit, current, previous, now)
        row.memory[row.at] += 1.0
        if caller.max_in_flight is not None and self._in_flight(row) > caller.max_in_flight:
            row.memory[row.at] -= 1.0
            return _too_many_requests(caller.name, caller.max_in_flight)
        if limit is not None:
            row.charge(tokens, now)
        return None

    def charge(self, caller: Caller, tokens: float, now: float) -> None:
        """Add ``tokens`` to what the caller has used, at any time after a request's admission."""
        if caller.tokens_per_minute is not None:
            row = self._rows.get(caller.name) or self._open(caller.name, now)
            row.charge(tokens, now)

    def refund(self, caller: Caller, tokens: float, admitted_at: float, now: float) -> None:
        """Take back ``tokens`` of the estimate that a request was admitted with."""
        if caller.tokens_per_minute is not None:
            row = self._rows.get(caller.name) or self._open(caller.name, now)
            row.refund(tokens, admitted_at, now)

    def release(self, caller: Caller) -> None:
        """Count a request out that was admitted for this very caller object; once."""
        if caller.max_in_flight is not None or caller.tokens_per_minute is not None:
            row = self._rows[caller.name]
            row.memory[row.at] -= 1.0

    def _in_flight(self, row: _Row) -> float:
        if not row.others:
            return row.memory[row.at]
        self._cells.barrier()
        return row.in_flight()

    def _open(self, name: str, now: float) -> _Row:
        """Return a row for a caller that has none."""
        tag = _tag(name)
        place = self._best_place(tag, now)
        if place is None:
            row = _Row([0.0] * _FIELDS, 0, (), tag)
        else:
            self._rows = {key: row for key, row in self._rows.items() if row.at != place.at}
            row = _Row(place.memory, place.at, place.others, tag)
        row.clear()
        self._rows[name] = row
        return row

    def _best_place(self, tag: float, now: float) -> Place | None:
        """Return where other workers count this caller, else the best row to give to it.

        The search begins at a place that the name decides: of two callers that two workers give
        rows to at the same instant, each gets its own.
        """
        best: tuple[int, Place | None] = (_TAKEN, None)
        for place in self._places(int(tag)):
            rank = _rank(place, tag, now)
            if rank < best[0]:
                best = (rank, place)
        return best[1]

    def _places(self, start: int) -> Iterator[Place]:
        count = self._cells.callers
        return (self._cells.caller((start + step) % count) for step in range(count))


def used(current: float, previous: float, now: float) -> float:
    """Return the tokens of the last 60 s, taking those of the last minute as evenly spread."""
    return current + previous * (1.0 - now % WINDOW_S / WINDOW_S)


def wait_s(current: float, previous: float, limit: float, now: float) -> float:
    """Return the seconds until less than ``limit`` is used, if nothing more is."""
    left_s = WINDOW_S - now % WINDOW_S
    if current < limit:
        return left_s - WINDOW_S * (limit - current) / previous
    return left_s + WINDOW_S * (1.0 - limit / current)


class _Row:
    """One caller's cells: this worker's own, and where those of the other workers are."""

    __slots__ = ("at", "memory", "others", "tag")

    def __init__(self, memory: Memory, at: int, others: tuple[int, ...], tag: float) -> None:
        self.memory = memory
        self.at = at
        self.others = others
        self.tag = tag

    def clear(self) -> None:
        """Take the row over; others do not sum it before it is zero."""
        for field in (_TAG, _IN_FLIGHT, _CURRENT, _PREVIOUS, _WINDOW):
            self.memory[self.at + field] = 0.0
        self.memory[self.at + _TAG] = self.tag

    def in_flight(self) -> float:
        memory, tag = self.memory, self.tag
        total = memory[self.at]
        for other in self.others:
            if memory[other + _TAG] == tag:
                total += memory[other]
        return total

    def usage(self, now: float) -> tuple[float, float]:
        """Return the tokens of this minute and of the one before, of all workers."""
        memory, tag = self.memory, self.tag
        window = now // WINDOW_S
        current, previous = _usage(memory, self.at, window)
        for other in self.others:
            if memory[other + _TAG] == tag:
                more, before = _usage(memory, other, window)
                current += more
                previous += before
        return current, previous

    def charge(self, tokens: float, now: float) -> None:
        memory, at = self.memory, self.at
        window = now // WINDOW_S
        if window > memory[at + _WINDOW]:
            current, previous = _usage(memory, at, window)
            memory[at + _CURRENT] = current
            memory[at + _PREVIOUS] = previous
            memory[at + _WINDOW] = window
        memory[at + _CURRENT] += tokens

    def refund(self, tokens: float, charged_at: float, now: float) -> None:
        """Take tokens back; nothing happens if their window is not counted any more."""
        self.charge(0.0, now)
        age = now // WINDOW_S - charged_at // WINDOW_S
        if age <= 1.0:
            field = self.at + (_PREVIOUS if age else _CURRENT)
            self.memory[field] = max(0.0, self.memory[field] - tokens)


def _usage(memory: Memory, at: int, window: float) -> tuple[float, float]:
    """Return what one worker's row tells of ``window`` and of the one before it."""
    behind = window - memory[at + _WINDOW]
    # A worker that looked at the clock a moment later may be one window ahead.
    if behind <= 0.0:
        return memory[at + _CURRENT], memory[at + _PREVIOUS]
    if behind == 1.0:
        return 0.0, memory[at + _CURRENT]
    return _NO_USAGE


_NO_USAGE = (0.0, 0.0)

_SHARED, _FREE, _FREE_HERE, _IDLE_HERE, _TAKEN = range(5)


def _rank(place: Place, tag: float, now: float) -> int:
    """Return how good a row is for a new caller; the lowest is the best."""
    memory, at = place.memory, place.at
    free = memory[at + _TAG] == 0.0
    if not free and not _is_idle(memory, at, now):
        return _TAKEN
    tags = [memory[other + _TAG] for other in place.others]
    if tag in tags:
        return _SHARED
    if not free:
        return _IDLE_HERE
    return _FREE_HERE if any(tags) else _FREE


def _is_idle(memory: Memory, at: int, now: float) -> bool:
    return memory[at] == 0.0 and now // WINDOW_S - memory[at + _WINDOW] > 1.0


def _tag(name: str) -> float:
    """Return a number of 52 bits that is the same in every process, and never 0."""
    return float(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 12 | 1)


def _too_many_tokens(name: str, limit: int, current: float, previous: float, now: float) -> Refusal:
    retry_s = max(math.ceil(wait_s(current, previous, limit, now)), 1)
    return Refusal(
        f'the key "{name}" has used {used(current, previous, now):.0f} tokens in the last minute, '
        f"and its limit is {limit}; try again in {retry_s} s",
        retry_s,
    )


def _too_many_requests(name: str, limit: int) -> Refusal:
    return Refusal(
        f'the key "{name}" has as many requests in flight as it may, {limit}; try again when one '
        "of them has ended",
        _IN_FLIGHT_RETRY_S,
    )
