"""From the bytes of one answer, each with its arrival time, to chunks with times and tokens. Pure.

The client only collects ``(time, bytes)`` pairs while a request runs; they are read after its end.

A chunk is a stream event with content: non-empty text, reasoning text or tool-call arguments. An
event that only opens a role, closes with a reason, carries usage or reports prefill progress is
none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from replicore.bench.record import Failure, FailureKind
from replicore.http.sse import DONE, SseParser

_SHOWN_BYTES = 200


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None
    token_ids: list[int] | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class Usage(msgspec.Struct):
    """The server's token counts."""

    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _InputDetails | None = None

    @property
    def cached_tokens(self) -> int | None:
        details = self.prompt_tokens_details
        return None if details is None else details.cached_tokens


class _Event(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Event).decode


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One event with content.

    Attributes:
        time: Arrival of the bytes that completed the event.
        characters: Length of its content; never 0.
        read: Position of those bytes in what was read.
        tokens: How many token ids the event carries; None where it carries none.
        total: Output tokens up to and with this event; None where the event does not tell.
    """

    time: float
    characters: int
    read: int
    tokens: int | None = None
    total: int | None = None


@dataclass(slots=True)
class Stream:
    """What one event stream said.

    Attributes:
        events: With a JSON object, with content or without.
        texts: The answer in parts, without reasoning and tool calls.
        answer_time: Arrival of the first content that is not reasoning.
    """

    chunks: list[Chunk] = field(default_factory=list)
    events: int = 0
    texts: list[str] = field(default_factory=list)
    answer_time: float | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    done: bool = False
    failure: Failure | None = None

    def chunk_tokens(self) -> tuple[float, ...]:
        """Return the output tokens of each chunk, ``(chunks,)``.

        Their sum is the total of ``usage``. In this order: by the running totals or the token ids
        in the chunks; one each where there are as many chunks as tokens, or no usage; else the
        total split by characters.
        """
        chunks = self.chunks
        total = self.usage.completion_tokens if self.usage is not None else len(chunks)
        for stated in (_by_totals(chunks), tuple(float(chunk.tokens or 0) for chunk in chunks)):
            if len(stated) == len(chunks) and sum(stated) == total:
                return stated
        if len(chunks) == total:
            return (1.0,) * total
        share = total / sum(chunk.characters for chunk in chunks) if chunks else 0.0
        return tuple(chunk.characters * share for chunk in chunks)


def _by_totals(chunks: Sequence[Chunk]) -> tuple[float, ...]:
    """Return by how much each chunk raised the running total; empty if one does not tell it."""
    totals = [chunk.total for chunk in chunks if chunk.total is not None]
    if len(totals) < len(chunks) or totals != sorted(totals):
        return ()
    return tuple(float(total - before) for before, total in pairwise([0, *totals]))


def read_stream(arrivals: Iterable[tuple[float, bytes]]) -> Stream:
    """Read an event stream, whole or cut; stops at its end mark and at the first failure."""
    stream = Stream()
    parser = SseParser()
    for read, (time, data) in enumerate(arrivals):
        for payload in parser.feed(data):
            _take(stream, time, read, payload)
            if stream.done or stream.failure is not None:
                return stream
    return stream


def _take(stream: Stream, time: float, read: int, payload: bytes) -> None:
    if payload == DONE:
        stream.done = True
        return
    try:
        event = _decode(payload)
    except msgspec.DecodeError as error:
        message = f"{error}: {_shown(payload)}"
        stream.failure = Failure(FailureKind.MALFORMED, message)
        return
    if bytes(event.error) not in (b"", b"null"):
        stream.failure = Failure(FailureKind.ERROR_EVENT, error_text(payload))
        return
    stream.events += 1
    stream.usage = event.usage or stream.usage
    for choice in event.choices or ():
        stream.finish_reason = choice.finish_reason or stream.finish_reason
        _take_content(stream, time, read, choice, event.usage)


def _take_content(
    stream: Stream, time: float, read: int, choice: _Choice, usage: Usage | None
) -> None:
    text, thought, called = _content(choice)
    characters = len(text) + thought + called
    if not characters:
        return
    tokens = None if choice.token_ids is None else len(choice.token_ids)
    total = None if usage is None else usage.completion_tokens
    stream.chunks.append(Chunk(time, characters, read, tokens, total))
    if text:
        stream.texts.append(text)
    if stream.answer_time is None and (text or called):
        stream.answer_time = time


def _content(choice: _Choice) -> tuple[str, int, int]:
    """Return the answer's text, and how many characters of reasoning and of tool calls."""
    delta = choice.delta
    if delta is None:
        return choice.text or "", 0, 0
    called = 0
    for call in delta.tool_calls or ():
        if call.function is not None:
            called += len(call.function.name or "") + len(call.function.arguments or "")
    return delta.content or "", len(delta.reasoning_content or delta.reasoning or ""), called


class _ErrorObject(msgspec.Struct):
    message: str


class _ErrorBody(msgspec.Struct):
    error: _ErrorObject | str


def error_text(body: bytes) -> str:
    """Return the message of an OpenAI error body, or the body's beginning where it is none."""
    try:
        error = msgspec.json.decode(body, type=_ErrorBody).error
    except msgspec.DecodeError:
        return _shown(body)
    return error if isinstance(error, str) else error.message


def _shown(data: bytes) -> str:
    text = data[:_SHOWN_BYTES].decode("utf-8", "replace").strip()
    return f"{text} ..." if len(data) > _SHOWN_BYTES else text
