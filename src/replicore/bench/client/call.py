"""One request of a benchmark: send it, stamp what arrives, make a record of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from replicore.bench.client.stream import Stream, error_text, read_stream
from replicore.bench.client.targets import Target
from replicore.bench.load.jobs import Job
from replicore.bench.record import Failure, FailureKind, RequestRecord
from replicore.errors import UpstreamError
from replicore.http.client import Exchange
from replicore.http.stamped import StampedTransport

_REPLICA = b"x-replicore-replica"
_SIMULATED = b"x-replicore-simulated"
_OK = 200

# An answer's end: its last event, and one before it that may be an error.
_DONE = b"[DONE]"
_ERROR = b'"error":'


class Call:
    """One request on its way; a sink of the connection pool.

    The callbacks only stamp and append. :meth:`record` reads the bytes once the call is over.

    Args:
        intended: When it should leave, on the clock of ``time.perf_counter``.
        on_over: Called once, when it has ended in whatever way.
        session: Position of the session that it belongs to, and ``turn`` its own in that.
        worker: Client process that sends it.
        warmup: Whether it is sent before the measured ones.

    Attributes:
        replica: Name of the replica that answers, or the endpoint's ``host:port``.
        ended: When it ended; 0 before.
    """

    __slots__ = (
        "_connected",
        "_data",
        "_dispatched",
        "_exchange",
        "_failure",
        "_head",
        "_intended",
        "_lags",
        "_on_over",
        "_session",
        "_status",
        "_stream",
        "_timer",
        "_times",
        "_turn",
        "_worker",
        "_written",
        "ended",
        "job",
        "replica",
        "simulated",
        "target",
        "warmup",
    )

    def __init__(
        self,
        job: Job,
        target: Target,
        *,
        intended: float,
        on_over: Callable[[Call], None],
        session: int = 0,
        turn: int = 0,
        worker: int = 0,
        warmup: bool = False,
    ) -> None:
        self.job = job
        self.target = target
        self.replica = target.pool.authority
        self.simulated = False
        self.ended = 0.0
        self._intended = intended
        self._on_over: Callable[[Call], None] | None = on_over
        self._session = session
        self._turn = turn
        self._worker = worker
        self.warmup = warmup
        self._dispatched = 0.0
        self._connected: float | None = None
        self._written: float | None = None
        self._head: float | None = None
        self._status: int | None = None
        self._times: list[float] = []
        self._lags: list[float | None] = []
        self._data: list[bytes] = []
        self._stream: Stream | None = None
        self._failure: Failure | None = None
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        return self._on_over is None

    @property
    def reads(self) -> int:
        """How often something of the answer was read so far: about once for each of its events."""
        return len(self._data)

    @property
    def failed(self) -> bool:
        """Whether it is no whole answer, as far as its end tells; :meth:`record` tells exactly."""
        if self._failure is not None or self._status != _OK:
            return True
        end = b"".join(self._data[-2:])
        return _DONE not in end or _ERROR in end

    def start(self, request: bytes, *, timeout: float) -> None:
        """Send ``request``; it is over at the latest in ``timeout`` seconds."""
        loop = asyncio.get_running_loop()
        reason = f"not finished within {timeout:g} s"
        self._timer = loop.call_later(timeout, self.give_up, FailureKind.TIMEOUT, reason)
        self._dispatched = time.perf_counter()
        self._exchange = self.target.pool.send(request, self)

    def give_up(self, kind: FailureKind, message: str) -> None:
        """Cancel the request; it stays in the record as failed."""
        if self._exchange is not None:
            self._note_written(self._exchange)
            self._exchange.cancel()
        self._fail(kind, message)

    # ResponseSink

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._head = self.target.arrival.time
        self._status = status
        for name, value in headers:
            if name == _REPLICA:
                self.replica = value.decode("latin-1")
            elif name == _SIMULATED:
                self.simulated = True
        if self._exchange is not None:
            self._note_written(self._exchange)

    def on_body(self, data: bytes) -> None:
        arrival = self.target.arrival
        self._times.append(arrival.time)
        self._lags.append(arrival.lag)
        self._data.append(data)

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
        if not self.is_over:
            self._failure = Failure(kind, message)
            self._end()

    def _end(self) -> None:
        """End once; what refers to each other is let go, for the collector is off in a run."""
        on_over, self._on_over = self._on_over, None
        if on_over is None:
            return
        self.ended = time.perf_counter()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._exchange is not None:
            self._connected = self._exchange.connected_at
            self._written = self._written or self._exchange.sent_at
            self._exchange = None
        on_over(self)

    def _note_written(self, exchange: Exchange) -> None:
        """Keep when the last byte was given to the kernel; what it answers, it had by then."""
        transport = exchange.transport
        if isinstance(transport, StampedTransport) and transport.written_at is not None:
            head = self._head
            written = transport.written_at
            self._written = written if head is None else min(written, head)

    # after the end

    @property
    def text(self) -> str:
        """The answer's content, as far as it came."""
        return "".join(self._read().texts)

    def record(self, zero: float, *, keep_text: bool = False) -> RequestRecord:
        """Return what happened, with times counted from ``zero`` of the same clock."""
        stream = self._read()
        usage = stream.usage
        return RequestRecord(
            index=self.job.index,
            endpoint=self.target.endpoint,
            replica=self.replica,
            input_tokens_asked=self.job.input_tokens,
            output_tokens_asked=self.job.output_tokens,
            intended_s=self._intended - zero,
            dispatched_s=self._dispatched - zero,
            ended_s=self.ended - zero,
            session=self._session,
            turn=self._turn,
            worker=self._worker,
            connected_s=_since(zero, self._connected),
            written_s=_since(zero, self._written),
            head_s=_since(zero, self._head),
            chunk_times_s=tuple(chunk.time - zero for chunk in stream.chunks),
            chunk_lags_s=self._chunk_lags(stream),
            chunk_tokens=stream.chunk_tokens(),
            events=stream.events,
            answer_s=_since(zero, stream.answer_time),
            text=self.text if keep_text else None,
            input_tokens=usage.prompt_tokens if usage is not None else None,
            output_tokens=usage.completion_tokens if usage is not None else None,
            cached_tokens=usage.cached_tokens if usage is not None else None,
            finish_reason=stream.finish_reason,
            status=self._status,
            failure=self._failure or self._judge(stream),
        )

    def _read(self) -> Stream:
        """Return the answer's events, read when they are first asked for."""
        if self._stream is None:
            has_events = self._status == _OK
            arrivals = zip(self._times, self._data, strict=True) if has_events else ()
            self._stream = read_stream(arrivals)
        return self._stream

    def _chunk_lags(self, stream: Stream) -> tuple[float, ...]:
        """Return the lag of each chunk, empty without stamps; a read that has none is its own."""
        lags = [self._lags[chunk.read] for chunk in stream.chunks]
        if all(lag is None for lag in lags):
            return ()
        return tuple(lag or 0.0 for lag in lags)

    def _judge(self, stream: Stream) -> Failure | None:
        """Return what is wrong with an answer that arrived without a transport error."""
        if self._status != _OK:
            message = f"status {self._status}: {error_text(b''.join(self._data))}"
            return Failure(FailureKind.HTTP, message)
        if stream.failure is not None:
            return stream.failure
        if not stream.done:
            return self._judge_unfinished(stream)
        if stream.usage is None:
            return Failure(FailureKind.NO_USAGE, "the stream has no usage")
        return None

    def _judge_unfinished(self, stream: Stream) -> Failure:
        body = b"".join(self._data)
        if body and not stream.chunks and b"data:" not in body:
            return Failure(FailureKind.MALFORMED, f"not an event stream: {error_text(body)}")
        return Failure(FailureKind.CUT, "the stream ended without [DONE]")


def _since(zero: float, time_s: float | None) -> float | None:
    return None if time_s is None else time_s - zero
