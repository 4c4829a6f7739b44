"""Engines and clients that do everything wrong, at random but from a seed; all in one event loop.

What an engine says of a text is always right, as far as it gets: so whatever a client has of a
stream must be the beginning of one known text, and all of it where the stream came to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, cast

from msgspec.structs import replace

from replicore.engines.known import SIMULATOR
from replicore.engines.sim.faults import parse_faults
from replicore.engines.sim.options import SimOptions
from replicore.engines.sim.scheduler import Timing
from replicore.engines.sim.server import SimServer
from replicore.gateway.routing.cells import Cells
from replicore.gateway.server import Gateway
from replicore.gateway.table import ReplicaRow, ReplicaTable, Settings
from replicore.http.client import Exchange, Pool, encode_request
from replicore.http.server import HttpServer, Request, Response, listen, serve

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
LENGTH = 512
SLOTS = 8
MAX_TOKENS = 6
PROMPTS = 8

# A client's patience: some engines never answer.
PATIENCE_S = 0.6

_TIMING = Timing(prefill_tokens_per_s=1e6, decode_tokens_per_s=2000)
_DONE = b"data: [DONE]\n\n"

# What befalls a request at an engine: a fault of the simulator, or one made here.
FATES = {
    "": 70,
    "reset-after-tokens=1": 3,
    "reset-after-tokens=3": 3,
    "malformed-sse-after=0": 2,
    "malformed-sse-after=2": 3,
    "stall-after-tokens=2": 1,
    "tokens-per-chunk=4": 6,
    "reset": 3,
    "silence": 1,
    "status 500": 2,
    "status 503": 2,
}

_SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"

# Answers that no client may see; to a request without a stream, only those of the first kind.
RAW = (
    b"",
    b"\x00\xff" * 50,
    b"nothing of HTTP\r\n\r\n",
    b"HTTP/1.1 999 Odd\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
    b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000,
    b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"content-length: 2\r\n\r\n{}",
    _JSON + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    _JSON + b"content-length: -5\r\n\r\nhello",
    _JSON + b"content-length: 500\r\n\r\n{}",
    _JSON + b"transfer-encoding: chunked\r\n\r\nZZ\r\n",
    _JSON + b"transfer-encoding: chunked\r\n\r\n5\r\n{}",
)
RAW_STREAMS = (
    _SSE + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    _SSE + b"content-length: 30\r\n\r\ndata: {{{\n\n",
    _SSE + b"content-length: 9\r\n\r\ndata: 5\n\n",
    _SSE + b'content-length: 22\r\n\r\ndata: {"error": 500}\n\n',
    _SSE + b"\r\n: only a comment\n\n",
    _SSE + b"\r\ndata: " + b"z" * 3000,
)


def draw(random: Random, weights: dict[str, int]) -> str:
    return random.choices(list(weights), list(weights.values()))[0]


class FatefulEngine:
    """Simulators behind one address; chance says what befalls a request."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._sims = {fate: _simulator(fate) for fate in FATES if not fate or "=" in fate}

    def __call__(self, request: Request, response: Response) -> None:
        fate = draw(self._random, FATES) if request.path.startswith("/v1/") else ""
        if fate in self._sims:
            self._sims[fate].handle(request, response)
        elif fate == "reset":
            response.abort()
        elif fate.startswith("status"):
            response.send(int(fate[-3:]), b'{"error": {"message": "fate"}}')


def _simulator(fault: str) -> SimServer:
    options = SimOptions(model="m", slots=64, max_model_len=LENGTH, timing=_TIMING)
    return SimServer(options, faults=parse_faults([fault] if fault else []), die=_die)


def _die(fault: str) -> None:
    raise AssertionError(fault)


class RawEngine(asyncio.Protocol):
    """One connection to an engine that does not speak HTTP, or not for long."""

    def __init__(self, random: Random, connections: set[asyncio.BaseTransport]) -> None:
        self._random = random
        self._connections = connections
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        answers = RAW + RAW_STREAMS if b'"stream"' in data else RAW
        self._transport.write(self._random.choice(answers))
        if self._random.random() < 0.8:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.discard(self._transport)


@dataclass(eq=False)
class Sky:
    """A gateway over all of these engines.

    Attributes:
        engines: Those that can be struck.
    """

    gateway: Gateway
    cells: Cells
    url: str
    table: ReplicaTable
    engines: list[HttpServer]

    def strike(self, random: Random) -> None:
        """Cut all connections to some replica; soon it is back, as a new incarnation."""
        index = random.randrange(len(self.engines))
        row = self.table.replicas[index]
        if row.state != "ready":
            return
        for connection in list(self.engines[index].connections):
            connection.abort()
        self._apply(index, state="backoff")
        back = partial(self._apply, index, state="ready", incarnation=row.incarnation + 1)
        asyncio.get_running_loop().call_later(random.random() * 0.05, back)

    def _apply(self, index: int, **changes: Any) -> None:
        rows = list(self.table.replicas)
        rows[index] = replace(rows[index], **changes)
        self.table = replace(self.table, replicas=tuple(rows))
        self.gateway.apply(self.table)

    @property
    def is_idle(self) -> bool:
        stats = self.gateway.stats()
        return stats.outstanding == stats.queued == 0

    def counters(self) -> list[float]:
        """Return all that must be 0 when nobody asks for anything."""
        upstreams = self.gateway.dispatcher.upstreams.values()
        found = [self.cells.waiting, float(len(self.gateway.dispatcher))]
        for index in range(len(self.table.replicas)):
            place = self.cells.replica(index)
            found += [place.get(field) for field in range(3)]
        found += [self.cells.caller(index).get() for index in range(self.cells.callers)]
        return found + [float(len(one.serving)) for one in upstreams]


@contextlib.asynccontextmanager
async def sky(seed: int, *, engines: int, settings: Settings) -> AsyncIterator[Sky]:
    """Run engines of every kind: fateful ones, one that does not speak HTTP, one not there.

    At the end the gateway must have closed every connection to them.
    """
    raw: set[asyncio.BaseTransport] = set()
    servers, endpoints = [], []
    for index in range(engines):
        sock = listen("127.0.0.1", 0)
        endpoints.append(f"http://127.0.0.1:{sock.getsockname()[1]}")
        servers.append(await serve(FatefulEngine(Random(seed + index)), sock=sock))
    odd, nobody = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    random = Random(seed)
    raw_server = await asyncio.get_running_loop().create_server(
        lambda: RawEngine(random, raw), sock=odd
    )
    endpoints += [f"http://127.0.0.1:{sock.getsockname()[1]}" for sock in (odd, nobody)]
    nobody.close()
    rows = [
        ReplicaRow(name=f"r{i}", endpoint=url, state="ready", slots=SLOTS, traits=SIMULATOR)
        for i, url in enumerate(endpoints)
    ]
    table = ReplicaTable(model="m", max_model_len=LENGTH, replicas=tuple(rows))
    cells = Cells.local()
    gateway = Gateway(settings, cells=cells)
    gateway.apply(table)
    front = listen("127.0.0.1", 0)
    door = await serve(gateway.handle, sock=front, limits=gateway.limits)
    url = f"http://127.0.0.1:{front.getsockname()[1]}"
    try:
        yield Sky(gateway, cells, url, table, servers)
    finally:
        await _end([door])
        await gateway.close()
        await until(lambda: not raw and not any(server.connections for server in servers))
        raw_server.close()
        await _end(servers)


async def _end(servers: list[HttpServer]) -> None:
    for server in servers:
        server.close()
        await server.wait_closed(0.5)


def said(prompt: int, path: str) -> dict[str, Any]:
    text = f"prompt number {prompt}"
    if path == CHAT:
        return {"messages": [{"role": "user", "content": text}]}
    return {"prompt": text}


def text_of(event: Any) -> str:
    return "".join(
        (choice.get("delta") or choice.get("message") or {}).get("content") or ""
        if "text" not in choice
        else choice["text"]
        for choice in event.get("choices", ())
    )


class Visit:
    """One request of one client, which may leave at any time.

    Args:
        leave: After how many reads of the body; None to stay.
    """

    def __init__(self, pool: Pool, path: str, body: bytes, key: bytes, leave: int | None) -> None:
        fields = [(b"content-type", b"application/json"), (b"authorization", b"Bearer " + key)]
        request = encode_request("POST", path, host=pool.authority, headers=fields, body=body)
        self.status = 0
        self.kind = b""
        self.body = b""
        self.left = self.failed = False
        self.over = asyncio.Event()
        self._leave = leave
        self.exchange: Exchange = pool.send(request, self)

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self.kind = status, dict(headers).get(b"content-type", b"")

    def on_body(self, data: bytes) -> None:
        self.body += data
        if self._leave is not None:
            self._leave -= 1
            if self._leave < 0:
                self.go()

    def on_end(self) -> None:
        self.over.set()

    def on_error(self, _error: Exception) -> None:
        self.failed = True
        self.over.set()

    def go(self) -> None:
        """Leave, now."""
        self.left = True
        self.exchange.cancel()
        self.over.set()


@dataclass
class Storm:
    """Clients that send requests of every kind, and look at what they get.

    Attributes:
        strike: Called after every so many requests.
        outcomes: How many requests ended how.
        wrong: What no client may see.
    """

    url: str
    random: Random
    expected: dict[tuple[str, int], str]
    strike: Callable[[], None]
    keys: Sequence[bytes] = (b"none",)
    strike_every: int = 150
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def blow(self, requests: int, *, clients: int = 48) -> None:
        """Send so many requests, from so many clients at once."""
        left = iter(range(1, requests + 1))
        await asyncio.gather(*(self._client(left) for _ in range(clients)))

    async def _client(self, left: Iterator[int]) -> None:
        pool = Pool(self.url)
        for number in left:
            if number % self.strike_every == 0:
                self.strike()
            await self._visit(pool)
        await pool.close()

    async def _visit(self, pool: Pool) -> None:
        random = self.random
        path, prompt = random.choice((CHAT, COMPLETIONS)), random.randrange(PROMPTS)
        stream = random.random() < 0.8
        body = {**said(prompt, path), "max_tokens": MAX_TOKENS, "ignore_eos": True}
        body |= {"stream": True} if stream else {}
        if random.random() < 0.1:
            body["stop"] = ["never said"]
        data = json.dumps(body).encode() if random.random() < 0.99 else b"{nonsense"
        leave = random.randrange(6) if random.random() < 0.15 else None
        visit = Visit(pool, path, data, random.choice(self.keys), leave)
        await self._wait(visit)
        self._look_at(visit, self.expected[path, prompt])

    async def _wait(self, visit: Visit) -> None:
        """Wait for a visit's end, with little patience, and sometimes without reading."""
        loop, draw_ = asyncio.get_running_loop(), self.random.random()
        timers = [loop.call_later(PATIENCE_S, visit.go)]
        if draw_ < 0.05:
            timers.append(loop.call_later(draw_ / 5, visit.go))
        elif draw_ < 0.08:
            visit.exchange.pause()
            timers.append(loop.call_later(0.01, visit.exchange.resume))
        await visit.over.wait()
        for timer in timers:
            timer.cancel()

    def _look_at(self, visit: Visit, expected: str) -> None:
        outcome, is_right = "left", True
        if not visit.left:
            try:
                outcome, is_right = judge(visit, expected)
            except (ValueError, AttributeError, TypeError):
                outcome, is_right = "nonsense", False
        self.outcomes[outcome] += 1
        if not is_right:
            self.wrong.append(f"{outcome}: {visit.status} {visit.kind!r} {visit.body!r}")


def judge(visit: Visit, expected: str) -> tuple[str, bool]:
    """Return how a visit ended, and whether that is a way in which one may end."""
    if visit.failed:
        return "cut", False
    if visit.status != 200:
        return f"status {visit.status}", bool(json.loads(visit.body)["error"])
    if not visit.kind.startswith(b"text/event-stream"):
        return "whole", text_of(json.loads(visit.body)) == expected
    is_done = visit.body.endswith(_DONE)
    *parts, rest = visit.body.removesuffix(_DONE).split(b"\n\n")
    payloads = [part.removeprefix(b"data: ") for part in parts if not part.startswith(b":")]
    events = [json.loads(payload) for payload in payloads]
    text = "".join(map(text_of, events))
    if is_done:
        return "stream", rest == b"" and text == expected
    has_error = bool(events) and "error" in events[-1]
    return "broken stream", rest == b"" and has_error and expected.startswith(text)


async def expected_texts() -> dict[tuple[str, int], str]:
    """Return what a simulator says to each prompt when it is left alone."""
    sock = listen("127.0.0.1", 0)
    server = await serve(_simulator("").handle, sock=sock)
    pool = Pool(f"http://127.0.0.1:{sock.getsockname()[1]}")
    texts = {}
    for path in (CHAT, COMPLETIONS):
        for prompt in range(PROMPTS):
            body = {**said(prompt, path), "max_tokens": MAX_TOKENS, "ignore_eos": True}
            visit = Visit(pool, path, json.dumps(body).encode(), b"", None)
            await visit.over.wait()
            texts[path, prompt] = text_of(json.loads(visit.body))
    await pool.close()
    await _end([server])
    return texts


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop turns until ``condition`` holds; the test's own timeout bounds it."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
