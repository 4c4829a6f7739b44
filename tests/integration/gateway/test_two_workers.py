"""Two workers of one gateway, which share the ledger's memory and tell each other of free slots."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from replicore.gateway.routing.cells import Cells
from replicore.gateway.server import Gateway
from replicore.gateway.table import ReplicaRow, ReplicaTable, Settings
from replicore.http.server import Handler, HttpServer, listen, serve
from tests.integration.gateway.house import Client, FakeEngine, crashing, until
from tests.integration.loops import run

BODY = {"model": "m", "messages": []}
WORKERS = 2


@dataclass
class Pair:
    """Both workers: their URLs, and how often each was woken."""

    urls: list[str] = field(default_factory=list)
    gateways: list[Gateway] = field(default_factory=list)
    woken: list[int] = field(default_factory=lambda: [0] * WORKERS)

    def wake(self, worker: int) -> None:
        """Wake a worker as its eventfd would: soon, and not from within the other one."""
        self.woken[worker] += 1
        asyncio.get_running_loop().call_soon(self.gateways[worker].freed)

    @property
    def queued(self) -> list[int]:
        return [gateway.stats().queued for gateway in self.gateways]


async def asked(engine: FakeEngine, times: int) -> None:
    await until(lambda: len(engine.responses) == times)


@contextlib.asynccontextmanager
async def pair(*engines: Handler, slots: int = 1) -> AsyncIterator[Pair]:
    """Start engines and two workers before them; prove at the end that no counter leaked."""
    servers: list[HttpServer] = []

    async def started(handler: Handler) -> str:
        sock = listen("127.0.0.1", 0)
        servers.append(await serve(handler, sock=sock))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"

    rows = [
        ReplicaRow(name=f"r{index}", endpoint=await started(engine), state="ready", slots=slots)
        for index, engine in enumerate(engines)
    ]
    parent, at = Cells.create(WORKERS), Pair()
    cells = [Cells.attach(os.dup(parent.fd or 0), worker) for worker in range(WORKERS)]
    for own in cells:
        gateway = Gateway(Settings(), cells=own, wake=at.wake)
        gateway.apply(ReplicaTable(model="m", replicas=tuple(rows)))
        at.gateways.append(gateway)
        at.urls.append(await started(gateway.handle))
    try:
        yield at
    finally:
        for server in reversed(servers):
            server.close()
            await server.wait_closed(0.5)
        left = [(stats.outstanding, stats.queued) for stats in (g.stats() for g in at.gateways)]
        for gateway in at.gateways:
            await gateway.close()
        at.gateways.clear()
        for own in [*cells, parent]:
            own.close()
    assert left == [(0, 0)] * WORKERS


def test_a_slot_that_one_worker_frees_goes_to_who_waits_at_the_other() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with pair(engine) as at:
            first = Client(at.urls[0], BODY)
            await until(lambda: len(engine.responses) == 1)
            second = Client(at.urls[1], BODY)
            await until(lambda: at.queued == [0, 1])

            engine.responses[0].send(200, b"{}")
            await until(lambda: len(engine.responses) == 2)
            engine.responses[1].send(200, b"{}")
            await second.ended.wait()

            assert (first.status, second.status) == (200, 200)
            assert at.woken == [0, 1]
            await first.close()
            await second.close()

    run(test)


def test_all_are_served_one_by_one_when_both_workers_want_the_last_slot() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with pair(engine) as at:
            clients = [Client(at.urls[number % WORKERS], BODY) for number in range(8)]
            for served in range(8):
                await asked(engine, served + 1)
                assert sum(gateway.stats().outstanding for gateway in at.gateways) == 1
                engine.responses[served].send(200, b"{}")
            for client in clients:
                await client.ended.wait()
                await client.close()

            assert [client.status for client in clients] == [200] * 8

    run(test)


def test_workers_whose_requests_cannot_use_what_is_free_do_not_wake_each_other_for_ever() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with pair(crashing, engine) as at:
            holder = Client(at.urls[0], BODY)
            await until(lambda: len(engine.responses) == 1)
            waiting = [Client(url, BODY) for url in at.urls]
            await until(lambda: at.queued == [1, 1])  # r0 is free, and has failed both
            before = sum(at.woken)
            for _ in range(100):
                await asyncio.sleep(0)

            assert sum(at.woken) - before <= WORKERS
            for served in range(3):
                await asked(engine, served + 1)
                engine.responses[served].send(200, b"{}")
            for client in [holder, *waiting]:
                await client.ended.wait()
                await client.close()
            assert [client.status for client in [holder, *waiting]] == [200] * 3

    run(test)
