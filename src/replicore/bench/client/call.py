"""One request of a benchmark: send it, stamp what arrives, make a record of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from replicore.bench.client.stream import Stream, error_text, read_stream
from replicore.bench.load.workload import Draft
from replicore.bench.record import Failure, FailureKind, RequestRecord
from replicore.errors import UpstreamError
from replicore.http.client import Exchange, Pool

_REPLICA = b"x-replicore-replica"
_SIMULATED = b"x-replicore-simulated"


@dataclass(slots=True)
class Target:
    """An endpoint under test.

    Attributes:
        in_flight: Our requests on their way.
        failures: Requests that failed since the last one that did not.
    """

    endpoint: str
    pool: Pool
    in_flight: int = 0
    failures: int = 0


class Call:
    """One request on its way; a sink of the connection pool.

    The callbacks only stamp and append. :meth:`record` reads the bytes once the call is over.
    """

    __slots__ = (
        "_arrivals",
        "_dispatched",
        "_draft",
        "_ended",
        "_exchange",
        "_failure",
        "_head",
        "_intended",
        "_replica",
        "_status",
        "_target",
        "_timer",
        "over",
        "simulated",
    )

    def __init__(self, draft: Draft, target: Target, *, intended: float) -> None:
        self._draft = draft
        self._target = target
        self._intended = intended
        self._dispatched = 0.0
        self._ended = 0.0
        self._head: float | None = None
        self._status: int | None = None
        self._replica = target.pool.authority
        self._arrivals: list[tuple[float, bytes]] = []
        self._failure: Failure | None = None
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.simulated = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, request: bytes, *, timeout: float) -> None:
        """Send ``request``; ``over`` is done when it ended, at the latest in ``timeout`` s."""
        loop = asyncio.get_running_loop()
        reason = f"not finished within {timeout:g} s"
        self._timer = loop.call_later(timeout, self.give_up, FailureKind.TIMEOUT, reason)
        self._dispatched = time.perf_counter()
        self._exchange = self._target.pool.send(request, self)

    def give_up(self, kind: FailureKind, message: str) -> None:
        """Cancel the request; it stays in the record as failed."""
        if self._exchange is not None:
            self._exchange.cancel()
        self._fail(kind, message)

    # ResponseSink

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._head = time.perf_counter()
        self._status = status
        for name, value in headers:
            if name == _REPLICA:
                self._replica = value.decode("latin-1")
            elif name == _SIMULATED:
                self.simulated = True

    def on_body(self, data: bytes) -> None:
        self._arrivals.append((time.perf_counter(), data))

    def on_end(self) -> None:
        self._end()

    def on_error(self, error: UpstreamError) -> None:
        if self._head is not None:
            kind = FailureKind.CUT
        elif self._exchange is not None and self._exchange.sent_at is not None:
            kind = FailureKind.DISCONNECT
        else:
            kind = FailureKind.CONNECT
        self._fail(kind, error.message)

    def _fail(self, kind: FailureKind, message: str) -> None:
        if not self.over.done():
            self._failure = Failure(kind, message)
            self._end()

    def _end(self) -> None:
        self._ended = time.perf_counter()
        if self._timer is not None:
            self._timer.cancel()
        if not self.over.done():
            self.over.set_result(None)

    def record(self, zero: float) -> RequestRecord:
        """Return what happened, with times counted from ``zero`` of the same clock."""
        stream = read_stream(self._arrivals) if self._status == 200 else Stream()
        usage = stream.usage
        written = self._exchange.sent_at if self._exchange is not None else None
        return RequestRecord(
            index=self._draft.index,
            endpoint=self._target.endpoint,
            replica=self._replica,
            input_tokens_asked=self._draft.input_tokens,
            output_tokens_asked=self._draft.output_tokens,
            intended_s=self._intended - zero,
            dispatched_s=self._dispatched - zero,
            written_s=_since(zero, written),
            head_s=_since(zero, self._head),
            ended_s=self._ended - zero,
            chunk_times_s=tuple(chunk.time - zero for chunk in stream.chunks),
            chunk_tokens=stream.chunk_tokens(),
            input_tokens=usage.prompt_tokens if usage is not None else None,
            output_tokens=usage.completion_tokens if usage is not None else None,
            cached_tokens=usage.cached_tokens if usage is not None else None,
            finish_reason=stream.finish_reason,
            status=self._status,
            failure=self._failure or self._judge(stream),
        )

    def _judge(self, stream: Stream) -> Failure | None:
        """Return what is wrong with an answer that arrived without a transport error."""
        if self._status != 200:
            body = b"".join(data for _, data in self._arrivals)
            return Failure(FailureKind.HTTP, f"status {self._status}: {error_text(body)}")
        if stream.failure is not None:
            return stream.failure
        if not stream.done:
            return self._judge_unfinished(stream)
        if stream.usage is None:
            return Failure(FailureKind.NO_USAGE, "the stream has no usage")
        return None

    def _judge_unfinished(self, stream: Stream) -> Failure:
        body = b"".join(data for _, data in self._arrivals)
        if body and not stream.chunks and b"data:" not in body:
            return Failure(FailureKind.MALFORMED, f"not an event stream: {error_text(body)}")
        return Failure(FailureKind.CUT, "the stream ended without [DONE]")


def _since(zero: float, time_s: float | None) -> float | None:
    return None if time_s is None else time_s - zero
