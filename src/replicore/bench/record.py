"""What one run leaves behind: a record per request. Everything reported is computed from these.

Times are seconds since the closed loop began, warm-up included, from one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
        intended_s: When its place in the closed loop became free.
        dispatched_s: When it was given to the connection pool; latencies count from here.
        written_s: When its last byte was given to the kernel.
        head_s: When the response's status and headers were in.
        ended_s: When the stream closed, failed or was given up.
        chunk_times_s: Arrival of each chunk with content. Chunks of one read share the time.
        chunk_tokens: Output tokens in each of them, ``(chunks,)``; a share where only the total is
            known, so not always whole.
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
    written_s: float | None = None
    head_s: float | None = None
    chunk_times_s: tuple[float, ...] = ()
    chunk_tokens: tuple[float, ...] = ()
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
class BenchResult:
    """One run: what was asked, and a record of every request.

    Attributes:
        endpoints: Base URLs measured.
        requests: How many were asked for; fewer are recorded if the run was interrupted.
        concurrency: Requests kept in flight.
        simulated: Whether a simulator answered, so that the numbers are of no real engine.
        exact_prompts: Whether prompts are token ids of exactly the asked number; else they are text
            of about that many tokens.
        started_at: Wall-clock time, ISO 8601 with offset.
        warmup: Requests sent before the measured ones, in the same closed loop. They count in the
            tokens that arrive within the window, and nowhere else.
        records: The measured requests, in the order they were drawn.
    """

    endpoints: tuple[str, ...]
    model: str
    workload: Workload
    requests: int
    concurrency: int
    simulated: bool
    exact_prompts: bool
    started_at: str
    interrupted: bool
    warmup: tuple[RequestRecord, ...]
    records: tuple[RequestRecord, ...]
