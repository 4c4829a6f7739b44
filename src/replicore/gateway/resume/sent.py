"""What a client has been sent of a stream: enough to go on from there elsewhere. Pure.

While a stream runs its events are only kept as bytes, which costs next to nothing; they are read
when the stream breaks, and now and then so that long streams stay small.
"""

from __future__ import annotations

import msgspec

from replicore.gateway.resume.stream_events import Delta, StreamedChoice, read_event
from replicore.http.sse import DONE, SseParser

# Events kept as bytes: some hundred tokens of the usual events, read in a third of a millisecond.
_READ_AT_BYTES = 64 * 1024


class Obstacle(Exception):
    """Raised where a stream cannot be continued; ``reason`` is a metric label, so one of a few."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SentStream:
    """The state of one stream with one choice.

    Attributes:
        ids: Tokens that were decoded for it, possibly some more than the text shows; None where
            the engine does not name them.
        prompt_ids: Tokens of the prompt; None where the engine does not name them.
        template: The last event with a choice, whose other fields the next one shall have too.
        finish_reason: None before the client has one.
        usage_sent: Whether the usage event is with the client.
        lagging: Whether the last ids came without text: the text of them is still to come.
        reasoned: Whether some of the ids are reasoning, which ``text`` has not.
    """

    __slots__ = (
        "_bytes",
        "_kept",
        "_obstacle",
        "_texts",
        "finish_reason",
        "ids",
        "lagging",
        "prompt_ids",
        "reasoned",
        "template",
        "usage_sent",
    )

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._bytes = 0
        self._obstacle: Obstacle | None = None
        self._texts: list[str] = []
        self.ids: list[int] | None = None
        self.prompt_ids: list[int] | None = None
        self.template: bytes | None = None
        self.reasoned = False
        self.finish_reason: str | None = None
        self.usage_sent = False
        self.lagging = False

    @property
    def text(self) -> str:
        """Content that the client has."""
        return "".join(self._texts)

    def keep(self, events: bytes) -> None:
        """Take note of whole events that were sent, as the engine wrote them."""
        self._kept.append(events)
        self._bytes += len(events)
        if self._bytes > _READ_AT_BYTES:
            self._read_kept()

    def read(self) -> None:
        """Bring the attributes up to date.

        Raises:
            Obstacle: What was sent cannot be continued.
        """
        self._read_kept()
        if self._obstacle is not None:
            raise self._obstacle

    def _read_kept(self) -> None:
        kept, self._kept, self._bytes = b"".join(self._kept), [], 0
        if self._obstacle is not None:
            return
        try:
            for payload in SseParser().feed(kept):
                if payload != DONE:
                    self._read_event(payload)
        except Obstacle as obstacle:
            self._obstacle = obstacle
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._obstacle = Obstacle("unreadable", "the engine's events are not OpenAI's")

    def _read_event(self, payload: bytes) -> None:
        event = read_event(payload)
        if event.prompt_token_ids is not None:
            self.prompt_ids = event.prompt_token_ids
        if not event.choices:
            self.usage_sent |= event.usage is not None
            return
        (choice, *others) = event.choices
        if others or choice.index:
            raise Obstacle("choices", "it has several choices")
        self._read_choice(choice)
        self.template = payload

    def _read_choice(self, choice: StreamedChoice) -> None:
        if choice.logprobs is not None:
            raise Obstacle("logprobs", "it has logprobs")
        text = choice.text or ""
        if choice.delta is not None:
            _check_delta(choice.delta)
            self.reasoned |= bool(choice.delta.reasoning or choice.delta.reasoning_content)
            text = choice.delta.content or ""
        self._texts.append(text)
        if choice.prompt_token_ids is not None:
            self.prompt_ids = choice.prompt_token_ids
        if choice.token_ids:
            self._add_ids(choice.token_ids, shown=bool(text))
        if choice.finish_reason is not None:
            self.finish_reason = choice.finish_reason

    def _add_ids(self, ids: list[int], *, shown: bool) -> None:
        self.lagging = not shown
        if self.ids is None:
            self.ids = []
        self.ids += ids


def _check_delta(delta: Delta) -> None:
    if delta.tool_calls or delta.function_call:
        raise Obstacle("tools", "it calls tools")
    if delta.audio or delta.refusal:
        raise Obstacle("unreadable", "it has more than text")
