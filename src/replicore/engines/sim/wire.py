"""Response bodies: OpenAI's objects as bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Tokens
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from replicore.engines.sim.sequence import FinishReason

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.encode


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


class Frame(NamedTuple):
    """The bytes around text and token ids, for the events of which there are most.

    A hundred thousand may be written in a second, so they are put together from what is known
    beforehand.

    Attributes:
        end: After token ids; empty where none are asked for.
    """

    before: bytes
    after: bytes
    end: bytes

    def event(self, text: str, ids: Tokens[int]) -> bytes:
        before, after, end = self
        if end:
            return b"".join((before, _encode_text(text), after, _encode(ids), end))
        return before + _encode_text(text) + after


class Wire:
    """Writes the events, or the one body, of one response.

    Token ids are where vLLM puts them: the prompt's in a completion's choice, and at the top level
    of a chat.
    """

    def __init__(
        self, *, name: str, created: int, model: str, chat: bool, usage: bool, token_ids: bool
    ) -> None:
        self._chat = chat
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
        self._end = b"}]" + self._close

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
        extra = self._ids("token_ids", ids)
        if prompt_ids is not None:
            extra += self._ids("prompt_token_ids", prompt_ids)
        before, after = self._around(index, finish)
        return b"%b%b%b%b%b" % (before, _encode_text(text), after, extra, self._end)

    def frame(self, index: int) -> Frame:
        """Return what is the same in all events of a choice but its first and its last."""
        before, after = self._around(index, None)
        if self._token_ids:
            return Frame(before, after + b',"token_ids":', self._end)
        return Frame(before, after + self._end, b"")

    def _around(self, index: int, finish: FinishReason | None) -> tuple[bytes, bytes]:
        """Return what stands before and after the text of an event, up to token ids or the end."""
        content, close = (b'"delta":{"content":', b"}") if self._chat else (b'"text":', b"")
        before = b'%b,"choices":[{"index":%d,%b' % (self._open, index, content)
        return before, b'%b,"logprobs":null,"finish_reason":%b' % (close, _encode(finish))

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


def model_card(
    model: str,
    *,
    max_model_len: int,
    slots: int,
    created: int,
    profile: str | None = None,
    speed: float = 1.0,
) -> dict[str, Any]:
    """Return the entry of ``/v1/models``: vLLM's, and what a readiness check compares."""
    card: dict[str, Any] = {
        "id": model,
        "object": "model",
        "created": created,
        "owned_by": "replicore",
        "root": model,
        "max_model_len": max_model_len,
        "slots": slots,
        "simulated": True,
    }
    if profile is not None:
        card["simulated_device"] = profile
    if speed != 1:
        card["simulated_speed"] = speed
    return card
