"""The bytes that client and mock engine exchange. Pure.

A prompt begins with a directive that tells the mock what to answer: ``#now``, ``#together:64``,
``#paced:64``, ``#open:1``, ``#flood:64``. It passes through every router, also those that read and
write the body's JSON anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

MODEL = "mock"

# In the text of every token and nowhere else in an answer, one byte: counting it counts tokens,
# wherever a read cuts the bytes.
MARK = b"~"
_WORD = " word" + MARK.decode()

DIRECTIVE = re.compile(rb'"#([a-z]+)(?::(\d+))?')
_ID = "chatcmpl-8f2a61d0c4b94e6f9a7be21c53d08f16"
_CREATED = 1767225600
_TOKEN_ID = 3409
_PROMPT_IDS = list(range(100, 132))


def prompt(directive: str, *, size: int = 60, stream: bool = False) -> bytes:
    """Return a chat request's body with ``size`` bytes of prompt."""
    text = "The quick brown fox jumps over the lazy dog, and then it does so again. "
    content = f"#{directive} " + (text * (size // len(text) + 1))[:size]
    body: dict[str, object] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 64,
        "temperature": 0.7,
    }
    if stream:
        body["stream"] = True
    return json.dumps(body).encode()


def request(body: bytes, *, key: str = "none") -> bytes:
    """Return a whole request as a client of OpenAI's API sends it."""
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        "Accept: */*\r\n"
        "User-Agent: benchmark\r\n"
        "Content-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def response(body: bytes, *, status: str = "200 OK", type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nserver: mock\r\ncontent-type: {type}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nserver: mock\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"


def models(owner: str) -> bytes:
    card = {"id": MODEL, "object": "model", "created": _CREATED, "owned_by": owner}
    return _json({"object": "list", "data": [card | {"max_model_len": 1 << 20}]})


def answer(*, token_ids: bool) -> bytes:
    """Return the body of an answer that is not streamed: one token."""
    choice: dict[str, object] = {
        "index": 0,
        "message": {"role": "assistant", "content": _WORD, "refusal": None, "tool_calls": []},
        "logprobs": None,
        "finish_reason": "stop",
        "stop_reason": None,
        "token_ids": [_TOKEN_ID] if token_ids else None,
    }
    return _json(
        {
            "id": _ID,
            "object": "chat.completion",
            "created": _CREATED,
            "model": MODEL,
            "choices": [choice],
            "usage": _usage(1),
            "prompt_token_ids": _PROMPT_IDS if token_ids else None,
        }
    )


def first_event(*, token_ids: bool) -> bytes:
    """Return vLLM's first event: the role, and the prompt's ids where they are asked for."""
    delta = {"role": "assistant", "content": ""}
    extra = {"prompt_token_ids": _PROMPT_IDS if token_ids else None}
    return _chunk([_choice(delta)], extra)


def token_event(*, token_ids: bool) -> bytes:
    return _chunk([_choice({"content": _WORD}, ids=[_TOKEN_ID] if token_ids else None)])


def last_events(*, token_ids: bool, usage: int | None) -> bytes:
    """Return the event of the last token, that of ``usage`` tokens if asked for, and the end."""
    ids = [_TOKEN_ID] if token_ids else None
    events = _chunk([_choice({"content": _WORD}, ids=ids, finish="length")])
    if usage is not None:
        events += _chunk([], {"usage": _usage(usage)})
    return events + framed(b"data: [DONE]\n\n")


def framed(event: bytes) -> bytes:
    """Return a chunk of ``Transfer-Encoding: chunked``."""
    return b"%x\r\n%b\r\n" % (len(event), event)


def _choice(
    delta: dict[str, str], *, ids: list[int] | None = None, finish: str | None = None
) -> dict[str, object]:
    choice: dict[str, object] = {"index": 0, "delta": delta, "logprobs": None}
    return choice | {"finish_reason": finish, "token_ids": ids}


def _chunk(choices: list[dict[str, object]], extra: Mapping[str, object] | None = None) -> bytes:
    event = {"id": _ID, "object": "chat.completion.chunk", "created": _CREATED, "model": MODEL}
    document = {**event, "choices": choices, **(extra or {})}
    return framed(b"data: " + _json(document) + b"\n\n")


def _usage(tokens: int) -> dict[str, int]:
    prompt = len(_PROMPT_IDS)
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + tokens,
        "completion_tokens": tokens,
    }


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
