"""An HTTP/1.1 server without a task per connection.

A connection is an :class:`asyncio.Protocol`. When a request is complete, the handler is called with
it and with the :class:`Response` to write to; the handler returns at once and may write later, from
timers or from another connection's callbacks. What a client pipelines waits, unread, until the
response before it is done.

Nothing here knows what is served: the gateway and the simulator are two handlers.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

from replicore.http.body import ChunkedBody, SizedBody
from replicore.http.request import (
    BadRequest,
    Request,
    body_length,
    check_unfinished,
    read_head,
)
from replicore.http.tls import Tls
from replicore.openai import error_body

__all__ = ["Handler", "HttpServer", "Limits", "Request", "Response", "listen", "serve"]

logger = logging.getLogger(__name__)

_KiB = 1024
_MiB = 1024 * _KiB

# How long the end of a refused request is read and dropped, seconds: closing a socket with unread
# bytes resets the connection, and the client may lose our answer to that (RFC 9112, 9.6).
_LINGER_S = 2.0

_CR = 0x0D

_NO_BODY = SizedBody(0)

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_BODYLESS = (204, 304)

# The size lines of chunks, up to what most are.
_SIZE_LINES = [b"%x\r\n" % size for size in range(2048)]
_SIZED = len(_SIZE_LINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take. Times in seconds, sizes in bytes.

    Attributes:
        header_bytes: Request line and headers; nginx allows 32 KiB, Node 16 KiB.
        header_timeout: From the first byte of a request to the end of its headers; with TLS also
            for the handshake.
        body_timeout: Longest silence within a body.
        held_bytes: Bodies of all connections together, those of requests that are being served
            included; what comes in one read is not counted.
        body_rate: Bytes per second that a body must have brought on average, once
            ``body_timeout`` is over: Apache's ``MinRate``.
        idle_timeout: Between two requests of one connection; nginx's default.
        write_timeout: How long a client may not read at all of a response that waits for it.
    """

    header_bytes: int = 64 * _KiB
    body_bytes: int = 64 * _MiB
    held_bytes: int = 1024 * _MiB
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    body_rate: float = 500.0
    idle_timeout: float = 75.0
    write_timeout: float = 300.0


class Response:
    """The write side of one request.

    Either :meth:`send` once, or :meth:`start`, any number of :meth:`write`, then :meth:`end`. Calls
    after the client left do nothing, so a handler need not check before every write.

    Attributes:
        extra: Header lines that this response has whatever comes, each with its line end.
        on_disconnect: Called once if the client leaves before the response is done.
        on_pause: Called when the client reads slower than is written.
        on_resume: Called when it has caught up.
        started: Whether a status line is on its way.
        done: Whether nothing more can be written: all sent, aborted, or the client left.
    """

    __slots__ = (
        "_bodyless",
        "_chunked",
        "_connection",
        "_request",
        "_write",
        "done",
        "extra",
        "on_disconnect",
        "on_pause",
        "on_resume",
        "started",
    )

    def __init__(
        self, connection: _Connection, request: Request, write: Callable[[bytes], None]
    ) -> None:
        self._connection = connection
        self._request = request
        self._write = write
        self._bodyless = request.method == "HEAD"
        self._chunked = False
        self.started = False
        self.done = False
        self.extra = b""
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
        self.started = True
        if status in _BODYLESS:
            self._write(self._head(status, headers))
        else:
            framing = b"content-type: %b\r\ncontent-length: %d\r\n" % (content_type, len(body))
            head = self._head(status, headers, framing)
            self._write(head if self._bodyless else head + body)
        self._finish()

    def start(self, status: int, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Write status line and headers.

        The body is framed as chunks, unless ``headers`` have a ``content-length`` or the client
        speaks HTTP/1.0, where the end of the connection ends it.
        """
        if self.done:
            return
        self.started = True
        framing = b""
        if status in _BODYLESS:
            self._bodyless = True
        elif not any(name == b"content-length" for name, _ in headers):
            if self._request.http_version == "1.0":
                self._request.keep_alive = False
            else:
                self._chunked = True
                framing = b"transfer-encoding: chunked\r\n"
        self._write(self._head(status, headers, framing))

    def write(self, data: bytes) -> None:
        """Write a part of the body, as one chunk."""
        if self.done or not data or self._bodyless:
            return
        if self._chunked:
            size = len(data)
            line = _SIZE_LINES[size] if size < _SIZED else b"%x\r\n" % size
            data = line + data + b"\r\n"
        self._write(data)

    def end(self, *, trailers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """End the body; the connection goes on to its next request.

        Args:
            trailers: Fields after the body; they are left out where it is not in chunks.
        """
        if self.done:
            return
        if self._chunked and not self._bodyless:
            self._write(b"0\r\n%b\r\n" % _fields(trailers) if trailers else b"0\r\n\r\n")
        self._finish()

    def abort(self) -> None:
        """Cut the connection, so that the client sees that the response is not whole."""
        if not self.done:
            self.done = True
            self._connection.abort()

    def _head(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], framing: bytes = b""
    ) -> bytes:
        request, server = self._request, self._connection.server
        line = server.status_lines.get(status) or server.status_line(status)
        if not request.keep_alive or server.closing:
            end = b"connection: close\r\n\r\n"
        elif request.http_version == "1.0":
            end = b"connection: keep-alive\r\n\r\n"
        else:
            end = b"\r\n"
        return line + framing + self.extra + (_fields(headers) if headers else b"") + end

    def _finish(self) -> None:
        self.done = True
        self.on_disconnect = self.on_pause = self.on_resume = None
        self._connection.response_done(keep_alive=self._request.keep_alive)


def _fields(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"\r\n".join(map(b": ".join, headers)) + b"\r\n"


Handler = Callable[[Request, Response], None]

# Called with a request whose body is yet to come; what it answers is not read.
Screen = Callable[[Request, Response], None]


class HttpServer:
    """Accepts connections on one listening socket and hands requests to ``handler``.

    >>> server = await serve(handler, sock=listen("127.0.0.1", 0))  # doctest: +SKIP
    """

    # Deadlines are looked at this often, seconds: one timer for all connections, none per request.
    _SWEEP = 0.5

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        *,
        tls: Tls | None = None,
        screen: Screen | None = None,
    ) -> None:
        self.handler = handler
        self.screen = screen
        self.held_bytes = 0
        self.limits = limits
        self.connections: set[_Connection] = set()
        self.status_lines: dict[int, bytes] = {}
        self.soon = 0.0
        self.closing = False
        self.loop = asyncio.get_running_loop()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._all_closed = asyncio.Event()

    async def start(self, sock: socket.socket) -> None:
        self._tick()
        seconds = self.limits.header_timeout if self._tls is not None else None
        self._server = await self.loop.create_server(
            lambda: _Connection(self),
            sock=sock,
            backlog=4096,
            ssl=self._tls.context if self._tls is not None else None,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
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

    def status_line(self, status: int) -> bytes:
        """Return the status line and the date; kept until the date may have changed."""
        date = formatdate(usegmt=True).encode()
        line = b"HTTP/1.1 %d %b\r\ndate: %b\r\n" % (status, _REASONS.get(status, b""), date)
        self.status_lines[status] = line
        return line

    def sweep(self, now: float) -> None:
        """End what is over its time at ``now``, a time of the loop's clock.

        Until the next sweep, deadlines are counted from ``soon``: they are never early, and no
        request has to ask for the time.
        """
        self.status_lines.clear()
        self.soon = now + self._SWEEP
        for connection in list(self.connections):
            connection.check_deadline(now)

    def _tick(self) -> None:
        self.sweep(self.loop.time())
        self._timer = self.loop.call_later(self._SWEEP, self._tick)

    def connection_closed(self, connection: _Connection) -> None:
        self.connections.discard(connection)
        if self.closing and not self.connections:
            self._all_closed.set()


async def serve(
    handler: Handler,
    *,
    sock: socket.socket,
    limits: Limits | None = None,
    tls: Tls | None = None,
    screen: Screen | None = None,
) -> HttpServer:
    """Serve ``handler`` on a listening socket until :meth:`HttpServer.close`.

    Args:
        screen: May answer before a body is read, so that nobody's takes memory who may not send it.
    """
    server = HttpServer(handler, limits or Limits(), tls=tls, screen=screen)
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
    """One client connection: reads requests, serves them one after the other."""

    __slots__ = (
        "_body",
        "_body_since",
        "_checked",
        "_closing",
        "_deadline",
        "_held",
        "_held_bytes",
        "_paused",
        "_refused",
        "_request",
        "_response",
        "_transport",
        "_write",
        "server",
    )

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self._transport: asyncio.Transport | None = None
        self._write: Callable[[bytes], None] = _drop
        self._held = b""  # a head that is not all here, or what came during a response
        self._checked = 0  # how much of it is known not to end a head
        self._request: Request | None = None  # the one whose body is being read
        self._body: SizedBody | ChunkedBody = _NO_BODY
        self._body_since = 0.0
        self._held_bytes = 0  # of the body, as counted in the server's
        self._response: Response | None = None
        self._refused = False
        self._closing = False
        self._paused = False
        self._deadline: float | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._write = self._transport.write
        self.server.connections.add(self)
        self._deadline = self.server.soon + self.server.limits.idle_timeout

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._write = _drop
        self._held = b""
        self._request = None
        self._body = _NO_BODY
        self._let_go()
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
        checked = 0
        if self._held:
            checked = self._checked
            data = self._held + data
            self._held = b""
        try:
            self._read(data, checked)
        except BadRequest as refused:
            self._refuse(refused)

    def pause_writing(self) -> None:
        self._paused = True
        self._deadline = self.server.soon + self.server.limits.write_timeout
        if self._response is not None and self._response.on_pause is not None:
            self._response.on_pause()

    def resume_writing(self) -> None:
        self._paused = False
        if self._closing:
            return
        if self._response is None:
            self._await_request()
            return
        self._deadline = None
        if self._response.on_resume is not None:
            self._response.on_resume()

    # for Response and HttpServer

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def response_done(self, *, keep_alive: bool) -> None:
        self._response = None
        if self._held_bytes:
            self._let_go()
        if not keep_alive or self._closing or self.server.closing:
            self._close()
        elif not self._paused:
            self._await_request()

    def close_if_idle(self) -> None:
        if self._response is None and self._request is None and not self._held:
            self._close()

    def check_deadline(self, now: float) -> None:
        if self._deadline is None or now < self._deadline:
            return
        if self._paused or self._closing:
            self.abort()
        elif self._request is not None or self._held:
            self._refuse(BadRequest(408, "the request did not arrive in time"))
        else:
            self._close()

    # inside

    def _read(self, data: bytes, checked: int = 0) -> None:
        """Serve the requests in ``data`` up to one whose answer takes time; hold the rest.

        Args:
            checked: How much of it is known not to end a head.
        """
        start = 0
        while start < len(data) and not self._closing:
            if self._response is not None or self._paused:
                self._hold_pipelined(data[start:])
                return
            if self._request is not None:
                data, start = self._read_body(self._request, data[start:]), 0
            elif data[start] == _CR and data.startswith(b"\r\n", start):
                start += 2  # an empty line before a request is ignored (RFC 9112, 2.2)
                checked = 0
            else:
                end = data.find(b"\r\n\r\n", start + checked - 3 if checked > 3 else start)
                if end < 0:
                    self._hold_head(data[start:], checked)
                    return
                start = self._read_head(data, start, end)
                checked = 0

    def _read_head(self, data: bytes, start: int, end: int) -> int:
        """Read a head, and the body where it is all here; return where they end."""
        limits = self.server.limits
        if end - start > limits.header_bytes:
            raise BadRequest(431, f"headers exceed {limits.header_bytes} bytes")
        request = read_head(data[start:end])
        length = body_length(request)
        start = end + 4
        if length is None or length > len(data) - start:
            self._begin_body(request, length, is_here=len(data) > start)
            return start
        self._check_body(length)
        end = start + length
        request.body = data[start:end]
        self._serve(request)
        return end

    def _begin_body(self, request: Request, length: int | None, *, is_here: bool) -> None:
        limits = self.server.limits
        if length is None:
            self._body = ChunkedBody(limits.body_bytes, limits.header_bytes)
        else:
            self._check_body(length)
            self._body = SizedBody(length)
        if self._is_turned_away(request):
            return
        self._request = request
        self._body_since = self.server.soon
        self._deadline = self._body_since + limits.body_timeout
        if not is_here and request.headers.get(b"expect", b"").lower() == b"100-continue":
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _is_turned_away(self, request: Request) -> bool:
        """Whether the screen has answered; then nothing more is read of the connection."""
        if self.server.screen is None:
            return False
        keep_alive, request.keep_alive, self._refused = request.keep_alive, False, True
        response = Response(self, request, self._write)
        self.server.screen(request, response)
        if not response.done:
            request.keep_alive, self._refused = keep_alive, False
        return response.done

    def _hold_body(self, size: int) -> None:
        """Count what has come of a body."""
        server = self.server
        server.held_bytes += size - self._held_bytes
        self._held_bytes = size
        if server.held_bytes > server.limits.held_bytes:
            raise BadRequest(503, "the bodies of other requests take all memory that they may")

    def _let_go(self) -> None:
        self.server.held_bytes -= self._held_bytes
        self._held_bytes = 0

    def _check_body(self, length: int) -> None:
        if length > self.server.limits.body_bytes:
            raise BadRequest(413, f"the body exceeds {self.server.limits.body_bytes} bytes")

    def _read_body(self, request: Request, data: bytes) -> bytes:
        """Add to the body; serve the request when it is whole. Return the rest of ``data``."""
        body = self._body
        rest = body.feed(data)
        self._hold_body(body.size)
        if rest is None:
            limits, now = self.server.limits, self.server.soon
            slowest = self._body_since + limits.body_timeout + body.size / limits.body_rate
            self._deadline = min(now + limits.body_timeout, slowest)
            return b""
        request.body = body.join()
        self._request = None
        self._body = _NO_BODY
        self._serve(request)
        return rest

    def _hold_head(self, data: bytes, checked: int) -> None:
        limits = self.server.limits
        if len(data) > limits.header_bytes:
            raise BadRequest(431, f"headers exceed {limits.header_bytes} bytes")
        check_unfinished(data, checked)
        self._held = data
        self._checked = len(data)
        if not checked:
            self._deadline = self.server.soon + limits.header_timeout

    def _hold_pipelined(self, data: bytes) -> None:
        """Hold what came during a response, and stop reading when that is much."""
        self._held = data
        self._checked = 0
        if len(data) > self.server.limits.header_bytes and self._transport is not None:
            self._transport.pause_reading()

    def _await_request(self) -> None:
        """A response is done: go on to the next request, which may be here already."""
        self._deadline = self.server.soon + self.server.limits.idle_timeout
        if self._held:
            # Not at once: a handler that answers within its call would recurse once per request.
            self.server.loop.call_soon(self._read_held)

    def _read_held(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()
            self.data_received(b"")

    def _serve(self, request: Request) -> None:
        self._deadline = None
        response = self._response = Response(self, request, self._write)
        try:
            self.server.handler(request, response)
        except Exception:
            logger.exception("handling %s %s failed", request.method, request.path)
            if response.started:
                response.abort()
            else:
                response.send(500, error_body("internal error", type="internal_error"))

    def _refuse(self, refused: BadRequest) -> None:
        """Answer, and close the connection: where the next request begins is not known."""
        self._request = None
        self._held = b""
        self._body = _NO_BODY
        self._refused = True
        request = Request("", "", "", {}, "1.1", keep_alive=False)
        response = self._response = Response(self, request, self._write)
        later = [(b"retry-after", b"1")] if refused.status == HTTPStatus.SERVICE_UNAVAILABLE else []
        response.send(refused.status, error_body(refused.message), headers=later)

    def _close(self) -> None:
        """Close once everything is written, or when the client has not read it for long."""
        self._closing = True
        transport = self._transport
        if transport is None:
            return
        if self._refused and transport.can_write_eof():
            transport.write_eof()
            self._deadline = self.server.soon + _LINGER_S
        else:
            transport.close()
            self._deadline = self.server.soon + self.server.limits.write_timeout


def _drop(data: bytes) -> None:
    """Write to a connection that is lost."""
