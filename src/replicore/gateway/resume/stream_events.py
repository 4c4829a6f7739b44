"""What the gateway reads of the events of an OpenAI stream. Pure."""

from __future__ import annotations

from typing import Any

import msgspec


class Delta(msgspec.Struct, gc=False):
    """What an event adds to a chat's message."""

    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None


class StreamedChoice(msgspec.Struct, gc=False):
    """What an event says of one choice: ``text`` of a completion, or ``delta`` of a chat."""

    index: int = 0
    text: str | None = None
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: Any = None
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None


class StreamEvent(msgspec.Struct, gc=False):
    """One event, before ``[DONE]``."""

    choices: list[StreamedChoice] = []
    usage: Any = None
    prompt_token_ids: list[int] | None = None


class _ErrorEvent(msgspec.Struct, gc=False):
    error: Any = None


read_event = msgspec.json.Decoder(StreamEvent).decode
_read_error = msgspec.json.Decoder(_ErrorEvent).decode

_SERVER_ERROR = 500


def is_trouble(payload: bytes) -> bool:
    """Whether an event tells that the engine is broken: not an object, or an error of its own."""
    try:
        event = _read_error(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True
    error = event.error
    if error is None:
        return False
    code = error.get("code") if isinstance(error, dict) else None
    return not (isinstance(code, int) and code < _SERVER_ERROR)
