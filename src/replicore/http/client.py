"""An HTTP/1.1 client without a task per request: a pool of keep-alive connections to one endpoint.

``Pool.send`` takes the request's bytes and a sink; the sink's callbacks run inside the transport's
``data_received``, once per read and not once per chunk, so that a stream that arrives in one packet
costs one call.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools

from replicore.errors import ConfigError, OutOfSockets, UpstreamError
from replicore.http.address import authority

# A host name that IDNA cannot encode is a UnicodeError.
_CONNECT_ERRORS = (OSError, TimeoutError, UnicodeError)

# What says that this process or machine is at a limit, and nothing of the endpoint.
_OUR_LIMITS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)

# What an engine may send before, between and after the parts of a body: heads (each 1xx has one),
# chunk extensions, trailers.
_MOST_UNREAD_BYTES = 64 * 1024
_MOST_HEADERS = 100
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))

# struct linger {on, seconds}: close(2) then sends RST instead of FIN (socket(7)).
_NO_LINGER = struct.pack("ii", 1, 0)

# Opens a connection to host and port for the protocol that it makes: `loop.create_connection`, or
# another transport.
Connect = Callable[[Callable[[], asyncio.Protocol], str, int], Awaitable[object]]


class ResponseSink(Protocol):
    """Receives one response; its last call is either ``on_end`` or ``on_error``."""

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Take status and headers; header names are lower case."""
        ...

    def on_body(self, data: bytes) -> None:
        """Take the part of the body that one read brought."""
        ...

    def on_end(self) -> None: ...

    def on_error(self, error: UpstreamError) -> None:
        """The connection failed; ``on_head`` may or may not have been called before."""
        ...


def encode_request(
    method: str,
    target: str,
    *,
    host: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes = b"",
) -> bytes:
    """Return a request's bytes with its ``content-length``; ``host`` is the authority."""
    return encode_head(method, target, host=host, headers=headers, length=len(body)) + body


def encode_head(
    method: str,
    target: str,
    *,
    host: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    length: int = 0,
) -> bytes:
    """Return a request's bytes before its body of ``length`` bytes."""
    lines = [f"{method} {target} HTTP/1.1\r\nhost: {host}".encode("latin-1")]
    lines += map(b": ".join, headers)
    if length or method not in ("GET", "HEAD"):
        lines.append(b"content-length: %d\r\n\r\n" % length)
    else:
        lines.append(b"\r\n")
    return b"\r\n".join(lines)


class Exchange:
    """One request on its way. Made by :meth:`Pool.send`.

    Attributes:
        connected_at: ``time.perf_counter()`` when a connection was open for it; None where a kept
            one was used.
        sent_at: ``time.perf_counter()`` when the request was handed to the kernel; None before.
        done: Whether the sink has had its last callback, or the exchange was cancelled.
        paused: Whether :meth:`pause` was called last, not :meth:`resume`.
    """

    __slots__ = (
        "_connection",
        "_pool",
        "_task",
        "body",
        "connected_at",
        "done",
        "paused",
        "request",
        "sent_at",
        "sink",
    )

    def __init__(
        self, pool: Pool, request: bytes, body: bytes | memoryview, sink: ResponseSink
    ) -> None:
        self._pool = pool
        self._connection: _Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self.paused = False
        self.request = request
        self.body = body
        self.sink = sink
        self.connected_at: float | None = None
        self.sent_at: float | None = None
        self.done = False

    @property
    def transport(self) -> asyncio.Transport | None:
        """What it is sent on, until its last callback."""
        return self._connection.transport if self._connection is not None else None

    def cancel(self) -> None:
        """Give up: the connection is cut, the engine sees it, and the sink hears nothing more."""
        if self.done:
            return
        self.done = True
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.abort()

    def pause(self) -> None:
        """Stop reading: the engine's writes fill the kernel's buffers, then block."""
        self.paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        self.paused = False
        if self._connection is not None:
            self._connection.resume()

    def attach(self, connection: _Connection) -> None:
        self._connection = connection
        self.sent_at = time.perf_counter()
        connection.begin(self)
        if self.paused:
            connection.pause()

    def detach(self) -> None:
        self._connection = None

    def fail(self, message: str, *, is_ours: bool = False) -> None:
        """Tell the sink; ``is_ours`` says that the endpoint has no part in it."""
        if not self.done:
            self.done = True
            self.sink.on_error(OutOfSockets(message) if is_ours else UpstreamError(message))


class Pool:
    """Keep-alive connections to one endpoint, opened when needed, the most recently used first.

    A request that was sent on a kept connection which the engine had closed meanwhile is sent again
    on a fresh one, as long as no byte of a response has come (llama.cpp closes its connections
    after 5 s or 100 requests, so this happens all the time).

    Args:
        endpoint: Base URL, ``http://host:port``; only its authority is used.
        connect_timeout: Seconds.
        connect: How a connection is opened; the event loop's own by default.
    """

    def __init__(
        self, endpoint: str, *, connect_timeout: float = 5.0, connect: Connect | None = None
    ) -> None:
        self.endpoint = endpoint
        self.host, self.port = split_endpoint(endpoint)
        self._connect_timeout = connect_timeout
        self._connect_with = connect
        self._idle: list[_Connection] = []
        self._connections: set[_Connection] = set()
        self._connects: dict[asyncio.Task[None], Exchange] = {}
        self._closed = False
        self._all_lost = asyncio.Event()

    @property
    def authority(self) -> str:
        """``host:port``, for the ``host`` header."""
        return authority(self.host, self.port)

    def send(
        self, request: bytes, sink: ResponseSink, *, body: bytes | memoryview = b""
    ) -> Exchange:
        """Send on an idle connection, or on a new one.

        Args:
            body: What follows ``request``, apart from it so that a large one is not copied.
        """
        exchange = Exchange(self, request, body, sink)
        if self._closed:
            message = f"the connections to {self.endpoint} were closed"
            asyncio.get_running_loop().call_soon(exchange.fail, message)
        elif self._idle:
            exchange.attach(self._idle.pop())
        else:
            self._connect(exchange)
        return exchange

    async def open(self, count: int) -> None:
        """Open connections beforehand until ``count`` are idle.

        Raises:
            UpstreamError: The endpoint does not accept them.
        """
        missing = max(0, count - len(self._idle))
        opened = await asyncio.gather(
            *(self._open_one() for _ in range(missing)), return_exceptions=True
        )
        self._idle += [one for one in opened if isinstance(one, _Connection) and one.keep()]
        for one in opened:
            if isinstance(one, _CONNECT_ERRORS):
                raise UpstreamError(self._connect_message(one)) from one
            if isinstance(one, BaseException):
                raise one

    async def close(self) -> None:
        """Cut every connection; requests on their way end with ``on_error``."""
        self._closed = True
        for task, exchange in list(self._connects.items()):
            task.cancel()
            exchange.fail(f"the connections to {self.endpoint} were closed")
        await asyncio.gather(*self._connects, return_exceptions=True)
        for connection in list(self._connections):
            connection.abort()
        if self._connections:
            await self._all_lost.wait()

    def forget(self, connection: _Connection) -> None:
        """Send nothing more on a connection that waited for its next request."""
        if connection in self._idle:
            self._idle.remove(connection)

    def release(self, connection: _Connection) -> None:
        if self._closed:
            connection.abort()
        else:
            self._idle.append(connection)

    def connection_lost(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self.forget(connection)
        if self._closed and not self._connections:
            self._all_lost.set()

    def send_again(self, exchange: Exchange) -> None:
        """Send on a fresh connection what a stale one swallowed."""
        self._connect(exchange)

    def _connect(self, exchange: Exchange) -> None:
        task = asyncio.get_running_loop().create_task(self._connect_and_send(exchange))
        exchange._task = task
        self._connects[task] = exchange
        task.add_done_callback(self._connects.pop)

    async def _connect_and_send(self, exchange: Exchange) -> None:
        try:
            connection = await self._open_one()
        except _CONNECT_ERRORS as error:
            is_ours = isinstance(error, OSError) and error.errno in _OUR_LIMITS
            exchange.fail(self._connect_message(error), is_ours=is_ours)
            return
        exchange._task = None
        exchange.connected_at = time.perf_counter()
        exchange.attach(connection)

    async def _open_one(self) -> _Connection:
        connect = self._connect_with or asyncio.get_running_loop().create_connection
        connection = _Connection(self)
        try:
            async with asyncio.timeout(self._connect_timeout):
                await connect(lambda: connection, self.host, self.port)
        except BaseException:
            self.connection_lost(connection)
            raise
        return connection

    def _connect_message(self, error: Exception) -> str:
        reason = "timed out" if isinstance(error, TimeoutError) else str(error)
        return f"cannot connect to {self.endpoint}: {reason}"


class _BadResponse(Exception):
    """Raised inside the parser's callbacks for what llhttp accepts and we do not."""


class _Connection(asyncio.Protocol):
    """One connection to the endpoint; carries one exchange at a time.

    It is used again only if the engine said so, the request had left before the response ended, and
    not a byte followed it: after anything odd, the next response could be somebody else's.
    """

    __slots__ = (
        "_aborted",
        "_body",
        "_complete",
        "_exchange",
        "_framed",
        "_got_bytes",
        "_headers",
        "_in_body",
        "_keep_alive",
        "_parser",
        "_pool",
        "_reused",
        "_transport",
        "_unread_bytes",
        "on_body",
    )

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._reused = False
        self._aborted = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self.on_body = self._body.append  # a callback of httptools too: no frame of ours per chunk
        self._got_bytes = False
        self._unread_bytes = 0
        self._in_body = False
        self._framed = False
        self._complete = False
        self._keep_alive = False
        self._parser: httptools.HttpResponseParser = httptools.HttpResponseParser(self)

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._transport

    def keep(self) -> bool:
        """Make this a kept connection, which may turn out stale; False if it is lost already."""
        self._reused = True
        return self._transport is not None

    def begin(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._got_bytes = self._in_body = self._complete = False
        self._unread_bytes = 0
        if self._transport is None:
            self.connection_lost(None)
        else:
            self._transport.write(exchange.request)
            if exchange.body:
                self._transport.write(exchange.body)

    def abort(self) -> None:
        """Cut the connection with a reset.

        After an ordinary close the engine's next write still succeeds, and only the one after it
        fails: one prefill step more for nobody.
        """
        if self._transport is None:
            return
        self._aborted = True
        sock = self._transport.get_extra_info("socket")
        if sock is None:
            # uvloop closed it without connection_lost: its connect was cancelled half way.
            self.connection_lost(None)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._pool._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._pool.connection_lost(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None or exchange.done:
            return
        exchange.detach()
        if self._reused and not self._got_bytes and not self._pool._closed:
            self._pool.send_again(exchange)
        elif self._in_body and not self._framed and exc is None and not self._aborted:
            exchange.done = True
            exchange.sink.on_end()
        else:
            exchange.fail(
                f"{self._pool.endpoint} closed the connection before the response was whole"
            )

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or exchange.done:
            self._pool.forget(self)
            self.abort()
            return
        self._got_bytes = True
        problem = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            problem = self._explain(error)
        body = self._body
        if body:
            part = body[0] if len(body) == 1 else b"".join(body)
            body.clear()
            self._unread_bytes = 0
            if not exchange.done:
                exchange.sink.on_body(part)
        elif not self._complete:
            self._unread_bytes += len(data)
            if self._unread_bytes > _MOST_UNREAD_BYTES:
                problem = f"more than {_MOST_UNREAD_BYTES} bytes without a part of a body"
        if self._complete:
            self._finish(exchange, is_clean=problem is None)
        elif problem is not None:
            exchange.fail(f"{self._pool.endpoint} sent an invalid HTTP response: {problem}")
            self.abort()

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            raise _BadResponse("bytes after the end of the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, []
        if not 200 <= status <= 599:
            if status < 100 or status > 599 or status == 101:
                raise _BadResponse(f"status {status}")
            return
        if len(headers) > _MOST_HEADERS:
            raise _BadResponse(f"more than {_MOST_HEADERS} headers")
        self._framed = _is_framed(headers)
        self._in_body = True
        exchange = self._exchange
        if exchange is None or exchange.done:
            return
        exchange.sink.on_head(status, headers)
        if exchange.request[:5] == b"HEAD ":
            # The parser would wait for a body; it cannot be told otherwise, nor be used again.
            self._complete = True
            raise _BadResponse("no more is read of a response to HEAD")

    def on_message_complete(self) -> None:
        if self._in_body:
            self._complete = True
            # Only known now: the parser starts anew after this callback.
            self._keep_alive = self._parser.should_keep_alive()

    # inside

    def _explain(self, error: Exception) -> str:
        if isinstance(error, httptools.HttpParserUpgrade):
            return "it switches to another protocol"
        if not isinstance(error, httptools.HttpParserCallbackError):
            return str(error)
        if isinstance(error.__context__, _BadResponse):
            return str(error.__context__)
        # A bug in a sink; connection_lost tells the exchange.
        self.abort()
        raise error

    def _finish(self, exchange: Exchange, *, is_clean: bool) -> None:
        """End the exchange; keep the connection if the engine keeps it and nothing was odd."""
        self._exchange = None
        exchange.detach()
        transport = self._transport
        if (
            is_clean
            and self._keep_alive
            and not self._aborted
            and transport is not None
            and not transport.get_write_buffer_size()
        ):
            self._reused = True
            if exchange.paused:
                transport.resume_reading()
            self._pool.release(self)
        else:
            self.abort()
        if not exchange.done:
            exchange.done = True
            exchange.sink.on_end()


def _is_framed(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether something other than the end of the connection ends the body."""
    framing = [field for field in headers if field[0] in _FRAMING]
    if not framing:
        return False
    if len(framing) > 1:
        raise _BadResponse("content-length or transfer-encoding are given twice, or both")
    name, value = framing[0]
    if name == b"transfer-encoding" and value.lower() != b"chunked":
        raise _BadResponse("a transfer-encoding other than chunked")
    return True


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Return host and port of a base URL.

    Raises:
        ConfigError: Not an ``http://`` URL with a host.
    """
    parts = urlsplit(endpoint)
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        raise ConfigError(f'endpoint "{endpoint}" is not a URL such as http://127.0.0.1:8000')
    return parts.hostname, port
