"""Sessions, calls and ticks for tests."""

from __future__ import annotations

import json
from typing import Any

from replicore.bench.client.call import Call
from replicore.bench.client.targets import Target
from replicore.bench.client.tick import Tick
from replicore.bench.load.jobs import Job, Session
from replicore.http.client import Pool
from replicore.http.stamped import Arrival


def session(index: int, *, turns: int = 1, **options: Any) -> Session:
    """A session of requests that are numbered ``10 * index`` and up."""
    jobs = [
        Job(index=10 * index + turn, body=b"{}", input_tokens=5, output_tokens=3)
        for turn in range(turns)
    ]
    return Session(index=index, jobs=jobs, **options)


def tick(**options: Any) -> Tick:
    counts: dict[str, Any] = {"done": 0, "total": 10, "warming": 0, "errors": 0, "output_tokens": 0}
    return Tick(**counts | {"elapsed_s": 1.0} | options)


def call(arrival: Arrival | None = None, **options: Any) -> Call:
    """A call that is not sent: a test plays the connection pool."""
    target = Target("http://127.0.0.1:1", Pool("http://127.0.0.1:1"), arrival or Arrival())
    (job,) = session(0).jobs
    given: dict[str, Any] = {"intended": 0.0, "on_over": lambda _: None}
    return Call(job, target, **given | options)


def answer(call: Call, *parts: bytes, replica: bytes | None = None) -> Call:
    """Give a call its answer, one part a read, and return it."""
    headers = [] if replica is None else [(b"x-replicore-replica", replica)]
    call.on_head(200, headers)
    for part in parts:
        call.on_body(part)
    call.on_end()
    return call


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def text(content: str) -> bytes:
    return event(choices=[{"index": 0, "text": content}])


def usage(output_tokens: int) -> bytes:
    return event(choices=[], usage={"prompt_tokens": 5, "completion_tokens": output_tokens})


DONE = b"data: [DONE]\n\n"
