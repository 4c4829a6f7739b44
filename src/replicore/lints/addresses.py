"""Addresses of servers that somebody else runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from replicore.findings import Finding

if TYPE_CHECKING:
    from replicore.spec import Spec

_KEY = "engine.remote.endpoints"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def lint_endpoints(spec: Spec) -> Iterator[Finding]:
    """Tell of endpoints that are no address to connect to, are given twice, or are the gateway."""
    endpoints = spec.engine.remote.endpoints
    if spec.engine.kind != "remote":
        return
    for endpoint in dict.fromkeys(endpoints):
        url = urlsplit(endpoint)
        if url.hostname in _EVERYWHERE:
            instead = f"http://{_EVERYWHERE[url.hostname]}:{url.port or 80}"
            yield _finding(
                f'"{endpoint}" is an address to listen on, and to connect to it works on Linux '
                "only, by accident",
                f'"{instead}"',
            )
        elif url.hostname in _LOOPBACK and url.port == spec.gateway.port:
            yield _finding(
                f'"{endpoint}" is the gateway itself, which would pass requests on to itself',
                "the port of the server, or another gateway.port",
            )
        if endpoints.count(endpoint) > 1:
            times = endpoints.count(endpoint)
            yield _finding(
                f'"{endpoint}" is given {times} times, so it gets {times} times the load',
                "each server once",
            )


def _finding(fault: str, fix: str) -> Finding:
    return Finding(level="error", check="endpoints", message=f"{_KEY}: {fault}", fix=fix, key=_KEY)
