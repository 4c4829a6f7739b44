"""One connection without a socket: bytes in, what was written out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from replicore.errors import UpstreamError
from replicore.http.client import Exchange, Pool, _Connection, encode_request
from replicore.http.server import Handler, HttpServer, Limits
from replicore.http.server import _Connection as _ServerConnection

ENDPOINT = "http://engine:8000"


class FakeSocket:
    def setsockopt(self, *_arguments: object) -> None: ...


class FakeTransport(asyncio.Transport):
    """Keeps what is written; ``unsent`` is what the kernel is said not to have taken yet."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self.written = bytearray()
        self.unsent = 0
        self.reading = True
        self.ended = False  # we write no more: closed, aborted, or half closed
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        assert not self.ended
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return FakeSocket()

    def feed(self, pieces: Iterable[bytes]) -> None:
        """Receive the pieces, as one read each, until the connection is closed."""
        for piece in pieces:
            if not self.ended:
                self._protocol.data_received(piece)


class Client:
    """A client's connection, opened at time 0 of the server's clock; needs a running loop."""

    def __init__(self, handler: Handler, limits: Limits | None = None) -> None:
        self.server = HttpServer(handler, limits or Limits())
        self.server.sweep(0.0)
        self.connection = _ServerConnection(self.server)
        self.transport = FakeTransport(self.connection)

    def send(self, *pieces: bytes) -> None:
        self.transport.feed(pieces)

    @property
    def statuses(self) -> list[int]:
        """The status of every response, in order."""
        return [int(code) for code in re.findall(rb"HTTP/1.1 (\d+)", self.transport.written)]

    @property
    def held_bytes(self) -> int:
        """What the connection keeps of what was sent."""
        return len(self.connection._held) + self.connection._body.size


class Sink:
    """Keeps one response, and checks that its calls come in order and end once."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.body = b""
        self.ended = False
        self.error: UpstreamError | None = None

    @property
    def is_over(self) -> bool:
        return self.ended or self.error is not None

    def on_head(self, status: int, _headers: list[tuple[bytes, bytes]]) -> None:
        assert self.status is None
        assert not self.is_over
        self.status = status

    def on_body(self, data: bytes) -> None:
        assert self.status is not None
        assert not self.is_over
        self.body += data

    def on_end(self) -> None:
        assert not self.is_over
        self.ended = True

    def on_error(self, error: UpstreamError) -> None:
        assert not self.is_over
        self.error = error


class Engine:
    """An engine's connection to a pool, which has sent one request on it."""

    def __init__(self, method: str = "POST") -> None:
        self.pool = Pool(ENDPOINT)
        self.connection = _Connection(self.pool)
        self.transport = FakeTransport(self.connection)
        self.pool._idle.append(self.connection)
        self.sink = Sink()
        self.exchange = self.ask(self.sink, method)

    def ask(self, sink: Sink, method: str = "POST") -> Exchange:
        return self.pool.send(encode_request(method, "/", host="engine"), sink)

    def answer(self, *pieces: bytes) -> None:
        self.transport.feed(pieces)

    def close(self) -> None:
        """The engine ends the connection."""
        self.transport.ended = True
        self.connection.connection_lost(None)

    @property
    def is_kept(self) -> bool:
        """Whether the next request would go over this connection."""
        return self.connection in self.pool._idle

    @property
    def held_bytes(self) -> int:
        """What the connection keeps of what the engine sent, headers without the parser's."""
        headers = sum(len(name) + len(value) for name, value in self.connection._headers)
        return headers + sum(map(len, self.connection._body))
