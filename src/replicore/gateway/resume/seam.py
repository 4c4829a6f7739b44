"""The events that continue a broken stream, made to be the client's own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from replicore.gateway.resume.continuation import Wanted
from replicore.gateway.resume.sent import Obstacle, SentStream
from replicore.http.sse import DONE, SseParser

# vLLM says these once.
_OF_THE_FIRST_EVENT = ("prompt_token_ids", "prompt_text")
_IDS = ("prompt_token_ids", "token_ids")


class _Choice(msgspec.Struct, gc=False):
    text: str | None = None
    token_ids: list[int] | None = None
    finish_reason: str | None = None
    stop_reason: Any = msgspec.UNSET


class _Usage(msgspec.Struct, gc=False):
    completion_tokens: int


class _Event(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    system_fingerprint: Any = msgspec.UNSET
    error: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode


class Seam:
    """Turns the continuation's events into those that the client's stream would have had.

    Every event is made from the last one that the client has: same id, same fields, other text.

    Args:
        skip: Text at the beginning of the continuation that the client already has: it ended in
            the middle of a token, which the continuation starts with.
        skip_ids: Token ids that it starts with and that the client already has: their text was
            held back.
        prompt_tokens: Of the client's prompt.
        sent_tokens: Of the output before the continuation.
    """

    def __init__(
        self,
        sent: SentStream,
        wanted: Wanted,
        *,
        skip: str,
        skip_ids: Sequence[int] = (),
        prompt_tokens: int,
        sent_tokens: int,
    ) -> None:
        self._sent = sent
        self._wanted = wanted
        self._skip = skip
        self._skip_ids = list(skip_ids)
        self._prompt_tokens = prompt_tokens
        self._sent_tokens = sent_tokens
        self._new_tokens = 0
        self._parser = SseParser()
        self._template: dict[str, Any] = {}
        if sent.template is not None:
            self._template = msgspec.json.decode(sent.template)
            for name in _OF_THE_FIRST_EVENT:
                self._template.pop(name, None)

    def feed(self, data: bytes) -> bytes:
        """Return the client's events of these bytes.

        Raises:
            Obstacle: The continuation does not begin with what was to be skipped.
            ValueError: The engine's events are not OpenAI's; so is msgspec.DecodeError.
        """
        return b"".join(self._event(payload) for payload in self._parser.feed(data))

    def finish(self, reason: str | None) -> bytes:
        """Return the events that end the stream here."""
        end = b""
        if self._sent.finish_reason is None:
            end = self._choice("", [], _Event(choices=[_Choice(finish_reason=reason)]))
        return end + self._usage(None) + _line(DONE)

    def _event(self, payload: bytes) -> bytes:
        if payload == DONE:
            return _line(DONE)
        event = _decode_event(payload)
        usage = event.usage
        if event.error is not None:
            raise Obstacle("engine", "the engine reported an error")
        if not event.choices:
            return self._usage(usage, event.system_fingerprint) if usage else b""
        (choice,) = event.choices
        ids = choice.token_ids or []
        self._new_tokens += len(ids) or bool(choice.text)
        text, ids = self._unskipped(choice.text or ""), self._unskipped_ids(ids)
        if not text and not ids and choice.finish_reason is None:
            return b""
        out = self._choice(text, ids, event)
        return out + self._usage(usage, event.system_fingerprint) if usage else out

    def _unskipped(self, text: str) -> str:
        if not self._skip:
            return text
        common = min(len(text), len(self._skip))
        if text[:common] != self._skip[:common]:
            raise Obstacle("diverged", "the continuation repeats the last token differently")
        self._skip = self._skip[common:]
        return text[common:]

    def _unskipped_ids(self, ids: list[int]) -> list[int]:
        common = min(len(ids), len(self._skip_ids))
        if ids[:common] != self._skip_ids[:common]:
            raise Obstacle("diverged", "the continuation repeats the last tokens differently")
        del self._skip_ids[:common]
        return ids[common:]

    def _choice(self, text: str, ids: list[int], event: _Event) -> bytes:
        (new,) = event.choices
        finish = new.finish_reason
        last = self._template.get("choices") or [{"index": 0, "logprobs": None}]
        choice = {key: had for key, had in last[0].items() if key not in _IDS or had is None}
        if self._wanted.chat:
            choice["delta"] = {"content": text} if text or finish is None else {}
        else:
            choice["text"] = text
        choice["finish_reason"] = finish
        if finish is not None and new.stop_reason is not msgspec.UNSET:
            choice["stop_reason"] = new.stop_reason
        if ids:
            choice["token_ids"] = ids
        return self._made(event.system_fingerprint, choices=[choice])

    def _usage(self, usage: _Usage | None, fingerprint: Any = msgspec.UNSET) -> bytes:
        if not self._wanted.include_usage or self._sent.usage_sent:
            return b""
        new = usage.completion_tokens if usage else self._new_tokens
        output = self._sent_tokens + new
        counts = {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": output,
            "total_tokens": self._prompt_tokens + output,
        }
        return self._made(fingerprint, choices=[], usage=counts)

    def _made(self, fingerprint: Any, **fields: Any) -> bytes:
        event = {**self._template, **fields}
        if fingerprint is not msgspec.UNSET:
            event["system_fingerprint"] = fingerprint
        return _line(msgspec.json.encode(event))


def _line(payload: bytes) -> bytes:
    return b"data: %b\n\n" % payload
