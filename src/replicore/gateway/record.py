"""What is kept of a request once it is over, and of the choice of its replica. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["ok", "error", "refused", "client_left"]


class Finished(msgspec.Struct, kw_only=True):
    """One request, when nothing more will come of it. Times in seconds.

    Attributes:
        caller: Name of its API key; empty without keys.
        route: Path of a known route, ``other`` for any other.
        status: What the client was answered; 0 if it left before.
        outcome: ``refused`` is an answer of the gateway's own that no replica was asked for.
        started_at: Wall clock, seconds since 1970.
        queue_s: Waited in the gateway for a replica, resumptions included.
        ttft_s: From its arrival to the first bytes of the answer's body; None if there were none.
        tpot_s: Mean time per output token after the first; None below two tokens or no stream.
        duration_s: From its arrival to its end.
        prompt_tokens: From the engine's ``usage``; None where it told none.
        output_tokens: From ``usage``, else counted from the stream's events; None if neither.
        attempts: Replicas that it was sent to.
        resumes: How often its stream was continued on another replica.
        traceparent: W3C trace context that the replica was sent: the trace, and this request's own
            span; empty without tracing.
        client_traceparent: What the client sent, the parent of that span.
    """

    request_id: str
    caller: str
    route: str
    stream: bool
    status: int
    outcome: Outcome
    replica: str | None
    started_at: float
    queue_s: float
    ttft_s: float | None
    tpot_s: float | None
    duration_s: float
    prompt_tokens: int | None
    output_tokens: int | None
    attempts: int
    resumes: int
    traceparent: str = ""
    client_traceparent: str = ""


class Candidate(msgspec.Struct, kw_only=True):
    """A replica that could have served a request, as it stood when the choice was made.

    Attributes:
        cost: The policy's score; the lowest is chosen, ties rotate.
        outstanding: Requests that it was working on.
        prefill_tokens: Prompt tokens before it, without those in its prefix cache.
        decode_tokens: Output tokens still expected of it.
        cached_tokens: Of this request's prompt, believed to be in its prefix cache.
    """

    replica: str
    cost: float
    outstanding: int
    prefill_tokens: float
    decode_tokens: float
    cached_tokens: float


class Choice(msgspec.Struct, kw_only=True):
    """Why a request went to a replica: every candidate with its score.

    Attributes:
        at: Wall clock, seconds since 1970.
        waited_s: In the queue, before this choice.
        reason: ``first``; after a failure ``retry: ...`` or ``resume: ...`` with what failed.
    """

    replica: str
    policy: str
    reason: str
    at: float
    waited_s: float
    candidates: tuple[Candidate, ...]


class Explanation(msgspec.Struct, kw_only=True):
    """All choices of one request, in order."""

    request_id: str
    prompt_tokens: float
    output_tokens: float
    choices: list[Choice]
