"""An HTTP/1.1 server without a task per connection.

A connection is an :class:`asyncio.Protocol` that feeds httptools. When a request is complete, the
handler is called with it and with the :class:`Response` to write to; the handler returns at once
and may write later, from timers or from another connection's callbacks. Requests that a client
pipelines wait in the connection until the response before them is done.

Nothing here knows what is served: the gateway and the simulator are two handlers.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import httptools

from replicore.openai import error_body

logger = logging.getLogger(__name__)

_KiB = 1024
_MiB = 1024 * _KiB

# How many complete requests a connection holds before it stops reading; pipelining is rare.
_MAX_PIPELINED = 8

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take. Times in seconds, sizes in bytes.

    Attributes:
        header_bytes: Request line and headers; nginx allows 32 KiB, Node 16 KiB.
        header_timeout: From the first byte of a request to the end of its headers.
        body_timeout: Longest silence within a body.
        idle_timeout: Between two requests of one connection; nginx's default.
        write_timeout: How long a client may not read at all of a response that waits for it.
    """

    header_bytes: int = 64 * _KiB
    body_bytes: int = 64 * _MiB
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    idle_timeout: float = 75.0
    write_timeout: float = 300.0


class Request:
    """One complete request. Header names are lower case; repeated headers are joined by ``, ``."""

    __slots__ = ("body", "headers", "http_version", "keep_alive", "method", "path", "query")

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: dict[bytes, bytes],
        body: bytes,
        *,
        http_version: str = "1.1",
        keep_alive: bool = True,
    ) -> None:
        path, _, query = _origin_form(target).decode("latin-1").partition("?")
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.http_version = http_version
        self.keep_alive = keep_alive


class Response:
    """The write side of one request.

    Either :meth:`send` once, or :meth:`start`, any number of :meth:`write`, then :meth:`end`. Calls
    after the client left do nothing, so a handler need not check before every write.

    Attributes:
        on_disconnect: Called once if the client leaves before the response is done.
        on_pause: Called when the client reads slower than is written.
        on_resume: Called when it has caught up.
        started: Whether a status line is on its way.
        done: Whether nothing more can be written: all sent, aborted, or the client left.
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_request",
        "done",
        "on_disconnect",
        "on_pause",
        "on_resume",
        "started",
    )

    def __init__(self, connection: _Connection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._chunked = False
        self.started = False
        self.done = False
        self.on_disconnect: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None

    def send(
        self,
        status: int,
        body: bytes = b"",
        *,
        content_type: bytes = b"application/json",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Write a whole response."""
        if self.done:
            return
        fields = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
        head = self._head(status, fields)
        self.started = True
        self._connection.write(head if self._request.method == "HEAD" else head + body)
        self._finish()

    def start(self, status: int, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Write status line and headers.

        The body is framed as chunks, unless ``headers`` have a ``content-length`` or the client
        speaks HTTP/1.0, where the end of the connection ends it.
        """
        if self.done:
            return
        self.started = True
        has_length = any(name == b"content-length" for name, _ in headers)
        self._chunked = not has_length and self._request.http_version != "1.0"
        fields = [*headers, (b"transfer-encoding", b"chunked")] if self._chunked else headers
        if not has_length and not self._chunked:
            self._request.keep_alive = False
        self._connection.write(self._head(status, fields))

    def write(self, data: bytes) -> None:
        """Write a part of the body, as one chunk."""
        if self.done or not data or self._request.method == "HEAD":
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._connection.write(data)

    def end(self) -> None:
        """End the body; the connection goes on to its next request."""
        if self.done:
            return
        if self._chunked and self._request.method != "HEAD":
            self._connection.write(b"0\r\n\r\n")
        self._finish()

    def abort(self) -> None:
        """Cut the connection, so that the client sees that the response is not whole."""
        if not self.done:
            self.done = True
            self._connection.abort()

    def _head(self, status: int, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
        reason = _REASONS.get(status, b"")
        lines = [b"HTTP/1.1 %d %b" % (status, reason), b"date: " + self._connection.server.date]
        lines += [b"%b: %b" % field for field in fields]
        if not self._request.keep_alive or self._connection.is_last:
            lines.append(b"connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _finish(self) -> None:
        self.done = True
        self.on_disconnect = self.on_pause = self.on_resume = None
        self._connection.response_done(keep_alive=self._request.keep_alive)


Handler = Callable[[Request, Response], None]


def _origin_form(target: bytes) -> bytes:
    """Return the target without scheme and authority, which a server must accept too.

    Source: RFC 9112, 3.2.2.
    """
    if not target.lower().startswith((b"http://", b"https://")):
        return target
    _, _, path = target.partition(b"//")[2].partition(b"/")
    return b"/" + path


class _Refused(Exception):
    """A request that is answered by the connection itself, which then closes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class HttpServer:
    """Accepts connections on one listening socket and hands requests to ``handler``.

    >>> server = await serve(handler, sock=listen("127.0.0.1", 0))  # doctest: +SKIP
    """

    # Deadlines are looked at this often, seconds: one timer for all connections, none per request.
    _SWEEP = 0.5

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.handler = handler
        self.limits = limits
        self.connections: set[_Connection] = set()
        self.date = b""
        self.closing = False
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._all_closed = asyncio.Event()

    async def start(self, sock: socket.socket) -> None:
        self._sweep()
        self._server = await self._loop.create_server(
            lambda: _Connection(self), sock=sock, backlog=4096
        )

    def close(self) -> None:
        """Stop accepting; close idle connections. Requests that are being served go on."""
        self.closing = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.close_if_idle()
        if not self.connections:
            self._all_closed.set()

    async def wait_closed(self, timeout: float = 10.0) -> None:
        """Wait until every connection is closed; cut those left after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._all_closed.wait()
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        self.date = formatdate(usegmt=True).encode()
        now = self._loop.time()
        for connection in list(self.connections):
            connection.check_deadline(now)
        self._timer = self._loop.call_later(self._SWEEP, self._sweep)

    def connection_closed(self, connection: _Connection) -> None:
        self.connections.discard(connection)
        if self.closing and not self.connections:
            self._all_closed.set()


async def serve(
    handler: Handler, *, sock: socket.socket, limits: Limits | None = None
) -> HttpServer:
    """Serve ``handler`` on a listening socket until :meth:`HttpServer.close`."""
    server = HttpServer(handler, limits or Limits())
    await server.start(sock)
    return server


def listen(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Return a non-blocking listening TCP socket; ``port`` 0 takes any free one.

    Raises:
        OSError: The address is taken, or is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen(4096)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


class _Connection(asyncio.Protocol):
    """One client connection: parses requests, serves them one after the other."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Request] = deque()
        self._response: Response | None = None
        self._closing = False
        self._paused = False
        self._in_request = False
        self._in_head = False
        self._upgrade = False
        self._steps = 0
        self._deadline: float | None = None
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._unparsed_bytes = 0
        self._body = bytearray()
        self._body_bytes = 0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.server.connections.add(self)
        self._set_deadline(self.server.limits.idle_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._waiting.clear()
        self._body = bytearray()
        response, self._response = self._response, None
        self.server.connection_closed(self)
        if response is not None and not response.done:
            response.done = True
            left, response.on_disconnect = response.on_disconnect, None
            response.on_pause = response.on_resume = None
            if left is not None:
                left()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        steps = self._steps
        try:
            self._parser.feed_data(data)
            if self._in_request and self._steps == steps:
                self._limit_unfinished(len(data))
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, _Refused):
                raise
            self._refuse(cause)
        except _Refused as refused:
            self._refuse(refused)
        except httptools.HttpParserUpgrade as upgrade:
            if self._parser.get_method() != b"CONNECT":
                self._ignore_upgrade(data[upgrade.args[0] :])
                return
            # The request was handed on as if it had not asked (RFC 9110, 7.8); what follows it on
            # this connection is not for us.
            self._closing = True
            if self._response is None and not self._waiting:
                self._close()
        except httptools.HttpParserError as error:
            self._refuse(_Refused(400, f"not a valid HTTP/1.1 request: {error}"))

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Parse the request anew as if it had not asked for an upgrade (RFC 9110, 7.8)."""
        fields = [
            (name, b"close" if name == b"connection" and b"close" in value.lower() else value)
            for name, value in self._headers.items()
            if name != b"upgrade" and (name != b"connection" or b"close" in value.lower())
        ]
        lines = [b"%b %b HTTP/1.1" % (self._parser.get_method(), self._target)]
        lines += [b"%b: %b" % field for field in fields]
        self._parser = httptools.HttpRequestParser(self)
        self._upgrade = False
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def pause_writing(self) -> None:
        self._paused = True
        self._deadline = self._now() + self.server.limits.write_timeout
        if self._response is not None and self._response.on_pause is not None:
            self._response.on_pause()

    def resume_writing(self) -> None:
        self._paused = False
        if self._response is None:
            self._set_deadline(self.server.limits.idle_timeout)
            self._next_request()
            return
        self._deadline = None
        if self._response.on_resume is not None:
            self._response.on_resume()

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._reset()
        self._steps += 1
        self._in_request = True
        self._in_head = True
        self._set_deadline(self.server.limits.header_timeout)

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._limit_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._limit_head(len(name) + len(value) + 4)
        if not self._in_head:
            return  # a trailer; merging it would change a head that was checked (RFC 9110, 6.5.1)
        earlier = self._headers.get(name)
        if earlier is None:
            self._headers[name] = value
        elif name in (b"host", b"content-length", b"transfer-encoding"):
            raise _Refused(400, f"header {name.decode()} is given twice")
        else:
            self._headers[name] = earlier + b", " + value

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._steps += 1
        self._set_deadline(self.server.limits.body_timeout)
        headers = self._headers
        self._upgrade = self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"
        if b"host" not in headers and self._parser.get_http_version() != "1.0":
            raise _Refused(400, "header host is missing")
        coding = headers.get(b"transfer-encoding")
        if coding is not None and (coding.lower() != b"chunked" or b"content-length" in headers):
            raise _Refused(400, "transfer-encoding must be chunked, without a content-length")
        length = headers.get(b"content-length")
        if length is not None and length.isdigit():
            self._limit_body(int(length.lstrip(b"0") or b"0"))
        if headers.get(b"expect", b"").lower() == b"100-continue" and self._response is None:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._steps += 1
        self._body += body
        self._body_bytes += len(body)
        self._limit_body(self._body_bytes)
        self._set_deadline(self.server.limits.body_timeout)

    def on_message_complete(self) -> None:
        if self._upgrade:
            return
        self._in_request = False
        request = Request(
            self._parser.get_method().decode("latin-1"),
            self._target,
            self._headers,
            bytes(self._body),
            http_version=self._parser.get_http_version(),
            keep_alive=self._parser.should_keep_alive(),
        )
        self._body = bytearray()
        self._waiting.append(request)
        if len(self._waiting) >= _MAX_PIPELINED and self._transport is not None:
            self._transport.pause_reading()
        if self._response is None:
            self._next_request()

    # for Response and HttpServer

    @property
    def is_last(self) -> bool:
        """Whether the connection closes after the response that is being written."""
        return self.server.closing or (self._closing and not self._waiting)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def response_done(self, *, keep_alive: bool) -> None:
        is_last = self.is_last
        self._response = None
        if not keep_alive or is_last:
            self._close()
        elif self._waiting:
            # Not at once: a handler that answers within its call would recurse once per request.
            asyncio.get_running_loop().call_soon(self._next_request)
        else:
            self._set_deadline(self.server.limits.idle_timeout)

    def close_if_idle(self) -> None:
        if self._response is None and not self._waiting:
            self._close()

    def check_deadline(self, now: float) -> None:
        if self._deadline is None or now < self._deadline:
            return
        if self._paused or self._closing:
            self.abort()
        elif self._in_request:
            self._refuse(_Refused(408, "the request did not arrive in time"))
        else:
            self._close()

    # inside

    def _next_request(self) -> None:
        if (
            self._response is not None
            or self._paused
            or not self._waiting
            or self._transport is None
        ):
            return
        request = self._waiting.popleft()
        if len(self._waiting) < _MAX_PIPELINED:
            self._transport.resume_reading()
        self._deadline = None
        response = self._response = Response(self, request)
        try:
            self.server.handler(request, response)
        except Exception:
            logger.exception("handling %s %s failed", request.method, request.path)
            if response.started:
                response.abort()
            else:
                response.send(500, error_body("internal error", type="internal_error"))

    def _limit_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > self.server.limits.header_bytes:
            raise _Refused(431, f"headers exceed {self.server.limits.header_bytes} bytes")

    def _limit_unfinished(self, count: int) -> None:
        """Bound header lines, trailers and chunk extensions that do not end.

        Counted are reads that finished neither a head nor a part of a body.
        """
        self._unparsed_bytes += count
        if self._unparsed_bytes > self.server.limits.header_bytes:
            self._limit_head(self._unparsed_bytes)

    def _limit_body(self, size: int) -> None:
        if size > self.server.limits.body_bytes:
            raise _Refused(413, f"the body exceeds {self.server.limits.body_bytes} bytes")

    def _set_deadline(self, seconds: float) -> None:
        if self._response is None and not self._paused:
            self._deadline = self._now() + seconds

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _refuse(self, refused: _Refused) -> None:
        """Answer and close; where earlier requests are being served, close after those."""
        self._closing = True
        if self._response is not None or self._waiting:
            return
        request = Request("", b"", {}, b"", keep_alive=False)
        Response(self, request).send(refused.status, error_body(refused.message))

    def _close(self) -> None:
        """Close once everything is written, or when the client has not read it for long."""
        self._closing = True
        self._set_deadline(self.server.limits.write_timeout)
        if self._transport is not None:
            self._transport.close()
