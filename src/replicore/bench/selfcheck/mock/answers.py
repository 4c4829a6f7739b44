"""What the mock is asked and what it answers, as bytes. Pure.

Every token is the same event, of about the size that vLLM's have, and is made once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

MODEL = "mock"
MAX_MODEL_LEN = 131_072

_WORD = " word"
_ID = "8f2a61d0c4b94e6f9a7be21c53d08f16"
_CREATED = 1_767_225_600

_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nx-replicore-simulated: 1\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
_STREAM_END = b"0\r\n\r\n"


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Body(msgspec.Struct):
    prompt: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None


_read_body = msgspec.json.Decoder(_Body).decode


class BadBody(Exception):
    """Raised for a body that is no request of OpenAI's API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a request the mock goes by.

    Attributes:
        output_tokens: None where the request leaves it open.
        usage: Whether the stream ends with the token counts.
    """

    input_tokens: int
    output_tokens: int | None
    stream: bool
    usage: bool


def read_asked(body: bytes) -> Asked:
    """Read a completion's or a chat's body.

    Raises:
        BadBody: It is neither, or asks for no token.
    """
    read = _read(body)
    asked = read.max_tokens if read.max_completion_tokens is None else read.max_completion_tokens
    if asked is not None and asked < 1:
        raise BadBody(f"max_tokens: {asked} is below 1")
    options = read.stream_options
    return Asked(
        input_tokens=_count(bytes(read.messages) or bytes(read.prompt)),
        output_tokens=asked,
        stream=read.stream,
        usage=options is not None and options.include_usage,
    )


def _read(body: bytes) -> _Body:
    try:
        return _read_body(body)
    except msgspec.DecodeError as error:
        raise BadBody(f"not a request: {error}") from None


def _count(prompt: bytes) -> int:
    """Return the tokens of a prompt as JSON: its ids, or one for each of its words."""
    if prompt[:1] == b"[" and b'"' not in prompt:
        return prompt.count(b",") + 1
    return max(1, len(prompt.split()))


def tokenized(body: bytes) -> bytes:
    """Answer ``/tokenize``, in vLLM's words and in llama.cpp's: one token for each word.

    Raises:
        BadBody: Not a body of either.
    """
    read = _read(body)
    count = _count(bytes(read.messages) or bytes(read.prompt) or bytes(read.content))
    tokens = list(range(1, count + 1))
    return _json({"tokens": tokens, "count": count, "max_model_len": MAX_MODEL_LEN})


def models() -> bytes:
    card = {"id": MODEL, "object": "model", "created": _CREATED, "owned_by": "replicore"}
    return _json({"object": "list", "data": [{**card, "max_model_len": MAX_MODEL_LEN}]})


def response(body: bytes, *, status: str = "200 OK") -> bytes:
    """Return a whole response."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\nx-replicore-simulated: 1\r\n\r\n".encode() + body


def refusal(message: str, *, status: str = "400 Bad Request") -> bytes:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return response(_json({"error": error}), status=status)


class Answers:
    """The answers of one route.

    Attributes:
        first: Head, role and first token; they go out together, as llama.cpp's do.
        token: A further token.
    """

    def __init__(self, *, chat: bool) -> None:
        self._chat = chat
        role = self._event(self._choice({"role": "assistant", "content": ""})) if chat else b""
        self.token = self._event(self._choice({"content": _WORD}))
        self.first = _STREAM_HEAD + role + self.token

    def last(self, asked: Asked, tokens: int) -> bytes:
        """Return the last token, the counts where they are asked for, and the end."""
        events = self._event(self._choice({"content": _WORD}, finish="length"))
        if asked.usage:
            events += self._event(usage=_usage(asked.input_tokens, tokens))
        return events + _framed(b"data: [DONE]\n\n") + _STREAM_END

    def only(self, asked: Asked) -> bytes:
        """Return the whole stream of one token."""
        return self.first.removesuffix(self.token) + self.last(asked, 1)

    def whole(self, asked: Asked, tokens: int) -> bytes:
        """Return an answer that is not streamed."""
        kind = "chat.completion" if self._chat else "text_completion"
        text = _WORD * tokens
        choice: dict[str, object] = {"index": 0, "logprobs": None, "finish_reason": "length"}
        if self._chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        usage = _usage(asked.input_tokens, tokens)
        return response(_json({**_about(kind), "choices": [choice], "usage": usage}))

    def _choice(self, delta: dict[str, str], *, finish: str | None = None) -> dict[str, object]:
        said: dict[str, object] = {"delta": delta} if self._chat else {"text": delta["content"]}
        return {"index": 0, **said, "logprobs": None, "finish_reason": finish}

    def _event(
        self,
        choice: dict[str, object] | None = None,
        *,
        usage: Mapping[str, int] | None = None,
    ) -> bytes:
        kind = "chat.completion.chunk" if self._chat else "text_completion"
        fields: dict[str, object] = {**_about(kind), "choices": [] if choice is None else [choice]}
        if usage is not None:
            fields["usage"] = usage
        return _framed(b"data: " + _json(fields) + b"\n\n")


def _about(kind: str) -> dict[str, object]:
    return {"id": f"cmpl-{_ID}", "object": kind, "created": _CREATED, "model": MODEL}


def _usage(input_tokens: int, output_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": input_tokens,
        "total_tokens": input_tokens + output_tokens,
        "completion_tokens": output_tokens,
    }


def _framed(event: bytes) -> bytes:
    """Return a chunk of ``Transfer-Encoding: chunked``."""
    return b"%x\r\n%b\r\n" % (len(event), event)


def _json(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()
