"""What the gateway reports, and how to see in it that a replica has nothing left to do."""

from __future__ import annotations

import asyncio

from replicore.gateway.table import Report, Stats


class Reports:
    """The gateway's reports as they come in, one a second.

    Attributes:
        latest: None before the first.
    """

    def __init__(self) -> None:
        self.latest: Stats | None = None
        self._count = 0
        self._arrived = asyncio.Event()

    def take(self, report: Report) -> None:
        """Count a report in."""
        self.latest = report.stats
        self._count += 1
        self._arrived.set()
        self._arrived = asyncio.Event()

    async def drained(self, replica: str) -> None:
        """Return once a replica that the gateway does not route to any more has no request left.

        The next report may have been written before the gateway read that the replica drains, and
        a request may have been sent there in between. The one after it counts.
        """
        first_that_counts = self._count + 2
        while self._count < first_that_counts or self._outstanding(replica) > 0:
            await self._arrived.wait()

    def _outstanding(self, replica: str) -> int:
        stats = self.latest.replicas.get(replica) if self.latest else None
        return stats.outstanding if stats else 0
