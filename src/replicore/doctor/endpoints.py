"""Servers that somebody else runs: do they answer?"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from replicore.doctor.case import Case, Place
from replicore.doctor.reports import error, ok
from replicore.findings import Finding

_TIMEOUT_S = 1.0


def check_endpoints(place: Place, case: Case) -> Iterator[Finding]:
    """Connect to each endpoint of ``engine.remote``."""
    if case.spec.engine.kind != "remote":
        return
    for endpoint in dict.fromkeys(case.spec.engine.remote.endpoints):
        fault = _refusal(endpoint)
        if fault is None:
            yield ok("endpoints", f"{endpoint} accepts connections")
        else:
            yield error(
                "endpoints",
                f"engine.remote.endpoints: {endpoint} cannot be reached: {fault}",
                "start the server, or correct the address",
                key="engine.remote.endpoints",
            )


def _refusal(endpoint: str) -> str | None:
    url = urlsplit(endpoint)
    try:
        socket.create_connection((url.hostname or "", url.port or 80), _TIMEOUT_S).close()
    except OSError as refused:
        return refused.strerror or str(refused)
    return None
