"""Spans of finished requests, exported over OTLP/HTTP. Needs the extra ``tracing``.

A span is made when the request is over, of its record, and not kept while it runs: nothing can be
left open, and the data path is not slowed by it. The SDK's batch processor queues spans and sends
them from a thread of its own. Where the collector is down or slow, its queue drops spans; requests
never wait for it.

Source: OpenTelemetry's semantic conventions for HTTP servers and for generative AI.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

import replicore
from replicore.gateway.observe.traceparent import is_sampled, same_trace, span_id, trace_id
from replicore.gateway.record import Choice, Finished

_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
# Within gateway.drain_timeout, after which the process is killed.
_CLOSE_S = 3.0
_NS_PER_S = 1_000_000_000
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)

Value = str | int | float | bool


class OtlpTracer:
    """Makes spans and hands them to the batch processor.

    Args:
        close_s: Longest time that :meth:`close` may take.
    """

    def __init__(
        self, endpoint: str, *, exporter: SpanExporter | None = None, close_s: float = _CLOSE_S
    ) -> None:
        self._processor = BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint))
        self._resource = _resource()
        self._close_s = close_s
        self._scope = InstrumentationScope("replicore.gateway", replicore.__version__)
        self._address = socket.gethostname()

    def finished(self, finished: Finished, choices: Sequence[Choice] = ()) -> None:
        """Make a span, if the request is part of a trace that is sampled."""
        if is_sampled(finished.traceparent):
            self._processor.on_end(self._span(finished, choices))

    def close(self) -> None:
        """Send what is left; a collector that is down is not waited for long."""
        closing = threading.Thread(target=self._processor.shutdown, daemon=True)
        closing.start()
        closing.join(self._close_s)

    def _span(self, finished: Finished, choices: Sequence[Choice]) -> ReadableSpan:
        own, client = finished.traceparent, finished.client_traceparent
        start = int(finished.started_at * _NS_PER_S)
        return ReadableSpan(
            name=finished.route,
            kind=SpanKind.SERVER,
            context=_context(own, is_remote=False),
            parent=_context(client, is_remote=True) if same_trace(client, own) else None,
            resource=self._resource,
            instrumentation_scope=self._scope,
            attributes={**_attributes(finished), "server.address": self._address},
            events=[_event(choice) for choice in choices[1:]],
            status=_status(finished),
            start_time=start,
            end_time=start + int(finished.duration_s * _NS_PER_S),
        )


def _resource() -> Resource:
    """Return who sends; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES of the user win."""
    own = {
        "service.name": "replicore",
        "service.version": replicore.__version__,
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
    }
    return Resource.create(own).merge(OTELResourceDetector().detect())


def _context(header: str, *, is_remote: bool) -> SpanContext:
    return SpanContext(trace_id(header), span_id(header), is_remote, _SAMPLED)


def _attributes(finished: Finished) -> dict[str, Value]:
    """Return what is known of the request; what is not known is left out."""
    values: dict[str, Value | None] = {
        "http.route": finished.route,
        "http.response.status_code": finished.status or None,
        "error.type": _error_type(finished),
        "gen_ai.operation.name": _OPERATIONS.get(finished.route),
        "gen_ai.request.stream": finished.stream,
        "gen_ai.usage.input_tokens": finished.prompt_tokens,
        "gen_ai.usage.output_tokens": finished.output_tokens,
        "gen_ai.response.time_to_first_chunk": finished.ttft_s if finished.stream else None,
        "replicore.request_id": finished.request_id,
        "replicore.caller": finished.caller or None,
        "replicore.outcome": finished.outcome,
        "replicore.replica": finished.replica,
        "replicore.queue_s": finished.queue_s,
        "replicore.tpot_s": finished.tpot_s,
        "replicore.attempts": finished.attempts,
        "replicore.resumes": finished.resumes,
    }
    return {name: value for name, value in values.items() if value is not None}


def _error_type(finished: Finished) -> str | None:
    """Return the status if it is an error; a stream that broke after its 200 is the replica's."""
    if finished.status >= 400:
        return str(finished.status)
    return "upstream_error" if finished.outcome == "error" else None


def _status(finished: Finished) -> Status:
    """Return ERROR for failures of the server's, as HTTP server spans have it; 4xx are not."""
    failed = finished.status >= 500 or (finished.outcome == "error" and finished.status < 400)
    return Status(StatusCode.ERROR if failed else StatusCode.UNSET)


def _event(choice: Choice) -> Event:
    """Return the event of a replica's replacement: ``retry`` or ``resume``."""
    kind, _, failure = choice.reason.partition(": ")
    attributes = {"replicore.replica": choice.replica, "replicore.reason": failure}
    return Event(kind, attributes, timestamp=int(choice.at * _NS_PER_S))
