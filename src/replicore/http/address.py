"""Addresses of sockets as URLs."""

from __future__ import annotations

import socket

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # connecting to "any" is not portable


def authority(host: str, port: int) -> str:
    """Return ``host:port`` as in a URL or a ``host`` header; an IPv6 address is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url_of(listener: socket.socket, *, scheme: str = "http") -> str:
    """Return the URL of a listening socket, as this machine reaches it."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{authority(_ANY.get(host, host), port)}"
