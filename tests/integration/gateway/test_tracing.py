"""Spans as an OTLP/HTTP collector on loopback receives them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import closing
from threading import Event

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from replicore.gateway.observe.otlp import OtlpTracer
from replicore.gateway.observe.tracing import open_tracer
from replicore.gateway.record import Choice, Finished, Outcome
from replicore.http.server import Request, Response, listen, serve
from tests.integration.loops import run

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENT = f"00-{TRACE}-b7ad6b7169203331-01"
OURS = f"00-{TRACE}-00f067aa0ba902b7-01"

# More than the SDK's queue holds.
MANY = 5000


def finished(
    *,
    status: int = 200,
    outcome: Outcome = "ok",
    traceparent: str = OURS,
    client_traceparent: str = CLIENT,
) -> Finished:
    return Finished(
        request_id="id",
        caller="alice",
        route="/v1/chat/completions",
        stream=True,
        status=status,
        outcome=outcome,
        replica="r1",
        started_at=1_700_000_000.5,
        queue_s=0.25,
        ttft_s=0.5,
        tpot_s=None,
        duration_s=2.0,
        prompt_tokens=7,
        output_tokens=1,
        attempts=2,
        resumes=0,
        traceparent=traceparent,
        client_traceparent=client_traceparent,
    )


def choice(replica: str, reason: str, at: float) -> Choice:
    return Choice(
        replica=replica, policy="least_work", reason=reason, at=at, waited_s=0.0, candidates=()
    )


async def exported(request: Finished, choices: Sequence[Choice] = ()) -> list[ResourceSpans]:
    """Return what a collector gets of one finished request."""
    received: list[Request] = []

    def collector(asked: Request, response: Response) -> None:
        received.append(asked)
        response.send(200, b"", content_type=b"application/x-protobuf")

    sock = listen("127.0.0.1", 0)
    server = await serve(collector, sock=sock)
    tracer = open_tracer(f"http://127.0.0.1:{sock.getsockname()[1]}/v1/traces")
    tracer.finished(request, choices)
    await asyncio.to_thread(tracer.close)
    server.close()
    await server.wait_closed()
    assert all(asked.path == "/v1/traces" for asked in received)
    return [one for asked in received for one in spans_in(asked.body)]


def spans_in(body: bytes) -> list[ResourceSpans]:
    return list(ExportTraceServiceRequest.FromString(body).resource_spans)


async def span_of(request: Finished, choices: Sequence[Choice] = ()) -> Span:
    (resource,) = await exported(request, choices)
    (scope,) = resource.scope_spans
    assert len(scope.spans) == 1
    span: Span = scope.spans[0]
    return span


def values(attributes: Sequence[KeyValue]) -> dict[str, str | int | float | bool]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "") for one in attributes}


def test_span_is_the_one_that_the_replica_was_told_and_a_child_of_the_clients() -> None:
    async def test() -> None:
        span = await span_of(finished())

        assert span.trace_id.hex() == TRACE
        assert span.span_id.hex() == "00f067aa0ba902b7"
        assert span.parent_span_id.hex() == "b7ad6b7169203331"
        assert span.kind == Span.SPAN_KIND_SERVER

    run(test)


def test_span_of_a_request_without_a_client_context_is_a_root() -> None:
    async def test() -> None:
        span = await span_of(finished(client_traceparent=""))

        assert span.parent_span_id == b""

    run(test)


def test_span_has_the_times_of_the_request() -> None:
    async def test() -> None:
        span = await span_of(finished())

        assert span.start_time_unix_nano == 1_700_000_000_500_000_000
        assert span.end_time_unix_nano == 1_700_000_002_500_000_000

    run(test)


def test_span_has_what_is_known_of_the_request_and_nothing_else() -> None:
    async def test() -> None:
        span = await span_of(finished())

        assert span.name == "/v1/chat/completions"
        assert values(span.attributes) == {
            "http.route": "/v1/chat/completions",
            "http.response.status_code": 200,
            "server.address": socket.gethostname(),
            "gen_ai.operation.name": "chat",
            "gen_ai.request.stream": True,
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 1,
            "gen_ai.response.time_to_first_chunk": 0.5,
            "replicore.request_id": "id",
            "replicore.caller": "alice",
            "replicore.outcome": "ok",
            "replicore.replica": "r1",
            "replicore.queue_s": 0.25,
            "replicore.attempts": 2,
            "replicore.resumes": 0,
        }

    run(test)


def test_further_choices_of_a_replica_are_events() -> None:
    async def test() -> None:
        chosen = [
            choice("r0", "first", 1.0),
            choice("r1", "retry: connection reset", 2.0),
            choice("r2", "resume: closed", 3.5),
        ]
        retry, resume = (await span_of(finished(), chosen)).events

        assert (retry.name, retry.time_unix_nano) == ("retry", 2_000_000_000)
        assert values(retry.attributes) == {
            "replicore.replica": "r1",
            "replicore.reason": "connection reset",
        }
        assert (resume.name, resume.time_unix_nano) == ("resume", 3_500_000_000)

    run(test)


def test_failures_of_the_server_are_errors_and_those_of_the_client_are_not() -> None:
    async def test() -> None:
        broken_stream = await span_of(finished(outcome="error"))
        unavailable = await span_of(finished(outcome="refused", status=503))
        bad_request = await span_of(finished(outcome="refused", status=400))

        assert broken_stream.status.code == Status.STATUS_CODE_ERROR
        assert values(broken_stream.attributes)["error.type"] == "upstream_error"
        assert unavailable.status.code == Status.STATUS_CODE_ERROR
        assert values(unavailable.attributes)["error.type"] == "503"
        assert bad_request.status.code == Status.STATUS_CODE_UNSET

    run(test)


def test_resource_is_the_gateway() -> None:
    async def test() -> None:
        (resource,) = await exported(finished())

        assert values(resource.resource.attributes)["service.name"] == "replicore"

    run(test)


def test_trace_that_nobody_samples_is_not_sent() -> None:
    async def test() -> None:
        assert await exported(finished(traceparent=OURS[:-1] + "0")) == []
        assert await exported(finished(traceparent="", client_traceparent="")) == []

    run(test)


class StuckExporter(SpanExporter):
    """A collector that takes nothing until it is told to."""

    def __init__(self) -> None:
        self.released = Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.released.wait()
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.released.set()


def test_collector_that_takes_nothing_holds_up_neither_requests_nor_the_end() -> None:
    exporter = StuckExporter()
    tracer = OtlpTracer("", exporter=exporter, close_s=0.0)
    for _ in range(MANY):
        tracer.finished(finished())
    tracer.close()

    exporter.released.set()


def test_collector_that_is_not_there_costs_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    with closing(listen("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    tracer = open_tracer(f"http://127.0.0.1:{port}/v1/traces")
    tracer.finished(finished())
    tracer.close()
