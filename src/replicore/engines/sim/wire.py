"""Response bodies: OpenAI's objects as bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Tokens
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from replicore.engines.sim.sequence import FinishReason

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.encode
_FINISH = {None: b"null", "stop": b'"stop"', "length": b'"length"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of one response."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int

    def fields(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One finished choice of a response that is not streamed."""

    text: str
    ids: list[int]
    finish: FinishReason | None
    prompt_ids: list[int]


class Wire:
    """Writes the events, or the one body, of one response.

    Token ids are where vLLM puts them: the prompt's in a completion's choice, and at the top level
    of a chat.
    """

    def __init__(
        self, *, name: str, created: int, model: str, chat: bool, usage: bool, token_ids: bool
    ) -> None:
        self._chat = chat
        self._usage = usage
        self._token_ids = token_ids
        self._top = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{name}",
            "object": "chat.completion" if chat else "text_completion",
            "created": created,
            "model": model,
            "system_fingerprint": "simulated",
        }
        chunk = {"object": "chat.completion.chunk"} if chat else {}
        self._open = b"data: " + _encode(self._top | chunk)[:-1]
        self._close = b',"usage":null}\n\n' if usage else b"}\n\n"

    def opening(self, index: int, prompt_ids: list[int]) -> bytes:
        """Return the event that opens a chat choice."""
        choice = {
            "index": index,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
        prompt = self._ids("prompt_token_ids", prompt_ids)
        return b'%b,"choices":[%b]%b%b' % (self._open, _encode(choice), prompt, self._close)

    def event(
        self,
        index: int,
        text: str,
        ids: Tokens[int],
        finish: FinishReason | None,
        *,
        prompt_ids: Tokens[int] | None = None,
    ) -> bytes:
        """Return one event of a choice; ``prompt_ids`` with a completion's first."""
        # Written thousands of times a second: put together from bytes, not through objects.
        content = b'"delta":{"content":%b}' if self._chat else b'"text":%b'
        extra = self._ids("token_ids", ids)
        if prompt_ids is not None:
            extra += self._ids("prompt_token_ids", prompt_ids)
        return b'%b,"choices":[{"index":%d,%b,"logprobs":null,"finish_reason":%b%b}]%b' % (
            self._open,
            index,
            content % _encode_text(text),
            _FINISH[finish],
            extra,
            self._close,
        )

    def usage_event(self, usage: Usage) -> bytes:
        """Return the last event of a stream whose client asked for usage."""
        return b'%b,"choices":[],"usage":%b}\n\n' % (self._open, _encode(usage.fields()))

    def whole(self, choices: Iterable[Choice], usage: Usage) -> bytes:
        """Return the body of a response that is not streamed."""
        choices = list(choices)
        body: dict[str, Any] = self._top | {
            "choices": [self._whole_choice(index, choice) for index, choice in enumerate(choices)],
            "usage": usage.fields(),
        }
        if self._chat and self._token_ids:
            body["prompt_token_ids"] = choices[0].prompt_ids
        return _encode(body)

    def _whole_choice(self, index: int, choice: Choice) -> dict[str, Any]:
        fields: dict[str, Any] = {"index": index}
        if self._chat:
            fields["message"] = {"role": "assistant", "content": choice.text}
        else:
            fields["text"] = choice.text
        fields |= {"logprobs": None, "finish_reason": choice.finish}
        if self._token_ids:
            fields["token_ids"] = choice.ids
        if self._token_ids and not self._chat:
            fields["prompt_token_ids"] = choice.prompt_ids
        return fields

    def _ids(self, name: str, ids: Tokens[int]) -> bytes:
        return b',"%b":%b' % (name.encode(), _encode(ids)) if self._token_ids else b""


@lru_cache(maxsize=16_384)
def _encode_text(text: str) -> bytes:
    return _encode(text)


def model_card(model: str, *, max_model_len: int, slots: int, created: int) -> dict[str, Any]:
    """Return the entry of ``/v1/models``: vLLM's, and what a readiness check compares."""
    return {
        "id": model,
        "object": "model",
        "created": created,
        "owned_by": "replicore",
        "root": model,
        "max_model_len": max_model_len,
        "slots": slots,
        "simulated": True,
    }
