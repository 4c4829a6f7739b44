"""One replica as the gateway holds it: its row of the table, its account, its connections."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from replicore.errors import UpstreamError
from replicore.gateway.routing.breaker import Breaker
from replicore.gateway.routing.ledger import Account
from replicore.gateway.table import ReplicaRow, ReplicaStats
from replicore.http.client import Pool

READY = "ready"

# Slots that a replica without a known number of them is given at the end of its slow start.
_UNKNOWN_SLOTS = 64


class Served(Protocol):
    """A request that a replica works on."""

    streaming: bool

    @property
    def paused(self) -> bool:
        """Whether nothing is read from the replica, because the client reads too slowly."""
        ...

    def break_off(self, error: UpstreamError) -> None:
        """Take the request away from the replica, as if the connection had failed."""
        ...


class Upstream:
    """One incarnation of a replica; a restart makes a new one, so nothing stale is carried over.

    Attributes:
        progress: Counts what it sends; whoever reads from it adds.
        stalled_s: How long it has sent nothing although it has requests.

    Args:
        slow_start: Seconds in which its slots are opened one after the other; 0 for all at once.
        now: Seconds, of the clock that :meth:`pace` and :meth:`watch` are called with.
        breaker_changed: Called with this upstream after every change of its breaker.
    """

    __slots__ = (
        "_breaker_changed",
        "_heard_at",
        "_seen",
        "_slow_start",
        "_started_at",
        "_streaming_since",
        "account",
        "breaker",
        "open_until",
        "pool",
        "progress",
        "row",
        "serving",
        "stalled_s",
    )

    def __init__(
        self,
        row: ReplicaRow,
        account: Account,
        *,
        slow_start: float,
        now: float,
        breaker_changed: Callable[[Upstream], None],
    ) -> None:
        self.row = row
        self.pool = Pool(row.endpoint)
        self.account = account
        self.breaker = Breaker()
        self.serving: set[Served] = set()
        self.progress = 0
        self.stalled_s = 0.0
        self.open_until = 0.0
        self._breaker_changed = breaker_changed
        self._slow_start = slow_start
        self._started_at = now
        self._seen = 0
        self._heard_at = now
        self._streaming_since = now
        account.ready = takes_requests(row)
        self.pace(now)

    @property
    def key(self) -> tuple[str, int]:
        """Name and incarnation."""
        return self.row.name, self.row.incarnation

    def is_same(self, row: ReplicaRow) -> bool:
        """Whether ``row`` is about this incarnation, at most in another state."""
        return self.key == (row.name, row.incarnation) and self.row.endpoint == row.endpoint

    def update(self, row: ReplicaRow, now: float) -> None:
        if self.row.state != READY and row.state == READY:
            self._started_at = now
        self.row = row
        self.account.ready = takes_requests(row)
        self.account.slots = row.slots
        self.pace(now)

    def answered(self, now: float) -> None:
        """Note that it answers; costs nothing where nothing has failed."""
        if self.breaker.is_clean:
            return
        was_closed = self.breaker.state == "closed"
        self.breaker.succeeded()
        if not was_closed:
            self._after_change(now)

    def refused(self, now: float) -> None:
        """Note that a connection to it failed."""
        if self.breaker.failed():
            self._after_change(now)

    def pace(self, now: float) -> bool:
        """Set how many requests it may have now; return whether that may change with time."""
        state = self.breaker.state
        if state == "open" and now >= self.open_until:
            self.breaker.probe()
            self._breaker_changed(self)
            state = "half_open"
        age = now - self._started_at
        if state == "half_open":
            # One more than there is: over all workers, each of which has a breaker of its own.
            self.account.limit = self.account.outstanding + 1
        elif state == "open":
            self.account.limit = 0
        elif age < self._slow_start:
            slots = self.row.slots or _UNKNOWN_SLOTS
            self.account.limit = max(1, math.ceil(slots * age / self._slow_start))
        else:
            self.account.limit = None
            return False
        return True

    def watch(self, now: float, stall_timeout: float) -> bool:
        """Look whether it has made progress since the last call; return whether it is stalled.

        Only an open stream that is read proves a stall: a request without one is silent until it
        ends, and no client may make a replica look hung by not reading.
        """
        if not any(one.streaming and not one.paused for one in self.serving):
            self._streaming_since = now
        is_read = not all(one.paused for one in self.serving)
        if self.progress != self._seen or not (is_read or self.stalled_s):
            self._seen, self._heard_at, self.stalled_s = self.progress, now, 0.0
            return False
        if not self.serving:
            return False  # what it had was taken away; it is suspect until it sends something
        rate = self.account.rates.prefill_rate
        allowed = stall_timeout + 3 * self.account.prefill_tokens / rate
        silent = now - self._heard_at
        self.stalled_s = silent if silent > allowed else 0.0
        # A stream that came into the silence of longer requests has its own time.
        return min(silent, now - self._streaming_since) > allowed

    def break_off(self, error: UpstreamError, now: float) -> None:
        """Take its streams away, and send nothing for a while."""
        if self.breaker.trip():
            self._after_change(now)
        for one in list(self.serving):
            if one.streaming:
                one.break_off(error)

    def retire(self) -> None:
        """Take no more part: another incarnation has its place and its name."""
        self.account.ready = False
        self._breaker_changed = _nobody_cares

    def stats(self) -> ReplicaStats:
        return replace(self.account.stats(), breaker=self.breaker.state, stalled_s=self.stalled_s)

    def _after_change(self, now: float) -> None:
        if self.breaker.state == "open":
            self.open_until = now + self.breaker.pause_s
        self.pace(now)
        self._breaker_changed(self)


def _nobody_cares(_upstream: Upstream) -> None:
    """A retired replica's breaker means nothing."""


def takes_requests(row: ReplicaRow) -> bool:
    """Whether new requests may go to a replica in this state."""
    return row.state == READY and not row.drained
