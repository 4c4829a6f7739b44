"""One replica as the gateway holds it: its row of the table, its account, its connections."""

from __future__ import annotations

from replicore.gateway.ledger import Account
from replicore.gateway.table import ReplicaRow
from replicore.http.client import Pool

READY = "ready"


class Upstream:
    """One incarnation of a replica; a restart makes a new one, so nothing stale is carried over."""

    __slots__ = ("account", "pool", "row")

    def __init__(self, row: ReplicaRow, *, requests: int = 0, errors: int = 0) -> None:
        self.row = row
        self.pool = Pool(row.endpoint)
        self.account = Account(
            name=row.name,
            incarnation=row.incarnation,
            slots=row.slots,
            ready=row.state == READY,
            requests=requests,
            errors=errors,
        )

    @property
    def key(self) -> tuple[str, int]:
        """Name and incarnation."""
        return self.row.name, self.row.incarnation

    def is_same(self, row: ReplicaRow) -> bool:
        """Whether ``row`` is about this incarnation, at most in another state."""
        return self.key == (row.name, row.incarnation) and self.row.endpoint == row.endpoint

    def update(self, row: ReplicaRow) -> None:
        self.row = row
        self.account.ready = row.state == READY
        self.account.slots = row.slots
