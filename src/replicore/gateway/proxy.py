"""One client request on its way through the gateway.

It waits for a replica with room, is sent there, and its response is passed on as it comes. Nothing
is told to the client before the first byte of a body, so until then a failed replica is replaced
by another one. Every way out of this class closes the ticket at the ledger.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from replicore.errors import UpstreamError
from replicore.gateway.ledger import Ticket
from replicore.gateway.upstream import Upstream
from replicore.gateway.wire import (
    EVENT_STREAM,
    EventGate,
    ask_for_progress,
    request_headers,
    response_headers,
)
from replicore.http.client import Exchange, encode_request
from replicore.http.server import Request, Response
from replicore.openai import error_body

# How often a request may fail after it was sent: one that kills its engine must not kill them all
# in turn. Connections that were refused do not count.
_MAX_FAILURES = 2


class Dispatcher(Protocol):
    """What a request needs of the gateway."""

    def seek(self, waiting: ProxiedRequest) -> None:
        """Send the request to a replica, now or when one has room, or refuse it."""
        ...

    def leave(self, waiting: ProxiedRequest) -> None:
        """Forget a request that waits."""
        ...

    def freed(self) -> None:
        """A replica has room again."""
        ...


class ProxiedRequest:
    """Passes one request on; also the sink of the engine's response.

    Attributes:
        failed: Incarnations of replicas that failed this request; it never goes there again.
        last_error: What the last of them failed with.
    """

    __slots__ = (
        "_dispatcher",
        "_exchange",
        "_failures",
        "_gate",
        "_head",
        "_headers",
        "_request",
        "_response",
        "_stream",
        "_ticket",
        "_upstream",
        "failed",
        "last_error",
        "request_id",
        "timer",
    )

    def __init__(
        self,
        dispatcher: Dispatcher,
        request: Request,
        response: Response,
        *,
        request_id: bytes,
        stream: bool,
    ) -> None:
        self._dispatcher = dispatcher
        self._request = request
        self._response = response
        self._headers = [*request_headers(request.headers.items())]
        self._headers.append((b"x-request-id", request_id))
        self._stream = stream
        self._failures = 0
        self._upstream: Upstream | None = None
        self._ticket: Ticket | None = None
        self._exchange: Exchange | None = None
        self._head: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._gate: EventGate | None = None
        self.failed: set[tuple[str, int]] = set()
        self.last_error: UpstreamError | None = None
        self.request_id = request_id
        self.timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._response.on_disconnect = self._client_left
        self._response.on_pause = self._pause
        self._response.on_resume = self._resume
        self._dispatcher.seek(self)

    def send_to(self, upstream: Upstream) -> None:
        """Send the request to a replica that has room."""
        self._head = None
        self._gate = None
        self._upstream = upstream
        self._ticket = upstream.account.open()
        body, drop_progress = self._request.body, False
        if self._stream and upstream.row.prompt_progress:
            asking = ask_for_progress(body)
            if asking is not None:
                body, drop_progress = asking, True
        if self._stream:
            self._gate = EventGate(drop_progress=drop_progress)
        self._exchange = upstream.pool.send(self._encode(upstream, body), self)

    def refuse(
        self,
        status: int,
        message: str,
        *,
        type: str = "service_unavailable",
        code: str | None = None,
    ) -> None:
        """Answer with an error of the gateway's own."""
        headers = [(b"x-request-id", self.request_id)]
        if status in (429, 503):
            headers.append((b"retry-after", b"1"))
        self._response.send(status, error_body(message, type=type, code=code), headers=headers)

    # ResponseSink

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._head = (status, headers)
        if not any(name == b"content-type" and EVENT_STREAM in value for name, value in headers):
            self._gate = None

    def on_body(self, data: bytes) -> None:
        if self._gate is not None:
            data = self._gate.feed(data)
        if data:
            self._start_response()
            self._response.write(data)

    def on_end(self) -> None:
        self._start_response()
        if self._gate is not None:
            self._response.write(self._gate.rest())
        self._response.end()
        self._exchange = None
        self._close_ticket(error=self._head is not None and self._head[0] >= 500)
        self._dispatcher.freed()

    def on_error(self, error: UpstreamError) -> None:
        exchange, self._exchange = self._exchange, None
        self._close_ticket(error=True)
        if not self._response.started:
            self._try_another(error, sent=exchange is not None and exchange.sent_at is not None)
        elif self._gate is not None:
            body = error_body(f"the replica failed: {error.message}", type="upstream_error")
            self._response.write(b"data: " + body + b"\n\n")
            self._response.end()
        else:
            self._response.abort()
        self._dispatcher.freed()

    # inside

    def _try_another(self, error: UpstreamError, *, sent: bool) -> None:
        self.last_error = error
        if self._upstream is not None:
            self.failed.add(self._upstream.key)
        self._failures += sent
        if self._failures < _MAX_FAILURES:
            self._dispatcher.seek(self)
        else:
            message = f"{self._failures} replicas failed this request; the last: {error.message}"
            self.refuse(502, message, type="upstream_error")

    def _start_response(self) -> None:
        if self._response.started or self._head is None or self._upstream is None:
            return
        status, headers = self._head
        own = [
            (b"x-request-id", self.request_id),
            (b"x-replicore-replica", self._upstream.account.name.encode()),
        ]
        self._response.start(status, response_headers(headers) + own)

    def _client_left(self) -> None:
        self._dispatcher.leave(self)
        if self._exchange is not None:
            self._exchange.cancel()
            self._exchange = None
        self._close_ticket()
        self._dispatcher.freed()

    def _close_ticket(self, *, error: bool = False) -> None:
        if self._ticket is not None:
            self._ticket.close(error=error)

    def _pause(self) -> None:
        if self._exchange is not None:
            self._exchange.pause()

    def _resume(self) -> None:
        if self._exchange is not None:
            self._exchange.resume()

    def _encode(self, upstream: Upstream, body: bytes) -> bytes:
        request = self._request
        target = f"{request.path}?{request.query}" if request.query else request.path
        return encode_request(
            request.method, target, host=upstream.pool.authority, headers=self._headers, body=body
        )
