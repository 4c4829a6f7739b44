"""One client request on its way through the gateway.

It waits for a replica with room, is sent there, and its response is passed on as it comes. Until
the first byte of the response a failed replica is replaced by another one; after it a stream is
continued on another one, from what the client has (see ``resume.py``). Every way out of this class
closes the ticket at the ledger and ends in :meth:`ProxiedRequest._over`, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from replicore.errors import OutOfSockets, UpstreamError
from replicore.gateway.access.key_file import Caller
from replicore.gateway.observe.metrics import Meter
from replicore.gateway.record import Finished, Outcome
from replicore.gateway.resume.resumption import Resumption
from replicore.gateway.resume.seam import Seam
from replicore.gateway.resume.sent import Obstacle, SentStream
from replicore.gateway.routing.budget import RetryBudget
from replicore.gateway.routing.ledger import Ticket
from replicore.gateway.upstream import Upstream
from replicore.gateway.wire import (
    EVENT_STREAM,
    NO_FILTER,
    NOT_ANSWERED,
    EventGate,
    ask_the_engine,
    examine,
    response_headers,
    usage_of,
    without_token_ids,
)
from replicore.http.client import Exchange, encode_head
from replicore.http.server import Request, Response
from replicore.openai import error_body

# How often a request may fail after it was sent: one that kills its engine must not kill them all
# in turn. Connections that were refused do not count.
_MAX_FAILURES = 2

# Answers with which an engine says that another one might do better.
_TRY_ELSEWHERE = frozenset({429, 500, 502, 503, 504})

# An answer without a stream is held until it is whole, so that a replica that dies in the middle
# of it can be replaced; longer ones are passed on as they come.
_HELD_BYTES = 1024 * 1024

# A stream is continued at most so often.
_MAX_RESUMES = 2

# Bodies below are copied behind their head: that costs less than a write of their own.
_COPIED_BYTES = 16 * 1024

_ERROR_EVENT = b'data: {"error"'
_DONE_EVENT = b"data: [DONE]\n\n"


class Seeker(Protocol):
    """What a request needs of whoever hands out replicas."""

    def seek(self, waiting: ProxiedRequest, *, front: bool = False) -> None:
        """Send the request to a replica, now or when one has room, or refuse it."""
        ...

    def leave(self, waiting: ProxiedRequest) -> None:
        """Forget a request that waits."""
        ...

    def freed(self) -> None:
        """A replica has room again."""
        ...

    def has_other(self, waiting: ProxiedRequest) -> bool:
        """Whether a replica has room that has not failed the request and does not serve it now."""
        ...


class Desk(Protocol):
    """What all requests of a gateway share.

    Attributes:
        resume: Whether broken streams are continued.
        max_model_len: Tokens of one sequence; None where it is not known.
    """

    meter: Meter
    budget: RetryBudget
    resume: bool
    max_model_len: int | None
    now: Callable[[], float]

    @property
    def dispatcher(self) -> Seeker: ...

    def over(self, request: ProxiedRequest, finished: Finished, tokens: float) -> None:
        """Take note of the end of a request.

        Args:
            tokens: Of prompt and output, beyond those that it was admitted with.
        """
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background, at most until the gateway closes."""
        ...


class ProxiedRequest:
    """Passes one request on; also the sink of the engine's response.

    Attributes:
        id: ``x-request-id`` as text.
        hashes: Of the blocks of its prompt; None where no replica has a prefix cache.
        prompt_tokens: Estimated from the size of the prompt.
        output_tokens: Expected.
        output_limit: That the client set.
        session: What ``consistent_hash`` goes by.
        streaming: Whether the client asked for a stream.
        failed: Incarnations of replicas that failed this request, where it never goes again; None
            before the first.
        held_until: Before that, it waits for the replica that has its prompt in its cache.
        passed_over: How often it let another one go before it in the queue.
        attempts: How often it was sent.
        reason: Why it seeks a replica: ``first``, or what failed before.
        sought_at: When it began to seek the present one.
        timer: Set while it waits in the queue.
    """

    __slots__ = (
        "_arrived_at",
        "_before_last",
        "_desk",
        "_done",
        "_events",
        "_exchange",
        "_failures",
        "_filter",
        "_finished",
        "_first_at",
        "_gate",
        "_head",
        "_headers",
        "_held",
        "_held_bytes",
        "_is_paused",
        "_last",
        "_last_error",
        "_now",
        "_queue_s",
        "_request",
        "_response",
        "_resumes",
        "_resumption",
        "_route",
        "_seam",
        "_sent",
        "_started_at",
        "_task",
        "_ticket",
        "_traces",
        "_upstream",
        "attempts",
        "caller",
        "failed",
        "hashes",
        "held_until",
        "id",
        "output_limit",
        "output_tokens",
        "passed_over",
        "priority",
        "prompt_tokens",
        "reason",
        "session",
        "sought_at",
        "streaming",
        "timer",
    )

    def __init__(
        self,
        desk: Desk,
        request: Request,
        response: Response,
        *,
        id: str,
        route: str,
        stream: bool,
        caller: Caller,
        priority: int,
        headers: list[tuple[bytes, bytes]],
        hashes: Sequence[int] | None,
        prompt_tokens: int,
        output_tokens: int,
        output_limit: int | None,
        session: int,
        started_at: float,
        traces: tuple[str, str],
    ) -> None:
        self._desk = desk
        self._request = request
        self._response = response
        self._route = route
        self._headers = headers
        self._started_at = started_at
        self._traces = traces
        self._now = desk.now
        self._arrived_at = self.sought_at = desk.now()
        self._queue_s = 0.0
        self._first_at: float | None = None
        self._events = 0
        self._last = b""
        self._before_last = b""
        self._done = False
        self._finished = False
        self._failures = 0
        self._resumes = 0
        self._last_error: UpstreamError | None = None
        self._upstream: Upstream | None = None
        self._ticket: Ticket | None = None
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._head: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_paused = False
        self._gate: EventGate | None = None
        self._filter = NO_FILTER
        self._sent: SentStream | None = None
        self._resumption: Resumption | None = None
        self._seam: Seam | None = None
        self.id = id
        self.streaming = stream
        self.caller = caller
        self.priority = priority
        self.hashes = hashes
        self.prompt_tokens = prompt_tokens
        self.output_tokens = output_tokens
        self.output_limit = output_limit
        self.session = session
        self.failed: set[tuple[str, int]] | None = None
        self.attempts = 0
        self.held_until = 0.0
        self.passed_over = 0
        self.reason = "first"
        self.timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        response = self._response
        response.on_disconnect = self._client_left
        response.on_pause = self._pause
        response.on_resume = self._resume_reading
        self._desk.dispatcher.seek(self)

    @property
    def paused(self) -> bool:
        """Whether nothing is read from the replica, because the client reads too slowly."""
        return self._is_paused and self._exchange is not None

    # what the dispatcher calls

    def send_to(self, upstream: Upstream, ticket: Ticket, now: float) -> None:
        """Send the request to a replica that has given it a slot."""
        self._upstream = upstream
        self._ticket = ticket
        self._queue_s += now - self.sought_at
        self.attempts += 1
        upstream.serving.add(self)
        if self._resumption is not None:
            self._task = self._desk.spawn(self._go_on(self._resumption, upstream))
            self._task.add_done_callback(self._went_on)
        else:
            self._send_original(upstream)

    def refuse(
        self,
        status: int,
        message: str,
        *,
        type: str = "service_unavailable",
        code: str | None = None,
    ) -> None:
        """Answer with an error of the gateway's own."""
        self._desk.meter.refused(code or type)
        if self._response.started:
            self._break(message)
            return
        headers = [(b"x-request-id", self.id.encode("latin-1"))]
        if status in (429, 503):
            headers.append((b"retry-after", b"1"))
        self._over(status, "refused" if self._last_error is None else "error")
        self._response.send(status, error_body(message, type=type, code=code), headers=headers)

    def give_up(self, message: str, *, code: str) -> None:
        """Answer that no replica can be had for it."""
        if self._last_error is None:
            self.refuse(503, message, code=code)
        else:
            message = f"every replica failed this request; the last: {self._last_error.message}"
            self.refuse(502, message, type="upstream_error")

    def break_off(self, error: UpstreamError) -> None:
        """Take the request away from the replica that works on it."""
        if self._exchange is not None:
            self._exchange.cancel()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._fail(error, "stalled")

    # ResponseSink

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._head = (status, headers)
        if self._upstream is not None:
            self._upstream.answered(self._now())
        if self._gate is not None and not _is_event_stream(headers):
            self._gate = None

    def on_body(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.progress += 1
        gate = self._gate
        if gate is None:
            self._hold(data)
            return
        events = gate.feed(data)
        if not events:
            return
        if self._seam is not None:
            self._pass_seam(self._seam, events)
            return
        count = events.count(b"}\n\n")
        others = events.count(b"\n\n") - count
        if _ERROR_EVENT in events or others > 1:
            self._pass_unusual(events)
        elif not others:
            self._pass(events, count)
        elif events.endswith(_DONE_EVENT):
            self._done = True
            self._pass(events, count)
        else:
            self._pass_unusual(events)

    def on_end(self) -> None:
        self._exchange = None
        if self._gate is None:
            self._end_whole()
        elif self._done or self._sent is None:
            rest = self._gate.rest()
            if rest and self._seam is None:
                self._pass(rest, 0)
            self._end_stream("ok")
        else:
            self._fail(UpstreamError("the engine ended the stream before its end"), "closed")

    def on_error(self, error: UpstreamError) -> None:
        self._fail(error, "closed")

    # sending

    def _send_original(self, upstream: Upstream) -> None:
        request = self._request
        self._head = None
        start, asked = 0, b""
        if self.streaming:
            traits, resume = upstream.row.traits, self._desk.resume
            start, asked, self._filter = ask_the_engine(request.body, traits, ids=resume)
            self._gate = EventGate(drop_progress=self._filter.progress)
            known = traits.token_ids or traits.text_continuation
            self._sent = SentStream() if known and self._desk.resume else None
        target = f"{request.path}?{request.query}" if request.query else request.path
        self._send(upstream, request.method, target, request.body, start, asked)

    def _send(
        self,
        upstream: Upstream,
        method: str,
        target: str,
        body: bytes,
        start: int = 0,
        asked: bytes = b"",
    ) -> None:
        """Send ``body`` with ``asked`` put in at ``start``."""
        pool = upstream.pool
        length = len(body) + len(asked)
        head = encode_head(
            method, target, host=pool.authority, headers=self._headers, length=length
        )
        if asked:
            head += body[:start] + asked
        if length < _COPIED_BYTES:
            self._exchange = pool.send(head + body[start:] if start else head + body, self)
        else:
            rest = memoryview(body)[start:] if start else body
            self._exchange = pool.send(head, self, body=rest)
        if self._is_paused:
            self._exchange.pause()

    async def _go_on(self, resumption: Resumption, upstream: Upstream) -> None:
        """Send the continuation of a broken stream."""
        try:
            plan = await resumption.prepare(upstream.row)
        except Obstacle as obstacle:
            self._task = None
            self._release()
            self._cannot_resume(obstacle)
            return
        except UpstreamError as error:
            self._task = None
            self._fail(error, "connect")
            return
        self._task = None
        self._seam = plan.seam
        if plan.body is None:
            self._release()  # the replica had nothing to do, so there is nothing to learn
            self._write(plan.seam.finish(plan.finish))
            self._end_stream("ok")
        else:
            self._head = None
            self._gate = EventGate(drop_progress=False)
            self._send(upstream, "POST", plan.path, plan.body)

    def _went_on(self, task: asyncio.Task[None]) -> None:
        """End the request after a bug in preparing it, which would leave it without an end."""
        if not task.cancelled() and task.exception() is not None and not self._finished:
            self._task = None
            self._release(error=True)
            self._break("internal error")

    # passing on

    def _pass(self, events: bytes, count: int) -> None:
        """Hand whole, ordinary events to the client."""
        ticket = self._ticket
        if self._first_at is None:
            self._start_stream()
        elif ticket is not None:
            ticket.produced(count)
        self._events += count
        self._before_last = self._last
        self._last = events
        if self._sent is not None:
            self._sent.keep(events)
        if self._filter.ids:
            events = without_token_ids(events)
        self._response.write(events)

    def _pass_unusual(self, events: bytes) -> None:
        """Hand on what has more than ordinary events: the end, a comment, an error, nonsense."""
        found = examine(events)
        self._done |= found.done
        if found.good:
            self._pass(found.good, found.count)
        if found.trouble is None:
            return
        if self._exchange is not None:
            self._exchange.cancel()
        message = found.trouble.decode("utf-8", "replace")[:200]
        self._fail(UpstreamError(f"the engine sent {message}"), "event")

    def _pass_seam(self, seam: Seam, data: bytes) -> None:
        if self._head is not None and self._head[0] != 200:
            return
        try:
            events = seam.feed(data)
        except (Obstacle, ValueError) as error:
            if self._exchange is not None:
                self._exchange.cancel()
            self._fail(UpstreamError(f"the continuation cannot be read: {error}"), "event")
            return
        if events:
            self._done |= events.endswith(b"data: [DONE]\n\n")
            self._write(events)

    def _write(self, events: bytes) -> None:
        """Hand events of a continuation to the client."""
        ticket = self._ticket
        if ticket is not None:
            if ticket.first_at is None:
                ticket.first_token(self._now())
            else:
                ticket.produced(1)
        self._events += events.count(b"}\n\n")
        self._before_last = self._last
        self._last = events
        if self._sent is not None:
            self._sent.keep(events)
        if self._resumption is None or not self._resumption.wanted.named_ids:
            events = without_token_ids(events)
        self._response.write(events)

    def _start_stream(self) -> None:
        self._first_at = now = self._now()
        if self._ticket is not None:
            self._ticket.first_token(now)
        if not self._response.started and self._head is not None:
            status, headers = self._head
            fields = response_headers(headers) + self._own_headers()
            # The events are not the engine's to the byte, so its length is not theirs.
            fields = [field for field in fields if field[0] != b"content-length"]
            self._response.start(status, fields)

    def _hold(self, data: bytes) -> None:
        """Keep a part of an answer that is not a stream, up to a size."""
        if self._resumes:
            # No stream, so no continuation: an error, which is not for the client.
            return
        if self._first_at is None:
            self._first_at = self._now()
        if self._response.started:
            self._before_last = self._last
            self._last = data
            self._response.write(data)
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _HELD_BYTES and self._head is not None:
            status, headers = self._head
            self._response.start(status, response_headers(headers) + self._own_headers())
            self._response.write(b"".join(self._held))
            self._held.clear()

    def _end_whole(self) -> None:
        status, headers = self._head or (502, [])
        if self._resumes:
            self._fail(UpstreamError(f"the engine answered with status {status}"), "status")
            return
        if self._response.started:
            self._over(status, "ok")
            self._response.end()
            self._desk.dispatcher.freed()
            return
        if status in _TRY_ELSEWHERE and self._may_try_another():
            self._fail(UpstreamError(f"the engine answered with status {status}"), "status")
            return
        held = self._held
        body = held[0] if len(held) == 1 else b"".join(held)
        self._last = body
        self._over(status, "ok" if status < 500 else "error")
        kind, fields = _split_content_type(headers)
        self._response.send(status, body, content_type=kind, headers=fields + self._own_headers())
        self._desk.dispatcher.freed()

    def _end_stream(self, outcome: Outcome) -> None:
        if self._first_at is None:
            self._start_stream()
        self._over(self._told_status, outcome)
        if self._resumes:
            self._response.end(trailers=[(b"x-replicore-resumes", b"%d" % self._resumes)])
        else:
            self._response.end()
        self._desk.dispatcher.freed()

    # failing

    def _fail(self, error: UpstreamError, kind: str) -> None:
        """The replica failed: go on elsewhere, if that can be."""
        exchange, self._exchange = self._exchange, None
        upstream, now = self._upstream, self._now()
        was_sent = exchange is None or exchange.sent_at is not None
        kind = kind if was_sent else "connect"
        self._release(error=True)
        self._last_error = error
        if upstream is not None:
            self.failed = (self.failed or set()) | {upstream.key}
            is_ours = isinstance(error, OutOfSockets)
            if not is_ours and (kind == "connect" or (kind == "closed" and self._head is None)):
                upstream.refused(now)
        self._failures += was_sent
        if kind == "connect" and self._resumes:
            # Nobody took it up: that was none of the few times that it may go on.
            self._resumes -= 1
        if self._response.started and self._gate is None and not self._resumes:
            self._over(self._told_status, "error")
            self._response.abort()
        elif self._response.started:
            self._resume(error, kind)
        else:
            self._try_another(error, kind)
        self._desk.dispatcher.freed()

    def _may_try_another(self) -> bool:
        """Whether an error status is better answered by another replica than passed on."""
        desk = self._desk
        return (
            self._failures + 1 < _MAX_FAILURES
            and desk.dispatcher.has_other(self)
            and desk.budget.allows(self._now())
        )

    def _try_another(self, error: UpstreamError, kind: str) -> None:
        self._held.clear()
        self._held_bytes = 0
        self._first_at = None
        if self._failures >= _MAX_FAILURES:
            message = f"{self._failures} replicas failed this request; the last: {error.message}"
            self.refuse(502, message, type="upstream_error")
        elif not self._desk.budget.spend(self._now()):
            message = f"the gateway retries too much already; the replica failed: {error.message}"
            self.refuse(502, message, type="upstream_error")
        else:
            if self._upstream is not None:
                self._desk.meter.retried(self._upstream.account.name, kind)
            self.reason = f"retry: {error.message}"
            self.sought_at = self._now()
            # It has waited for its turn already.
            self._desk.dispatcher.seek(self, front=True)

    def _resume(self, error: UpstreamError, kind: str) -> None:
        """Continue a stream of which the client has a part."""
        if self._done:
            self._end_stream("ok")
            return
        sent = self._sent
        self._seam = None
        try:
            if sent is None or not self._desk.resume:
                raise Obstacle("engine", "the engine's streams cannot be continued")
            if self._resumes >= _MAX_RESUMES:
                raise Obstacle("failures", f"{self._resumes + 1} replicas failed it")
            self._resumption = Resumption(
                self._request.path,
                self._request.body,
                sent,
                max_model_len=self._desk.max_model_len,
            )
        except Obstacle as obstacle:
            self._cannot_resume(obstacle)
            return
        if sent.template is None:
            # Nothing but comments was sent: the whole answer may come from elsewhere.
            self._resumption = None
        self._resumes += 1
        if self._upstream is not None:
            self._desk.meter.resumed(self._upstream.account.name, "continued")
        self.reason = f"resume: {error.message}"
        self.sought_at = self._now()
        self._desk.dispatcher.seek(self, front=True)

    def _cannot_resume(self, obstacle: Obstacle) -> None:
        if self._upstream is not None:
            self._desk.meter.resumed(self._upstream.account.name, obstacle.reason)
        error = self._last_error.message if self._last_error is not None else "it is gone"
        self._break(f"the replica failed: {error}; the stream cannot be continued: {obstacle}")

    def _break(self, message: str) -> None:
        """End a stream of which the client has a part."""
        body = error_body(message, type="upstream_error")
        self._response.write(b"data: " + body + b"\n\n")
        self._end_stream("error")

    # the end

    def _client_left(self) -> None:
        self._desk.dispatcher.leave(self)
        if self._exchange is not None:
            self._exchange.cancel()
            self._exchange = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._over(self._told_status, "client_left")
        self._desk.dispatcher.freed()

    @property
    def _told_status(self) -> int:
        """The status that the client has been told; 0 for none."""
        if not self._response.started:
            return 0
        # Of a continued stream the last head is that of the continuation.
        return 200 if self._resumes or self._head is None else self._head[0]

    def _release(self, *, error: bool = False, output_tokens: int | None = None) -> None:
        """Give the slot back."""
        if self._upstream is not None:
            self._upstream.serving.discard(self)
        if self._ticket is not None:
            self._ticket.close(self._now(), error=error, output_tokens=output_tokens)
            self._ticket = None

    def _over(self, status: int, outcome: Outcome) -> None:
        """Give back everything and write down what has become of it; once."""
        if self._finished:
            return
        self._finished = True
        prompt, output = usage_of(self._last)
        if output is None:
            prompt, output = usage_of(self._before_last + self._last)
            if output is None and self._events:
                # Without usage a stream's events are counted; a chat's first one has no token.
                output = max(0, self._events - (self._route == "/v1/chat/completions"))
        ended = outcome == "ok"
        self._release(error=outcome == "error", output_tokens=output if ended else None)
        now, first = self._now(), self._first_at
        tpot = None
        if self.streaming and first is not None and output is not None and output > 1:
            tpot = (now - first) / (output - 1)
        upstream = self._upstream
        finished = Finished(
            request_id=self.id,
            caller=self.caller.name,
            route=self._route,
            stream=self.streaming,
            status=status,
            outcome=outcome,
            replica=None if upstream is None else upstream.account.name,
            started_at=self._started_at,
            queue_s=self._queue_s + (now - self.sought_at if upstream is None else 0.0),
            ttft_s=None if first is None else first - self._arrived_at,
            tpot_s=tpot,
            duration_s=now - self._arrived_at,
            prompt_tokens=prompt,
            output_tokens=output,
            attempts=self.attempts,
            resumes=self._resumes,
            traceparent=self._traces[0],
            client_traceparent=self._traces[1],
        )
        self._desk.over(self, finished, (prompt or self.prompt_tokens) + (output or 0))

    def _pause(self) -> None:
        self._is_paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def _resume_reading(self) -> None:
        self._is_paused = False
        if self._exchange is not None:
            self._exchange.resume()

    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        own = [(b"x-request-id", self.id.encode("latin-1"))]
        if self._upstream is not None:
            own.append((b"x-replicore-replica", self._upstream.account.name.encode()))
        if self.attempts > 1:
            own.append((b"x-replicore-attempts", b"%d" % self.attempts))
        return own


def _is_event_stream(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and EVENT_STREAM in value for name, value in headers)


def _split_content_type(
    headers: list[tuple[bytes, bytes]],
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the content type, and the other headers that the client should see."""
    kind, fields = b"application/json", []
    for field in headers:
        if field[0] == b"content-type":
            kind = field[1]
        elif field[0] not in NOT_ANSWERED and field[0] != b"content-length":
            fields.append(field)
    return kind, fields
