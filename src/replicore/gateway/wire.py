"""What the gateway reads and changes of the bytes that pass through it. Pure.

Bodies go through unchanged, with one exception: a stream is asked for what the gateway needs to
look after it, prefill progress or token ids, and these are taken out again (see ``EngineTraits``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from replicore.engines.engine import EngineTraits
from replicore.gateway.resume.stream_events import is_trouble
from replicore.http.sse import DONE, SseParser

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
_NOT_REQUESTED = _HOP_BY_HOP | _REQUEST_ONLY
NOT_ANSWERED = _HOP_BY_HOP | {
    b"date",
    b"server",
    b"x-request-id",
    b"x-replicore-replica",
    # which web pages may call is for the gateway to say
    b"access-control-allow-origin",
    b"access-control-allow-credentials",
    b"access-control-allow-headers",
    b"access-control-allow-methods",
    b"access-control-expose-headers",
}

# An event that is longer than this is passed on in parts: memory per stream is bounded.
_LONGEST_EVENT = 1024 * 1024

_PROGRESS_KEY = b'"return_progress"'
_PROGRESS_EVENT = b'"prompt_progress"'
_IDS_KEY = b'"return_token_ids"'
# Inside a JSON string the quotes would be escaped, so these never are a part of a text.
_TOKEN_IDS = b',"token_ids":['
_OTHER_IDS = re.compile(rb',"(?:prompt_token_ids":(?:\[[^\]]*\]|null)|token_ids":null)')
_ANY_IDS = b'token_ids":'

_EMPTY_OBJECT = re.compile(rb"\{[ \t\r\n]*\}")
_EVENT_END = re.compile(rb"\n\n|\r\n\r\n")

_USAGE = b'"usage":'
_PROMPT_TOKENS = re.compile(rb'"prompt_tokens":\s*(\d+)')
_COMPLETION_TOKENS = re.compile(rb'"completion_tokens":\s*(\d+)')


class Filter:
    """What to take out of a stream again.

    Attributes:
        progress: Prefill progress, which is only looked for until the first other event.
        ids: Token ids.
    """

    __slots__ = ("ids", "progress")

    def __init__(self, progress: bool = False, ids: bool = False) -> None:
        self.progress = progress
        self.ids = ids


NO_FILTER = Filter()


def ask_the_engine(body: bytes, traits: EngineTraits, *, ids: bool) -> tuple[int, bytes, Filter]:
    """Return what the gateway asks for in a stream's request: where, what, and what to take out.

    The keys go in at an index of the body, which itself is not copied. What the client speaks of
    is left alone.
    """
    asked = b""
    takes_progress = traits.prompt_progress and _PROGRESS_KEY not in body
    takes_ids = ids and traits.token_ids and _IDS_KEY not in body
    if takes_progress:
        asked += _PROGRESS_KEY + b":true,"
    if takes_ids:
        asked += _IDS_KEY + b":true,"
    start = body.find(b"{") + 1
    if not asked or not start:
        return 0, b"", NO_FILTER
    if _EMPTY_OBJECT.match(body, start - 1):
        asked = asked[:-1]
    return start, asked, Filter(takes_progress, takes_ids)


def request_headers(headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a client's request that an engine should see."""
    named = headers.get(b"connection")
    if named is None or named in (b"keep-alive", b"close"):
        return [field for field in headers.items() if field[0] not in _NOT_REQUESTED]
    dropped = _NOT_REQUESTED | _named_by_connection(named)
    return [field for field in headers.items() if field[0] not in dropped]


def _named_by_connection(value: bytes) -> set[bytes]:
    """Return the headers that ``connection`` names as meant for one hop (RFC 9110, 7.6.1)."""
    return {name.strip() for name in value.lower().split(b",")}


def response_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of an engine's response that the client should see."""
    return [field for field in headers if field[0] not in NOT_ANSWERED]


def without_token_ids(events: bytes) -> bytes:
    """Return the events without the ids that the client did not ask for."""
    before, key, rest = events.partition(_TOKEN_IDS)
    if key:
        if _TOKEN_IDS in rest:
            parts = [part.partition(b"]")[2] for part in rest.split(_TOKEN_IDS)]
            events = before + b"".join(parts)
        else:  # nearly every read of a stream: one event with its ids
            events = before + rest.partition(b"]")[2]
    # What few events have is left to an expression, which takes three times as long.
    return _OTHER_IDS.sub(b"", events) if _ANY_IDS in events else events


def usage_of(tail: bytes) -> tuple[int | None, int | None]:
    """Return prompt and output tokens from the end of a body or a stream, where they are told.

    They are near the end, but for what a client asks to be told after them (vLLM's
    ``prompt_token_ids`` and ``prompt_logprobs``), and its tokens are charged all the same.
    """
    at = tail.rfind(_USAGE)
    if at < 0:
        return None, None
    prompt = _PROMPT_TOKENS.search(tail, at)
    output = _COMPLETION_TOKENS.search(tail, at)
    return (int(prompt[1]) if prompt else None), (int(output[1]) if output else None)


class Examined:
    """A stream's events, looked at one by one.

    Attributes:
        good: Events up to the first that must not be passed on, or all.
        count: Of them with an object.
        done: Whether the stream's end is among them.
        trouble: Payload of the first event that is no OpenAI event, or that reports a failure of
            the engine; None if there is none.
    """

    __slots__ = ("count", "done", "good", "trouble")

    def __init__(self, good: bytes, count: int, done: bool, trouble: bytes | None) -> None:
        self.good = good
        self.count = count
        self.done = done
        self.trouble = trouble


def examine(events: bytes) -> Examined:
    """Look at events of which some are not plain objects."""
    start, count, done = 0, 0, False
    for end in _event_ends(events):
        payloads = SseParser().feed(events[start:end])
        for payload in payloads:
            if payload == DONE:
                done = True
            elif is_trouble(payload):
                return Examined(events[:start], count, done, payload)
            else:
                count += 1
        start = end
    return Examined(events, count, done, None)


def _event_ends(events: bytes) -> Iterator[int]:
    """Yield the index after each event's empty line."""
    for match in _EVENT_END.finditer(events):
        yield match.end()


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
            self._held = b""
        if not data.endswith(b"\n\n"):
            data = self._cut(data)
        return self._without_progress(data) if self._drop_progress else data

    def rest(self) -> bytes:
        """Return what is left when the stream ended by itself: bytes without a last empty line."""
        held, self._held = self._held, b""
        return held

    def _cut(self, data: bytes) -> bytes:
        end = _last_event_end(data)
        if not end and len(data) > _LONGEST_EVENT:
            return data
        self._held = data[end:]
        return data[:end]

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
    unix = data.rfind(b"\n\n")
    dos = data.rfind(b"\r\n\r\n")
    return max(unix + 2 if unix >= 0 else 0, dos + 4 if dos >= 0 else 0)
