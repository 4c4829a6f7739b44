"""Asks the engines for their own metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from io import StringIO

from replicore.errors import UpstreamError
from replicore.gateway.observe import catalogue
from replicore.gateway.observe.engine_metrics import EngineMetrics
from replicore.gateway.observe.metrics import Counter
from replicore.gateway.observe.snapshot import Snapshot
from replicore.gateway.table import ReplicaRow
from replicore.http.fetch import fetch

# Prometheus gives a scrape 10 s; an engine that is in a long prefill may not answer at all.
_TIMEOUT_S = 2.0
_LARGEST_PAGE = 8 * 1024 * 1024
_AT_ONCE = 16

# About a millisecond's work; then others have their turn.
_LINES_IN_A_ROW = 256

_ACCEPT = ((b"accept", b"text/plain;version=0.0.4"),)

# An engine without metrics: llama.cpp answers 501 unless it is started with --metrics.
_ABSENT = frozenset({404, 405, 501})


class Scraper:
    """Makes one page of the engines' metrics; those who ask at the same time share it."""

    def __init__(self, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._scrapes = Counter(catalogue.ENGINE_SCRAPES)
        self._skipped = Counter(catalogue.ENGINE_LINES_SKIPPED)
        self._running: asyncio.Task[str] | None = None

    async def page(self, rows: Sequence[ReplicaRow]) -> str:
        """Return the metrics of the ready replicas that have any."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._scrape(rows))
            self._running.add_done_callback(self._ended)
        # It is short and others may wait for it, so one who leaves does not end it.
        return await asyncio.shield(self._running)

    def snapshot(self) -> Snapshot:
        """Return how the requests went."""
        return Snapshot(counters=(*self._scrapes.counts(), *self._skipped.counts()))

    async def close(self) -> None:
        """End what is running."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    def _ended(self, _task: asyncio.Task[str]) -> None:
        self._running = None

    async def _scrape(self, rows: Sequence[ReplicaRow]) -> str:
        ready = [row for row in rows if row.state == "ready"]
        pages = await asyncio.gather(*(self._fetch(row) for row in ready))
        merged = EngineMetrics()
        for row, page in zip(ready, pages, strict=True):
            skipped = await _read(merged, row.name, page)
            if skipped:
                self._skipped.add((row.name,), skipped)
        return merged.text()

    async def _fetch(self, row: ReplicaRow) -> str:
        """Return an engine's page, empty if it gives none."""
        page, outcome = "", "error"
        try:
            async with self._slots:
                reply = await fetch(
                    row.endpoint,
                    "GET",
                    "/metrics",
                    headers=_ACCEPT,
                    timeout=self._timeout_s,
                    max_bytes=_LARGEST_PAGE,
                )
        except UpstreamError:
            pass  # counted, and seen there
        else:
            if reply.status == 200:
                page, outcome = reply.body.decode("utf-8", "replace"), "ok"
            elif reply.status in _ABSENT:
                outcome = "absent"
        self._scrapes.add((row.name, outcome))
        return page


async def _read(merged: EngineMetrics, replica: str, text: str) -> int:
    """Read a page without keeping the event loop for long; return how many lines are left out."""
    page = merged.page_of(replica)
    skipped = 0
    for number, line in enumerate(StringIO(text)):
        skipped += not page.read(line.rstrip("\r\n"))
        if number % _LINES_IN_A_ROW == 0:
            await asyncio.sleep(0)
    return skipped
