"""The header ``traceparent``: which trace a request is part of, and which span called. Pure but for
the random numbers.

The gateway's span gets its id before the request goes to a replica, because the replica is told it:
the engine's own span is then a child of the gateway's, which is a child of the client's.

Source: W3C Trace Context, https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from random import getrandbits
from typing import AnyStr

# version, trace id, span id, flags; version ff and ids of zeros are not valid.
_BEGINNING = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_LENGTH = 55
_TRACE = slice(3, 35)
_SPAN = slice(36, 52)
_FLAGS = slice(53, 55)
# Two flags have a meaning: sampled (1) and random trace id (2). Unknown ones are not passed on.
_KNOWN_FLAGS = 0b11
_SAMPLED = 0b01


def child_traceparent(client: bytes | None) -> bytes:
    """Return the header that a replica is sent: the client's trace, and a new span id.

    Without a valid header of the client's it is a new trace, which is sampled.
    """
    # `random` is seeded anew in a forked process; ids need to be different, not secret.
    span = getrandbits(64) or 1
    if client is None or not _is_valid(client):
        return b"00-%032x-%016x-03" % (getrandbits(128) or 1, span)
    flags = int(client[_FLAGS], 16) & _KNOWN_FLAGS
    return b"00-%b-%016x-0%d" % (client[_TRACE], span, flags)


def _is_valid(client: bytes) -> bool:
    """Return whether it is a header of version 00, or of a later one, which may be longer."""
    if _BEGINNING.match(client) is None:
        return False
    return len(client) == _LENGTH or (client[:2] != b"00" and client[_LENGTH:][:1] == b"-")


def same_trace(client: AnyStr | None, ours: AnyStr) -> bool:
    """Return whether ``ours`` goes on with the client's trace, so that its ``tracestate`` holds."""
    return client is not None and client[_TRACE] == ours[_TRACE]


def trace_id(header: str) -> int:
    """Return the 128 bits of a valid header's trace id."""
    return int(header[_TRACE], 16)


def span_id(header: str) -> int:
    """Return the 64 bits of a valid header's span id."""
    return int(header[_SPAN], 16)


def is_sampled(header: str) -> bool:
    """Return whether somebody will look at the trace; False for no header."""
    return bool(header) and bool(int(header[_FLAGS], 16) & _SAMPLED)
