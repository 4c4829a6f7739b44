"""What the servers under test tell of themselves while they are measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from replicore.bench.record import ServerSample
from replicore.bench.selfcheck.server_metrics import read_page
from replicore.errors import UpstreamError
from replicore.http.address import authority
from replicore.http.client import split_endpoint
from replicore.http.fetch import fetch

_PERIOD_S = 1.0
# llama.cpp answers between two steps of its batch, which may be a long prefill.
_TIMEOUT_S = 5.0
# At the end nobody waits for a server that is slow to tell.
_LAST_TIMEOUT_S = 1.0

_NO_NAMES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Page:
    endpoint: str
    at: float
    text: bytes


class Scraper:
    """Asks each server for its metrics once a second; pages are read when all is over.

    Args:
        endpoints: Base URLs; ``/metrics`` is asked for. A page with ``replica`` labels, such as a
            gateway's, gives a sample for each of them.
        zero: ``time.perf_counter()`` at the start of the run.
        names: Of replicas by their endpoint, where ``host:port`` is not to be their name.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        zero: float,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        names: Mapping[str, str] = _NO_NAMES,
        period_s: float = _PERIOD_S,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._endpoints = endpoints
        self._zero = zero
        self._headers = headers
        self._names = names
        self._period_s = period_s
        self._clock = clock
        self._pages: list[_Page] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; within the running event loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._watch(endpoint)) for endpoint in self._endpoints]

    async def stop(self) -> list[ServerSample]:
        """End, and return the samples in order of time; none of a server that tells nothing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        telling = {page.endpoint for page in self._pages}
        await asyncio.gather(*(self._ask(one, _LAST_TIMEOUT_S) for one in sorted(telling)))
        samples = [sample for page in self._pages for sample in self._read(page)]
        return sorted(samples, key=lambda sample: sample.at_s)

    async def _watch(self, endpoint: str) -> None:
        """Ask until cancelled, or until the server says that it has no metrics."""
        telling = True
        while telling:
            telling = await self._ask(endpoint, _TIMEOUT_S)
            await asyncio.sleep(self._period_s)

    async def _ask(self, endpoint: str, timeout: float) -> bool:
        """Keep a page; return False if the server will not have one later either."""
        try:
            reply = await fetch(endpoint, "GET", "/metrics", headers=self._headers, timeout=timeout)
        except UpstreamError:
            return True
        if reply.status != 200:
            return reply.status >= 500 and reply.status != 501
        self._pages.append(_Page(endpoint, self._clock(), reply.body))
        return True

    def _read(self, page: _Page) -> list[ServerSample]:
        own = self._names.get(page.endpoint) or authority(*split_endpoint(page.endpoint))
        return [
            ServerSample(
                replica=name or own,
                at_s=page.at - self._zero,
                running=told.running,
                waiting=told.waiting,
                kv_usage=told.kv_usage,
                output_tokens=told.output_tokens,
            )
            for name, told in read_page(page.text.decode("utf-8", "replace")).items()
        ]
