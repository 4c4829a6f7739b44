"""Options and records with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from replicore.bench.llmperf.entries import Entry
from replicore.bench.llmperf.options import Options, RunOptions
from replicore.bench.record import Failure, FailureKind, RequestRecord


def run_options(**fields: Any) -> RunOptions:
    return RunOptions(**{"model": "tiny", "sampling": {}, "metadata": {}, **fields})


def options(*, run: dict[str, Any] | None = None, **fields: Any) -> Options:
    return Options(run=run_options(**(run or {})), **fields)


def record(**fields: Any) -> RequestRecord:
    """Return a request sent at 10 s: a role event, content at 10.5, 10.7 and 11, an end event.

    So K = 5, and the stream ends at 11.2 s.
    """
    given = {
        "index": 0,
        "endpoint": "http://a:1",
        "replica": "a:1",
        "input_tokens_asked": 100,
        "output_tokens_asked": 8,
        "intended_s": 9.0,
        "dispatched_s": 10.0,
        "ended_s": 11.2,
        "chunk_times_s": (10.5, 10.7, 11.0),
        "chunk_tokens": (3.0, 2.0, 3.0),
        "answer_s": 10.5,
        "events": 5,
        "text": "one two three",
        "input_tokens": 104,
        "output_tokens": 8,
        "status": 200,
    }
    return RequestRecord(**{**given, **fields})


def failed(kind: FailureKind, message: str = "why", **fields: Any) -> RequestRecord:
    nothing = {
        "chunk_times_s": (),
        "chunk_tokens": (),
        "answer_s": None,
        "events": 0,
        "text": "",
        "input_tokens": None,
        "output_tokens": None,
    }
    return record(**{**nothing, "failure": Failure(kind, message), **fields})


def entry(**fields: Any) -> Entry:
    given = {
        "error_code": None,
        "error_msg": "",
        "inter_token_latency_s": 0.1,
        "ttft_s": 0.5,
        "end_to_end_latency_s": 2.0,
        "request_output_throughput_token_per_s": 4.0,
        "number_total_tokens": 108,
        "number_output_tokens": 8,
        "number_input_tokens": 100,
    }
    return Entry(**{**given, **fields})
