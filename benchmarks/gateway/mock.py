"""An engine that answers with canned bytes, faster than any router.

    python -m benchmarks.gateway.mock OWNER[=PORT]...

Prints one port per owner, the ``owned_by`` of its ``/v1/models``; then serves until its standard
input ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from functools import partial
from typing import cast

import uvloop

from benchmarks.gateway import canned

PERIOD_S = 0.02
_MIB = 1024 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": *true')


class Canned:
    """What is sent, made once: with token ids or without."""

    def __init__(self, *, token_ids: bool) -> None:
        self.answer = canned.response(canned.answer(token_ids=token_ids))
        self.first = canned.first_event(token_ids=token_ids)
        self.token = canned.token_event(token_ids=token_ids)
        self.block = self.token * (65536 // len(self.token))
        self._token_ids = token_ids

    def end(self, usage: int | None) -> bytes:
        events = canned.last_events(token_ids=self._token_ids, usage=usage)
        return events + canned.STREAM_END


_CANNED = {False: Canned(token_ids=False), True: Canned(token_ids=True)}


class Ticker:
    """Sends one token to every paced stream, every 20 ms: a step of a batch."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._next = loop.time() + PERIOD_S
        self.streams: dict[Engine, Paced] = {}
        loop.call_at(self._next, self._tick)

    def _tick(self) -> None:
        for engine, stream in list(self.streams.items()):
            stream.left -= 1
            if stream.left:
                engine.write(stream.canned.token)
            else:
                engine.write(stream.canned.end(stream.usage))
                del self.streams[engine]
        self._next += PERIOD_S
        self._loop.call_at(self._next, self._tick)


class Paced:
    """A stream that gets its tokens one by one; ``left`` are still to come."""

    __slots__ = ("canned", "left", "usage")

    def __init__(self, made: Canned, left: int, usage: int | None) -> None:
        self.canned = made
        self.left = left
        self.usage = usage


class Engine(asyncio.Protocol):
    """One connection."""

    flooded = 0  # bytes of floods that the kernel took, over all connections

    def __init__(self, ticker: Ticker, owner: str) -> None:
        self._ticker = ticker
        self._owner = owner
        self._received = bytearray()
        self._needed = 0
        self._flood: Canned | None = None
        self._flood_left = 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write

    def connection_lost(self, exc: Exception | None) -> None:
        self._ticker.streams.pop(self, None)
        self._flood = None

    def data_received(self, data: bytes) -> None:
        if self._received:
            self._received += data
            if len(self._received) < self._needed:
                return
            data = bytes(self._received)
            self._received.clear()
        while data:
            self._needed = self._end_of_request(data)
            if len(data) < self._needed:
                self._received += data
                return
            self._serve(data[: self._needed])
            data = data[self._needed :]

    @staticmethod
    def _end_of_request(data: bytes) -> int:
        body = data.find(b"\r\n\r\n") + 4
        if body == 3:
            return len(data) + 1
        length = _LENGTH.search(data, 0, body)
        return body + int(length[1]) if length else body

    def _serve(self, request: bytes) -> None:
        if request.startswith(b"POST /v1/"):
            self._complete(request)
        elif request.startswith(b"GET /v1/models"):
            self.write(canned.response(canned.models(self._owner)))
        elif request.startswith(b"GET /flooded"):
            self.write(canned.response(json.dumps(Engine.flooded).encode()))
        elif request.startswith((b"GET /health", b"GET /metrics")):
            self.write(canned.response(b"", type="text/plain"))
        else:
            self.write(canned.response(b'{"detail":"Not Found"}', status="404 Not Found"))

    def _complete(self, request: bytes) -> None:
        directive = canned.DIRECTIVE.search(request)
        made = _CANNED[b'"return_token_ids"' in request]
        if directive is None or not _STREAM.search(request):
            self.write(made.answer)
            return
        kind, count = directive[1], int(directive[2])
        usage = count if b'"include_usage"' in request else None
        if kind == b"together":
            tokens = made.first + made.token * (count - 1) + made.end(usage)
            self.write(canned.STREAM_HEAD + tokens)
        elif kind == b"flood":
            self.write(canned.STREAM_HEAD + made.first)
            self._flood, self._flood_left = made, count * _MIB
            self._pour()
        else:
            self.write(canned.STREAM_HEAD + made.first + (made.token if kind == b"open" else b""))
            if kind == b"paced":
                self._ticker.streams[self] = Paced(made, count, usage)

    # A flood: as fast as it is read.

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pour()

    def _pour(self) -> None:
        while self._flood is not None and not self._paused:
            if self._flood_left <= 0:
                self.write(self._flood.end(None))
                self._flood = None
                return
            Engine.flooded += len(self._flood.block)
            self._flood_left -= len(self._flood.block)
            self.write(self._flood.block)


async def _serve(words: list[str]) -> None:
    loop = asyncio.get_running_loop()
    ticker = Ticker(loop)
    for word in words:
        owner, _, port = word.partition("=")
        sock = socket.create_server(("127.0.0.1", int(port or 0)), backlog=4096)
        await loop.create_server(partial(Engine, ticker, owner), sock=sock)
        print(sock.getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1:]))
