"""A gateway over engines that are handlers on real sockets, all in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from replicore.engines.engine import EngineTraits
from replicore.gateway.server import Gateway
from replicore.gateway.table import ReplicaRow, ReplicaTable, Settings
from replicore.http.client import Exchange, Pool, encode_request
from replicore.http.fetch import Reply, fetch
from replicore.http.server import Handler, HttpServer, Request, Response, listen, serve

TIMEOUT = 20.0
CHAT = "/v1/chat/completions"
NO_TRAITS = EngineTraits()
EVENT_STREAM = [(b"content-type", b"text/event-stream")]


def event(text: str) -> bytes:
    return f'data: {{"choices":[{{"delta":{{"content":"{text}"}}}}]}}\n\n'.encode()


@dataclass
class FakeEngine:
    """An engine that keeps every response, for the test to answer."""

    requests: list[Request] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    left: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    someone_left: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, request: Request, response: Response) -> None:
        response.on_disconnect = self._on_disconnect
        self.requests.append(request)
        self.responses.append(response)
        self.arrived.set()

    def _on_disconnect(self) -> None:
        self.left += 1
        self.someone_left.set()


def answering(name: str) -> Handler:
    """An engine that answers at once with its name."""

    def answer(_request: Request, response: Response) -> None:
        response.send(200, json.dumps({"engine": name}).encode())

    return answer


def crashing(_request: Request, response: Response) -> None:
    """An engine that cuts every connection."""
    response.abort()


@dataclass
class House:
    """A gateway over engines."""

    gateway: Gateway
    url: str
    table: ReplicaTable
    servers: list[HttpServer]

    async def post(self, body: object, path: str = CHAT) -> Reply:
        return await fetch(self.url, "POST", path, body=json.dumps(body).encode(), timeout=TIMEOUT)

    def set_state(self, name: str, state: str, *, incarnation: int = 1) -> None:
        rows = [
            ReplicaRow(
                name=row.name,
                endpoint=row.endpoint,
                state=state if row.name == name else row.state,
                slots=row.slots,
                incarnation=incarnation if row.name == name else row.incarnation,
                traits=row.traits,
            )
            for row in self.table.replicas
        ]
        self.table = replace(self.table, replicas=tuple(rows))
        self.gateway.apply(self.table)


@contextlib.asynccontextmanager
async def house(
    *engines: Handler,
    slots: int | None = None,
    settings: Settings | None = None,
    traits: EngineTraits = NO_TRAITS,
    max_model_len: int | None = None,
) -> AsyncIterator[House]:
    """Start engines and a gateway; prove at the end that no counter leaked."""
    servers: list[HttpServer] = []
    rows: list[ReplicaRow] = []
    for index, engine in enumerate(engines):
        sock = listen("127.0.0.1", 0)
        servers.append(await serve(engine, sock=sock))
        rows.append(
            ReplicaRow(
                name=f"r{index}",
                endpoint=f"http://127.0.0.1:{sock.getsockname()[1]}",
                state="ready",
                slots=slots,
                traits=traits,
            )
        )
    gateway = Gateway(settings or Settings())
    table = ReplicaTable(model="m", max_model_len=max_model_len, replicas=tuple(rows))
    gateway.apply(table)
    front = listen("127.0.0.1", 0)
    limits, screen = gateway.limits, gateway.screen
    servers.append(await serve(gateway.handle, sock=front, limits=limits, screen=screen))
    try:
        yield House(gateway, f"http://127.0.0.1:{front.getsockname()[1]}", table, servers)
    finally:
        for server in reversed(servers):
            server.close()
            await server.wait_closed(0.5)
        stats = gateway.stats()
        await gateway.close()
    assert (stats.outstanding, stats.queued) == (0, 0)


class Client:
    """A streaming client: one request, everything that came."""

    def __init__(
        self, url: str, body: object, path: str = CHAT, *, pool: Pool | None = None
    ) -> None:
        self.pool = pool or Pool(url)
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.failed = False
        self.ended = asyncio.Event()
        self.got = asyncio.Event()
        fields = [(b"content-type", b"application/json")]
        request = encode_request(
            "POST", path, host=self.pool.authority, headers=fields, body=json.dumps(body).encode()
        )
        self.exchange: Exchange = self.pool.send(request, self)

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self.headers = status, dict(headers)

    def on_body(self, data: bytes) -> None:
        self.body += data
        self.got.set()

    def on_end(self) -> None:
        self.ended.set()

    def on_error(self, _error: Exception) -> None:
        self.failed = True
        self.ended.set()

    async def close(self) -> None:
        await self.pool.close()


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop turns until ``condition`` holds; the test's own timeout bounds it."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)
