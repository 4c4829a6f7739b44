"""Recorded prompts and conversations: ShareGPT's JSON, and JSON lines. Pure.

A line is an object with ``prompt`` (a text) or ``messages`` (as in a chat request), and may have
``output_tokens`` or ``max_tokens``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from replicore.bench.load.bodies import message
from replicore.errors import ConfigError

_SYSTEM = "system"
_PEOPLE = frozenset({"human", "user"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a recorded user asked.

    Attributes:
        answer: What was answered then; its length is that of the output asked for.
        output_tokens: Where the file tells it.
    """

    text: str
    answer: str | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A recorded session.

    Attributes:
        place: File and line or entry, for errors.
        opening: Messages before the first turn, as JSON.
    """

    place: str
    turns: tuple[Turn, ...]
    opening: tuple[bytes, ...] = ()


class _Said(msgspec.Struct):
    by: str = msgspec.field(name="from")
    value: str


class _Shared(msgspec.Struct):
    conversations: list[_Said] = []


class _Message(msgspec.Struct):
    role: str
    content: str


class _Line(msgspec.Struct):
    prompt: str | None = None
    messages: list[_Message] = []
    output_tokens: int | None = None
    max_tokens: int | None = None


def parse_sharegpt(name: str, data: bytes) -> tuple[Conversation, ...]:
    """Return the conversations of a ShareGPT file that begin with a user's text.

    Raises:
        ConfigError: It is not such a file, or no conversation begins so.
    """
    try:
        entries = msgspec.json.decode(data, type=list[_Shared])
    except msgspec.DecodeError as error:
        raise ConfigError(f"{name} is not a file of conversations: {error}") from None
    found = (_shared(f"{name}, entry {n}", entry.conversations) for n, entry in enumerate(entries))
    return _some(name, [conversation for conversation in found if conversation is not None])


def _shared(place: str, said: Sequence[_Said]) -> Conversation | None:
    opening = [part for part in said[:1] if part.by == _SYSTEM]
    rest = said[len(opening) :]
    turns = []
    for question, answer in zip(rest[::2], [*rest[1::2], None], strict=False):
        if question.by not in _PEOPLE or not question.value:
            break
        answered = answer.value if answer and answer.by not in _PEOPLE else None
        turns.append(Turn(text=question.value, answer=answered))
    if not turns:
        return None
    messages = tuple(message(_SYSTEM, msgspec.json.encode(part.value)) for part in opening)
    return Conversation(place=place, turns=tuple(turns), opening=messages)


def parse_prompts(name: str, lines: Sequence[str]) -> tuple[Conversation, ...]:
    """Return a session of one request for each line.

    Raises:
        ConfigError: A line is not such an object, or there is none.
    """
    decode = msgspec.json.Decoder(_Line).decode
    found = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        place = f"{name}, line {number}"
        try:
            found.append(_asked(place, decode(text)))
        except msgspec.DecodeError as error:
            raise ConfigError(f"{place}: {error}") from None
    return _some(name, found)


def _asked(place: str, line: _Line) -> Conversation:
    output = line.output_tokens if line.output_tokens is not None else line.max_tokens
    if output is not None and output < 1:
        raise ConfigError(f"{place}: {output} output tokens are fewer than 1")
    if line.prompt:
        return Conversation(place=place, turns=(Turn(text=line.prompt, output_tokens=output),))
    if not line.messages or line.messages[-1].role != "user":
        raise ConfigError(f"{place}: neither a prompt nor messages that end with a user's")
    *before, last = line.messages
    return Conversation(
        place=place,
        turns=(Turn(text=last.content, output_tokens=output),),
        opening=tuple(message(one.role, msgspec.json.encode(one.content)) for one in before),
    )


def _some(name: str, found: Sequence[Conversation]) -> tuple[Conversation, ...]:
    if not found:
        raise ConfigError(f"{name} has no prompt to send")
    return tuple(found)
