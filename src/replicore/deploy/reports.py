"""What the gateway reports, and how to see in it that a replica has nothing left to do."""

from __future__ import annotations

import asyncio

from replicore.gateway.table import Report, Stats


class Reports:
    """The gateway's reports as they come in.

    Attributes:
        latest: None before the first.
    """

    def __init__(self) -> None:
        self.latest: Stats | None = None
        self._arrived = asyncio.Event()

    def take(self, report: Report) -> None:
        """Keep a report."""
        self.latest = report.stats
        self._arrived.set()
        self._arrived = asyncio.Event()

    async def drained(self, replica: str, *, revision: int) -> None:
        """Return once a replica has no request left.

        Args:
            revision: Of the table that told the gateway not to send it any more; what it reports
                before that one does not count.
        """
        while not self._is_drained(replica, revision):
            await self._arrived.wait()

    def _is_drained(self, replica: str, revision: int) -> bool:
        if self.latest is None or self.latest.revision < revision:
            return False
        stats = self.latest.replicas.get(replica)
        return stats is None or stats.outstanding == 0
