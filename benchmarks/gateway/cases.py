"""The loads, and what is measured under each."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections import deque
from collections.abc import Awaitable, Callable

from benchmarks.gateway import canned, usage
from benchmarks.gateway.client import Connection, Tally
from benchmarks.gateway.window import Figures, Target, Window
from replicore.http.fetch import fetch

CLIENTS = 32
TOKENS = 64
PACED_STREAMS = 400
IDLE_STREAMS = 1000
LARGE_PROMPT = 200_000
RATE = 1000.0
FLOOD_MIB = 64

_OPEN_LOOP_CLIENTS = 128
_WARM_UP_S = 0.5
_TICK_S = 0.001
_QUIET_S = 1.0
_TIMEOUT_S = 60.0
_FOREVER = 1_000_000


class CaseFailed(Exception):
    """Raised where a router does not do what a case needs of it; the message says what."""


async def nostream(target: Target) -> Figures:
    """Small chats, answered at once; and the memory after them."""
    figures = await _closed_loop(target, canned.prompt("now"), tokens=1, stream=False)
    return figures | usage.memory_mib(target.pids)


async def together(target: Target) -> Figures:
    """Streams whose tokens arrive together."""
    body = canned.prompt(f"together:{TOKENS}", stream=True)
    return await _closed_loop(target, body, tokens=TOKENS, stream=True)


async def large(target: Target) -> Figures:
    """Prompts of 200 kB."""
    body = canned.prompt("now", size=LARGE_PROMPT)
    return await _closed_loop(target, body, tokens=1, stream=False)


async def paced(target: Target) -> Figures:
    """Streams that get one token every 20 ms, all at the same time, as from a batch's step."""
    async with HeldStreams(target, f"paced:{_FOREVER}", PACED_STREAMS) as tally:
        await asyncio.sleep(_WARM_UP_S)
        window = Window(target, tally)
        await asyncio.sleep(target.seconds)
        figures = window.figures()
    if not figures["tokens"]:
        raise CaseFailed("no token came")
    return figures | {
        "chunks_per_s": figures["tokens"] / figures["seconds"],
        "cpu_per_chunk_us": figures["router_cpu_s"] / figures["tokens"] * 1e6,
        "chunks_per_read": figures["tokens"] / figures["reads"],
    }


async def idle(target: Target) -> Figures:
    """Streams that are open and get nothing."""
    before = usage.memory_mib(target.pids)
    async with HeldStreams(target, "open:1", IDLE_STREAMS) as tally:
        await asyncio.sleep(_WARM_UP_S)
        window = Window(target, tally)
        await asyncio.sleep(target.seconds)
        figures = window.figures()
        memory = usage.memory_mib(target.pids)
    grown = memory["rss_mib"] - before["rss_mib"]
    return figures | memory | {"rss_per_stream_kib": grown * 1024 / IDLE_STREAMS}


async def slow(target: Target) -> Figures:
    """A client that does not read a stream that comes as fast as it is read."""
    before, sent_before = usage.memory_mib(target.pids), await _flooded(target)
    body = canned.prompt(f"flood:{FLOOD_MIB}", stream=True)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", target.port))
        await loop.sock_sendall(sock, canned.request(body, key=target.key))
        sent = await _until_still(target) - sent_before
        memory = usage.memory_mib(target.pids)
    if not sent:
        raise CaseFailed("did not pass the stream on")
    return {
        "engine_sent_mib": sent / 2**20,
        "engine_was_stopped": float(sent < FLOOD_MIB * 2**20),
        "rss_grown_mib": memory["rss_mib"] - before["rss_mib"],
    }


async def latency(target: Target) -> Figures:
    """Small chats at a constant rate, whatever the answers do.

    A timer sends what is due every millisecond. A latency begins when its request is sent: it does
    not include the timer's own lateness.
    """
    tally = Tally()
    free: deque[Connection] = deque()
    request = canned.request(canned.prompt("now"), key=target.key)
    connections = await _connect(
        target, tally, request, _OPEN_LOOP_CLIENTS, tokens=1, stream=False, on_done=free.append
    )
    free.extend(connections)
    clock = asyncio.get_running_loop().time
    started, sent, lost = clock(), 0, 0
    window = None
    while (elapsed := clock() - started) < _WARM_UP_S + target.seconds:
        if window is None and elapsed >= _WARM_UP_S:
            window, lost = Window(target, tally), 0
        for _ in range(int(elapsed * RATE) - sent):
            sent += 1
            if free:
                free.popleft().send()
            else:
                lost += 1
        await asyncio.sleep(_TICK_S)
    if window is None:
        raise CaseFailed("the load could not be sent")
    await asyncio.sleep(0.1)
    figures = _per_request(window)
    _close(connections)
    if lost > RATE * target.seconds / 100:
        raise CaseFailed(f"cannot serve {RATE:g} requests per second")
    return figures


Case = Callable[[Target], Awaitable[Figures]]
CASES: dict[str, Case] = {
    case.__name__: case for case in (nostream, idle, together, latency, large, paced, slow)
}


async def run(name: str, target: Target) -> Figures:
    """Run one case with the collector off: the client's own pauses are not the router's."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        return await CASES[name](target)
    finally:
        gc.enable()
        gc.unfreeze()


async def _closed_loop(target: Target, body: bytes, *, tokens: int, stream: bool) -> Figures:
    """Every client sends its next request as soon as its last was answered."""
    tally = Tally()
    request = canned.request(body, key=target.key)
    connections = await _connect(
        target, tally, request, CLIENTS, tokens=tokens, stream=stream, on_done=Connection.send
    )
    for connection in connections:
        connection.send()
    await asyncio.sleep(_WARM_UP_S)
    window = Window(target, tally)
    await asyncio.sleep(target.seconds)
    figures = _per_request(window)
    _close(connections)
    await asyncio.sleep(0.2)
    return figures


def _per_request(window: Window) -> Figures:
    figures = window.figures()
    requests = figures["requests"]
    if requests < 2:
        raise CaseFailed("no request was answered")
    return {
        **figures,
        **window.latencies(),
        "requests_per_s": requests / figures["seconds"],
        "cpu_per_request_us": figures["router_cpu_s"] / requests * 1e6,
    }


class HeldStreams:
    """Streams that are held open; entered once every one has its first token."""

    def __init__(self, target: Target, directive: str, count: int) -> None:
        self._target = target
        body = canned.prompt(directive, stream=True)
        self._request = canned.request(body, key=target.key)
        self._count = count
        self._connections: list[Connection] = []

    async def __aenter__(self) -> Tally:
        tally = Tally()
        self._connections = await _connect(
            self._target,
            tally,
            self._request,
            self._count,
            tokens=_FOREVER,
            stream=True,
            on_done=lambda _: None,
        )
        for connection in self._connections:
            connection.send()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                while not all(connection.tokens for connection in self._connections):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            _close(self._connections)
            raise CaseFailed(f"did not open {self._count} streams") from error
        return tally

    async def __aexit__(self, *_: object) -> None:
        _close(self._connections)
        await asyncio.sleep(_WARM_UP_S)


async def _connect(
    target: Target,
    tally: Tally,
    request: bytes,
    count: int,
    *,
    tokens: int,
    stream: bool,
    on_done: Callable[[Connection], None],
) -> list[Connection]:
    def make() -> Connection:
        return Connection(tally, request, tokens=tokens, stream=stream, on_done=on_done)

    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(make, "127.0.0.1", target.port) for _ in range(count)]
    return [connection for _, connection in made]


def _close(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()


async def _until_still(target: Target) -> int:
    """Return the bytes that the engines have sent, once that has not grown for a second."""
    sent, last = await _flooded(target), None
    while sent != last:
        await asyncio.sleep(_QUIET_S)
        sent, last = await _flooded(target), sent
    return sent


async def _flooded(target: Target) -> int:
    """Return the bytes of floods that the engines have sent."""
    sent = 0
    for port in target.engine_ports:
        reply = await fetch(f"http://127.0.0.1:{port}", "GET", "/flooded", timeout=_TIMEOUT_S)
        sent += int(reply.body)
    return sent
