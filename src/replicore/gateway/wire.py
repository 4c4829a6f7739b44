"""What the gateway reads and changes of the bytes that pass through it. Pure.

Bodies go through unchanged, with one exception: a stream for an engine that reports prefill
progress is asked for these reports, which are taken out again (see
``EngineTraits.prompt_progress``).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

EVENT_STREAM = b"text/event-stream"

# RFC 9110, 7.6.1, and what describes the message as it was framed on the other side.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_REQUEST_ONLY = frozenset(
    {b"host", b"content-length", b"expect", b"accept-encoding", b"x-request-id"}
)
_RESPONSE_ONLY = frozenset({b"date", b"server", b"x-request-id", b"x-replicore-replica"})

# An event that is longer than this is passed on in parts: memory per stream is bounded.
_LONGEST_EVENT = 1024 * 1024

_PROGRESS_KEY = b'"return_progress"'
_PROGRESS_EVENT = b'"prompt_progress"'


class BadBody(Exception):
    """Raised for a request body that a client must mend; the message is for the client."""


class Facts(msgspec.Struct, frozen=True):
    """What routing needs to know of a request's body."""

    model: str | None = None
    stream: bool | None = None


_decoder = msgspec.json.Decoder(Facts)


def read_facts(body: bytes) -> Facts:
    """Return the facts of a JSON body; the rest of it is skipped, not built.

    Raises:
        BadBody: Not a JSON object, or one of the facts has another type.
    """
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadBody(f"the request body is not what the API asks for: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBody(f"the request body is not valid JSON: {error}") from error


def ask_for_progress(body: bytes) -> bytes | None:
    """Return ``body`` with ``"return_progress": true``; None if the client speaks of it itself."""
    start = body.find(b"{")
    if start < 0 or _PROGRESS_KEY in body:
        return None
    rest = body[start + 1 :]
    comma = b"" if rest.lstrip().startswith(b"}") else b","
    return b"%b%b:true%b%b" % (body[: start + 1], _PROGRESS_KEY, comma, rest)


def request_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a client's request that an engine should see."""
    fields = list(headers)
    dropped = _HOP_BY_HOP | _REQUEST_ONLY | _named_by_connection(fields)
    return [(name, value) for name, value in fields if name not in dropped]


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Return the headers that ``connection`` names as meant for one hop (RFC 9110, 7.6.1)."""
    values = (value.lower() for name, value in headers if name == b"connection")
    return {name.strip() for value in values for name in value.split(b",")}


def response_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of an engine's response that the client should see."""
    dropped = _HOP_BY_HOP | _RESPONSE_ONLY
    return [(name, value) for name, value in headers if name not in dropped]


class EventGate:
    """Lets whole events of a stream pass, so that a stream never ends in the middle of one.

    Args:
        drop_progress: Take out prefill progress; after the first other event nothing is looked at.
    """

    __slots__ = ("_drop_progress", "_held")

    def __init__(self, *, drop_progress: bool) -> None:
        self._held = b""
        self._drop_progress = drop_progress

    def feed(self, data: bytes) -> bytes:
        """Return the events that these bytes complete, possibly none."""
        if self._held:
            data = self._held + data
        end = _last_event_end(data)
        if not end and len(data) > _LONGEST_EVENT:
            end = len(data)
        self._held = data[end:]
        events = data[:end]
        return self._without_progress(events) if self._drop_progress else events

    def rest(self) -> bytes:
        """Return what is left when the stream ended by itself: bytes without a last empty line."""
        held, self._held = self._held, b""
        return held

    def _without_progress(self, events: bytes) -> bytes:
        start = 0
        while (end := events.find(b"\n\n", start) + 2) > 1:
            if events.find(_PROGRESS_EVENT, start, end) < 0:
                break
            start = end
        self._drop_progress = start == len(events)
        return events[start:]


def _last_event_end(data: bytes) -> int:
    """Return the index after the last empty line, 0 if there is none."""
    if data.endswith(b"\n\n"):
        return len(data)
    unix = data.rfind(b"\n\n")
    dos = data.rfind(b"\r\n\r\n")
    return max(unix + 2 if unix >= 0 else 0, dos + 4 if dos >= 0 else 0)
