"""Traces, for deployments that have the extra ``tracing``: one span for each request.

OpenTelemetry is imported only where an ``otlp_endpoint`` is set; without it a gateway neither needs
it nor pays for it in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from replicore.errors import ConfigError
from replicore.gateway.record import Choice, Finished

_EXPORTER = "replicore.gateway.observe.otlp"


class Tracer(Protocol):
    """Makes spans of finished requests."""

    def finished(self, finished: Finished, choices: Sequence[Choice] = ()) -> None:
        """Take one request; what is made of it is sent later, by a thread."""
        ...

    def close(self) -> None:
        """Send what is left and end the thread; blocks for some seconds."""
        ...


def open_tracer(endpoint: str, *, module: str = _EXPORTER) -> Tracer:
    """Return a tracer that exports to an OTLP/HTTP collector.

    Args:
        endpoint: The URL that traces are posted to, such as ``http://127.0.0.1:4318/v1/traces``.
        module: Where the tracer is; tests name one that is not there.

    Raises:
        ConfigError: The extra ``tracing`` is not installed.
    """
    try:
        otlp = import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'gateway.otlp_endpoint: "{endpoint}" needs the package {error.name}, '
            "which is not installed",
            hint='pip install "replicore[tracing]"',
        ) from error
    tracer: Tracer = otlp.OtlpTracer(endpoint)
    return tracer
