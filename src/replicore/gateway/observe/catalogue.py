"""Every metric that the gateway exports: name, type, labels, meaning, buckets. Pure.

Names are in base units, seconds and tokens, and in the words of docs/metrics.md. A label's values
are a bounded set: replicas, known routes, names of API keys, and words of our own. Paths, models
and whatever else a client writes are never a label.

Buckets. ``histogram_quantile`` interpolates within a bucket, so its error is the bucket's width.
Neighbouring bounds are at most a factor of two apart where the values of a served model lie, and
round figures of common objectives (0.2 s, 0.5 s, 50 ms) are bounds themselves, so that "within the
objective" is an exact count and not an interpolation.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]

# From a short prompt on a fast accelerator (10 ms) to a long one behind a full queue.
_TTFT_BOUNDS = (
    *(0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0),
)
# 5 to 50 ms on accelerators, to 0.5 s on CPUs; 0.2 s is reading speed.
_TPOT_BOUNDS = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0),
)
# From an embedding to a long chain of thought.
_E2E_BOUNDS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0),
    *(30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1200.0, 3600.0),
)
# The first bucket is "did not wait"; the last ones are about gateway.queue_timeout, 30 s.
_QUEUE_BOUNDS = (
    *(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0),
)


class Metric(NamedTuple):
    """A family of time series.

    Attributes:
        bounds: Of a histogram: inclusive upper bounds, ascending, without the last, infinite one.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    bounds: tuple[float, ...] = ()


REQUESTS = Metric(
    "replicore_requests_total",
    "counter",
    ("route", "outcome", "status", "replica"),
    "Requests that ended.",
)
PROMPT_TOKENS = Metric(
    "replicore_prompt_tokens_total", "counter", ("replica",), "Prompt tokens by the engines' usage."
)
OUTPUT_TOKENS = Metric(
    "replicore_output_tokens_total",
    "counter",
    ("replica",),
    "Output tokens by the engines' usage, else counted from the stream.",
)
TIME_TO_FIRST_TOKEN = Metric(
    "replicore_time_to_first_token_seconds",
    "histogram",
    ("replica",),
    "Arrival of a streamed request to the first bytes of its answer's body.",
    _TTFT_BOUNDS,
)
TIME_PER_OUTPUT_TOKEN = Metric(
    "replicore_time_per_output_token_seconds",
    "histogram",
    ("replica",),
    "Mean time per output token after the first, one value per streamed request.",
    _TPOT_BOUNDS,
)
E2E_LATENCY = Metric(
    "replicore_e2e_request_latency_seconds",
    "histogram",
    ("replica",),
    "Arrival to end of requests whose outcome is ok.",
    _E2E_BOUNDS,
)
QUEUE_TIME = Metric(
    "replicore_request_queue_time_seconds",
    "histogram",
    ("replica",),
    "Wait in the gateway for a replica.",
    _QUEUE_BOUNDS,
)
CALLER_REQUESTS = Metric(
    "replicore_caller_requests_total",
    "counter",
    ("caller", "outcome"),
    "Requests that ended, by the name of their API key.",
)
CALLER_PROMPT_TOKENS = Metric(
    "replicore_caller_prompt_tokens_total",
    "counter",
    ("caller",),
    "Prompt tokens by the name of the API key.",
)
CALLER_OUTPUT_TOKENS = Metric(
    "replicore_caller_output_tokens_total",
    "counter",
    ("caller",),
    "Output tokens by the name of the API key.",
)
REFUSALS = Metric(
    "replicore_refusals_total",
    "counter",
    ("reason",),
    "Requests that the gateway answered with an error of its own.",
)
RETRIES = Metric(
    "replicore_retries_total",
    "counter",
    ("replica", "reason"),
    "Requests sent again before their first byte, by the replica that failed them.",
)
RESUMES = Metric(
    "replicore_resumes_total",
    "counter",
    ("replica", "outcome"),
    "Streams that broke after their first byte, by the replica that broke them.",
)
BREAKER_OPENINGS = Metric(
    "replicore_breaker_openings_total",
    "counter",
    ("replica",),
    "How often a circuit breaker opened.",
)
BREAKERS = Metric(
    "replicore_breakers",
    "gauge",
    ("replica", "state"),
    "Gateway workers whose circuit breaker for the replica is in that state.",
)
IN_FLIGHT = Metric(
    "replicore_requests_in_flight",
    "gauge",
    ("replica",),
    "Requests sent to a replica and not ended.",
)
QUEUED = Metric(
    "replicore_requests_queued", "gauge", (), "Requests that wait in the gateway for a replica."
)
REPLICA_STATE = Metric(
    "replicore_replica_state", "gauge", ("replica", "state"), "1 for the state it is in."
)
REPLICA_DRAINED = Metric(
    "replicore_replica_drained", "gauge", ("replica",), "1 if it is given no new requests."
)
REPLICA_SLOTS = Metric(
    "replicore_replica_slots", "gauge", ("replica",), "Sequences that it works on at once."
)
REPLICA_STARTS = Metric(
    "replicore_replica_starts_total", "counter", ("replica",), "Starts of its engine."
)
ENGINE_SCRAPES = Metric(
    "replicore_engine_scrapes_total",
    "counter",
    ("replica", "outcome"),
    "Requests for an engine's own metrics.",
)
ENGINE_LINES_SKIPPED = Metric(
    "replicore_engine_lines_skipped_total",
    "counter",
    ("replica",),
    "Lines of an engine's metrics that were left out.",
)
BUILD_INFO = Metric("replicore_build_info", "gauge", ("version",), "Always 1.")

CATALOGUE = (
    REQUESTS,
    PROMPT_TOKENS,
    OUTPUT_TOKENS,
    TIME_TO_FIRST_TOKEN,
    TIME_PER_OUTPUT_TOKEN,
    E2E_LATENCY,
    QUEUE_TIME,
    CALLER_REQUESTS,
    CALLER_PROMPT_TOKENS,
    CALLER_OUTPUT_TOKENS,
    REFUSALS,
    RETRIES,
    RESUMES,
    BREAKER_OPENINGS,
    BREAKERS,
    IN_FLIGHT,
    QUEUED,
    REPLICA_STATE,
    REPLICA_DRAINED,
    REPLICA_SLOTS,
    REPLICA_STARTS,
    ENGINE_SCRAPES,
    ENGINE_LINES_SKIPPED,
    BUILD_INFO,
)
