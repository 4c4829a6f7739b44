"""Latencies of one request, in seconds. Pure; every definition is the one of docs/metrics.md.

Symbols: s is when a request was dispatched, or, where that is asked for, intended to be;
t_1 <= ... <= t_n are the arrivals of its n output tokens (the tokens of one chunk share the chunk's
time), n is by the server's ``usage``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Literal

from replicore.bench.record import RequestRecord
from replicore.errors import UndefinedMetric

LatencyFrom = Literal["dispatched", "intended"]
Metric = Callable[[RequestRecord], float]


def start_s(record: RequestRecord, since: LatencyFrom = "dispatched") -> float:
    """Return s: when the clock of a request's latencies starts, on the run's clock."""
    return record.dispatched_s if since == "dispatched" else record.intended_s


def ttft(record: RequestRecord, since: LatencyFrom = "dispatched") -> float:
    """Time to first token, in seconds.

    TTFT = t_1 - s

    The first chunk with content ends it: a role, an empty text or a progress report does not. It
    includes every queue on the way.

    Raises:
        UndefinedMetric: No content arrived.
    """
    if not record.chunk_times_s:
        raise UndefinedMetric(f"request {record.index} has no content, so no time to first token")
    return record.chunk_times_s[0] - start_s(record, since)


def e2e(record: RequestRecord, since: LatencyFrom = "dispatched") -> float:
    """End-to-end latency, in seconds: until the last content, not until the stream's end.

    E2E = t_n - s

    Raises:
        UndefinedMetric: No content arrived.

    Source: ``vllm bench serve``, which moved to the last token when usage got a chunk of its own.
    """
    if not record.chunk_times_s:
        raise UndefinedMetric(f"request {record.index} has no content, so no latency")
    return record.chunk_times_s[-1] - start_s(record, since)


def tpot(record: RequestRecord) -> float:
    """Mean time per output token after the first, in seconds.

    TPOT = (t_n - t_1) / (n - 1) = (E2E - TTFT) / (n - 1)

    Raises:
        UndefinedMetric: Fewer than two output tokens, or no content.

    Source: ``vllm bench serve``. AWS Neuron's guide divides by n; LLMPerf includes the TTFT.
    """
    if record.output_tokens is None or record.output_tokens < 2:
        raise UndefinedMetric(f"request {record.index} has fewer than two output tokens")
    return (e2e(record) - ttft(record)) / (record.output_tokens - 1)


def user_rate(record: RequestRecord) -> float:
    """Tokens per second that the user sees once they flow.

    user rate = (n - 1) / (t_n - t_1) = 1 / TPOT

    Raises:
        UndefinedMetric: TPOT is undefined, or 0 because all tokens came at once.
    """
    pace = tpot(record)
    if not pace > 0:
        raise UndefinedMetric(f"request {record.index} has all its tokens at one time")
    return 1 / pace


def normalized(record: RequestRecord, since: LatencyFrom = "dispatched") -> float:
    """End-to-end latency per output token, in seconds.

    normalised latency = E2E / n

    Raises:
        UndefinedMetric: No output token, or no content.

    Source: Yu et al., Orca, OSDI 2022.
    """
    if not record.output_tokens:
        raise UndefinedMetric(f"request {record.index} has no output tokens")
    return e2e(record, since) / record.output_tokens


def chunk_gaps(record: RequestRecord) -> tuple[float, ...]:
    """Times between consecutive chunks, in seconds, ``(chunks - 1,)``.

    A gap is what a reader waits for, not the time of one token: a chunk may hold several.
    """
    times = record.chunk_times_s
    return tuple(map(operator.sub, times[1:], times))


def max_stall(record: RequestRecord) -> float:
    """Longest chunk gap, in seconds.

    Raises:
        UndefinedMetric: Fewer than two chunks.
    """
    gaps = chunk_gaps(record)
    if not gaps:
        raise UndefinedMetric(f"request {record.index} has fewer than two chunks")
    return max(gaps)
