"""Who serves what right now: in-flight work that cannot leak.

Every request that is sent to a replica holds a :class:`Ticket`; closing it, which may happen any
number of times and from any end of the request's life, gives back exactly what opening it took.
"""

from __future__ import annotations

from dataclasses import dataclass

from replicore.gateway.table import ReplicaStats


@dataclass(slots=True, eq=False)
class Account:
    """The work of one incarnation of a replica.

    Attributes:
        slots: Requests that may be outstanding; None for any number.
        ready: Whether new requests may go there.
        outstanding: Tickets open now.
        requests: Tickets opened since the gateway started.
        errors: Tickets closed with an error.
    """

    name: str
    incarnation: int
    slots: int | None
    ready: bool
    outstanding: int = 0
    requests: int = 0
    errors: int = 0

    @property
    def has_room(self) -> bool:
        return self.ready and (self.slots is None or self.outstanding < self.slots)

    def open(self) -> Ticket:
        """Count one request in."""
        self.outstanding += 1
        self.requests += 1
        return Ticket(self)

    def stats(self) -> ReplicaStats:
        return ReplicaStats(
            outstanding=self.outstanding, requests=self.requests, errors=self.errors
        )


class Ticket:
    """One request at one replica."""

    __slots__ = ("_open", "account")

    def __init__(self, account: Account) -> None:
        self.account = account
        self._open = True

    def close(self, *, error: bool = False) -> None:
        """Count the request out; only the first call counts."""
        if self._open:
            self._open = False
            self.account.outstanding -= 1
            self.account.errors += error
