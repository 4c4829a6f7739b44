from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from replicore.gateway.discovery import Discovery
from replicore.gateway.table import ReplicaRow
from replicore.http.address import url_of
from replicore.http.server import Request, Response, listen, serve


class FakeEngine:
    """Answers ``/v1/models``, or with an error."""

    def __init__(self) -> None:
        self.serves = True

    def handle(self, request: Request, response: Response) -> None:
        response.send(200 if self.serves else 503, b'{"data": [{"id": "m"}]}')

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        sock = listen("127.0.0.1", 0)
        server = await serve(self.handle, sock=sock)
        try:
            yield url_of(sock)
        finally:
            server.close()
            await server.wait_closed()


async def row_after_polls(*served: bool) -> ReplicaRow:
    """Poll one engine once for each of ``served``; return its row after the last poll."""
    engine = FakeEngine()
    async with engine.listening() as url:
        discovery = Discovery([url])
        for engine.serves in served:
            table = await discovery.look()
    return table.replicas[0]


def test_endpoint_that_misses_one_poll_stays_ready() -> None:
    assert asyncio.run(row_after_polls(True, False)).state == "ready"


def test_endpoint_that_misses_two_polls_in_a_row_is_not_ready() -> None:
    assert asyncio.run(row_after_polls(True, False, True, False, False)).state == "starting"


def test_endpoint_that_answers_again_is_the_same_incarnation() -> None:
    before = asyncio.run(row_after_polls(True))
    after = asyncio.run(row_after_polls(True, False, False, True))

    assert (after.state, after.incarnation) == ("ready", before.incarnation)


def test_endpoint_that_refuses_connections_is_not_ready_at_once() -> None:
    async def look_before_and_after() -> list[str]:
        async with FakeEngine().listening() as url:
            discovery = Discovery([url])
            before = await discovery.look()
        after = await discovery.look()
        return [table.replicas[0].state for table in (before, after)]

    assert asyncio.run(look_before_and_after()) == ["ready", "starting"]
