"""What one run leaves behind: a record per request. Everything reported is computed from these.

Times are seconds since the run began, warm-up included, from one monotonic clock that all processes
of the client share.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from replicore.bench.load.arrivals import Load
from replicore.bench.load.workload import Workload


class FailureKind(StrEnum):
    """Why a request has no valid answer."""

    CONNECT = "connect"  # no connection to the endpoint
    DISCONNECT = "disconnect"  # the connection ended before a response began
    HTTP = "http"  # a status other than 200
    TIMEOUT = "timeout"  # not finished within the request's time
    MALFORMED = "malformed"  # not an event stream, or an event that is not the expected JSON
    CUT = "cut"  # the stream ended before its [DONE]
    ERROR_EVENT = "error_event"  # an error inside the stream, after status 200
    NO_USAGE = "no_usage"  # whole, but without the token counts that every metric needs
    INTERRUPTED = "interrupted"  # cancelled by us when the run was ended early


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed request's kind and the text that came with it."""

    kind: FailureKind
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request as sent and answered.

    Attributes:
        index: Position in the workload, 0-based; names the prompt together with the seed.
        endpoint: Base URL that it was sent to.
        replica: Name of the replica that answered (``X-Replicore-Replica``), or the endpoint's
            ``host:port`` where no answer named one.
        session: Conversation that it belongs to; its turns are sent one after the other.
        turn: Position in the session, 0-based.
        worker: Client process that sent it.
        intended_s: When it should have left: its time in the plan, or when its place in the closed
            loop became free.
        dispatched_s: When it was given to the connection pool.
        connected_s: When a new connection for it was open; None where a kept one was used.
        written_s: When its last byte was given to the kernel.
        head_s: When the response's status and headers were in.
        ended_s: When the stream closed, failed or was given up.
        chunk_times_s: Arrival of each chunk with content, by the kernel's stamp where there is one.
            Chunks of one read share the time.
        chunk_lags_s: How long after its stamp each chunk was read, ``(chunks,)``; empty without
            stamps. What a client without them would have measured is the sum of both.
        chunk_tokens: Output tokens in each of them, ``(chunks,)``; a share where only the total is
            known, so not always whole.
        events: Events of the stream with a JSON object, with content or without.
        answer_s: Arrival of the first chunk that is not reasoning; None where there is none.
        text: The answer's content; None unless it was asked to be kept.
        input_tokens: By the server's ``usage``; None in a request without.
        output_tokens: By the server's ``usage``.
        cached_tokens: Input tokens that a prefix cache answered, where the server tells.
    """

    index: int
    endpoint: str
    replica: str
    input_tokens_asked: int
    output_tokens_asked: int
    intended_s: float
    dispatched_s: float
    ended_s: float
    session: int = 0
    turn: int = 0
    worker: int = 0
    connected_s: float | None = None
    written_s: float | None = None
    head_s: float | None = None
    chunk_times_s: tuple[float, ...] = ()
    chunk_lags_s: tuple[float, ...] = ()
    chunk_tokens: tuple[float, ...] = ()
    events: int = 0
    answer_s: float | None = None
    text: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: str | None = None
    status: int | None = None
    failure: Failure | None = None

    @property
    def succeeded(self) -> bool:
        return self.failure is None

    @property
    def unfinished(self) -> bool:
        """Cancelled by us, so neither a success nor an error."""
        return self.failure is not None and self.failure.kind is FailureKind.INTERRUPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecond:
    """How one process of the client did in one second: what a verdict on the run rests on.

    Attributes:
        start_s: On the run's clock.
        loop_lag_s: Longest delay of a timer of the event loop.
        cpu_share: CPU time of the process over the second, 1 for a whole core.
        run_queue_s: Time it was ready to run, and waited for a core; None where nobody tells.
        gc_s: Time in pauses of the garbage collector.
    """

    worker: int
    start_s: float
    loop_lag_s: float
    cpu_share: float
    run_queue_s: float | None
    gc_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSample:
    """What one endpoint told of itself at one time; None for what it did not tell.

    Attributes:
        at_s: On the run's clock.
        running: Requests in its batch.
        waiting: Requests in its queue.
        kv_usage: Share of its key-value cache in use, 0 to 1.
        output_tokens: Made since it started.
    """

    replica: str
    at_s: float
    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None
    output_tokens: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What this client measures of a mock whose answers are known, at the run's own load.

    Errors are measured minus true, in seconds.

    Attributes:
        streams: In flight at once.
        chunks_per_s: Over all streams.
        ttft_error_s: Of the median.
        ttft_p99_error_s: Of the 99th percentile.
        gap_p99_error_s: Of the 99th percentile of chunk gaps.
        stamped: Whether kernel stamps were there, so that the errors are those that remain.
    """

    streams: int
    chunks_per_s: float
    ttft_error_s: float
    ttft_p99_error_s: float
    gap_p99_error_s: float
    stamped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """One run: what was asked, and a record of every request.

    Attributes:
        endpoints: Base URLs measured.
        workload: What the requests are.
        load: When they are sent.
        dispatch: How an endpoint is chosen for each: ``round_robin``, ``least_in_flight``,
            ``sticky``.
        requests: How many were asked for; fewer are recorded if the run was interrupted. None for a
            run by time.
        simulated: Whether a simulator answered, so that the numbers are of no real engine.
        exact_prompts: Whether prompts are of exactly the asked number of tokens.
        common_tokens: That all prompts begin with, such as a chat template's: any prefix cache has
            them.
        started_at: Wall-clock time, ISO 8601 with offset.
        processes: Of the client.
        warmup: Requests sent before the measured ones, without a pause between. They count in the
            tokens that arrive within the window, and nowhere else.
        records: The measured requests, in the order they were drawn.
        client: How the client did, second by second.
        servers: What the endpoints told of themselves, in order of time.
        calibration: None where it was not made.
    """

    endpoints: tuple[str, ...]
    model: str
    workload: Workload
    load: Load
    dispatch: str = "least_in_flight"
    requests: int | None
    simulated: bool
    exact_prompts: bool
    common_tokens: int = 0
    started_at: str
    interrupted: bool
    processes: int = 1
    warmup: tuple[RequestRecord, ...]
    records: tuple[RequestRecord, ...]
    client: tuple[ClientSecond, ...] = ()
    servers: tuple[ServerSample, ...] = ()
    calibration: Calibration | None = None

    @property
    def concurrency(self) -> int | None:
        """Requests kept in flight, or the most that may be; None for any number."""
        return self.load.concurrency
