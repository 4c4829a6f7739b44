"""From decode steps to one HTTP response, streamed or whole.

A reply collects what its sequences decode (:meth:`Reply.take`) and writes once after each batch of
steps (:meth:`Reply.flush`), so tokens that come together leave in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from typing import Protocol

from replicore.engines.sim.bodies import Generation
from replicore.engines.sim.faults import Faults
from replicore.engines.sim.sequence import Delta, FinishReason, Sequence
from replicore.engines.sim.wire import DONE, Choice, Frame, Usage, Wire
from replicore.http.server import Response

SIMULATED = (b"x-replicore-simulated", b"1")
_STREAM_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    SIMULATED,
)
_MALFORMED = b'data: {"id": "cmpl-\n\n'

# Long enough for the event loop to hand what was written to the kernel before a cut drops it.
WRITTEN_AFTER_S = 0.02


class Reply(Protocol):
    """What the runner hands decode steps to."""

    def take(self, sequence: Sequence, delta: Delta) -> None: ...

    def flush(self) -> None: ...


def usage_of(generation: Generation, sequences: Items[Sequence]) -> Usage:
    """Return the token counts of a response; a prompt counts once, not once per choice."""
    firsts = sequences[:: generation.n]
    return Usage(
        prompt_tokens=sum(sequence.prompt_tokens for sequence in firsts),
        completion_tokens=sum(sequence.output_tokens for sequence in sequences),
        cached_tokens=sum(sequence.cached_tokens for sequence in firsts),
    )


@dataclass(slots=True)
class _Part:
    """What is known, and not yet sent, of one choice.

    Attributes:
        frame: Of the events to come, where each is one token and nothing else.
    """

    index: int
    prompt_ids: list[int]
    opened: bool = False
    frame: Frame | None = None
    text: str = ""
    ids: list[int] = field(default_factory=list)
    finish: FinishReason | None = None

    def add(self, delta: Delta) -> None:
        self.text += delta.text
        self.ids += delta.ids
        self.finish = delta.finish


def _parts(generation: Generation, sequences: Iterable[Sequence]) -> dict[Sequence, _Part]:
    return {
        sequence: _Part(index, generation.prompts[index // generation.n])
        for index, sequence in enumerate(sequences)
    }


class WholeReply:
    """Answers once, when the last choice is finished."""

    def __init__(
        self, response: Response, wire: Wire, generation: Generation, sequences: Items[Sequence]
    ) -> None:
        self._response = response
        self._wire = wire
        self._generation = generation
        self._sequences = sequences
        self._parts = _parts(generation, sequences)
        self._unfinished = len(sequences)

    def take(self, sequence: Sequence, delta: Delta) -> None:
        self._parts[sequence].add(delta)
        if delta.finish is not None:
            self._unfinished -= 1

    def flush(self) -> None:
        if self._unfinished:
            return
        choices = [
            Choice(text=p.text, ids=p.ids, finish=p.finish, prompt_ids=p.prompt_ids)
            for p in self._parts.values()
        ]
        usage = usage_of(self._generation, self._sequences)
        self._response.send(200, self._wire.whole(choices, usage), headers=[SIMULATED])


class StreamReply:
    """Answers with an event per token, or per ``tokens_per_chunk``.

    While the client does not read, events are held here: at most ``max_tokens`` of each choice.

    Args:
        cancel: Takes this reply's sequences out of the engine.
    """

    def __init__(
        self,
        response: Response,
        wire: Wire,
        generation: Generation,
        sequences: Items[Sequence],
        *,
        faults: Faults,
        cancel: Callable[[], None],
    ) -> None:
        self._response = response
        self._wire = wire
        self._generation = generation
        self._sequences = sequences
        self._faults = faults
        self._cancel = cancel
        # Without faults that count, a token is an event, and no more need be known of it.
        self._is_plain = (
            faults.tokens_per_chunk == 1
            and faults.reset_after_tokens is None
            and faults.malformed_sse_after is None
        )
        self._parts = _parts(generation, sequences)
        self._unfinished = len(sequences)
        self._held: list[bytes] = []
        self._events = 0
        self._tokens = 0
        self._paused = False
        self._cut = False
        response.on_pause = self._pause
        response.on_resume = self._resume
        response.start(200, _STREAM_HEADERS)

    def take(self, sequence: Sequence, delta: Delta) -> None:
        part = self._parts[sequence]
        frame, (text, ids, finish) = part.frame, delta
        if frame is not None and text and finish is None and not part.text:
            self._held.append(frame.event(text, ids))
        elif not self._cut:
            self._take(part, delta)

    def _take(self, part: _Part, delta: Delta) -> None:
        part.add(delta)
        if delta.finish is not None:
            self._unfinished -= 1
        if delta.finish is not None or len(part.ids) >= self._faults.tokens_per_chunk:
            self._send(part)
        if not self._unfinished:
            self._end()
        self._tokens += len(delta.ids)
        self._cut = self._tokens == self._faults.reset_after_tokens
        if self._cut:
            asyncio.get_running_loop().call_later(WRITTEN_AFTER_S, self._abort)

    def flush(self) -> None:
        if self._paused or not self._held:
            return
        self._response.write(self._held[0] if len(self._held) == 1 else b"".join(self._held))
        self._held.clear()
        if not self._unfinished and not self._cut:
            self._response.end()

    def _send(self, part: _Part) -> None:
        if not part.text and part.finish is None and not self._generation.return_token_ids:
            return
        prompt_ids = None
        if not part.opened:
            part.opened = True
            if self._is_plain:
                part.frame = self._wire.frame(part.index)
            if self._generation.chat:
                self._event(self._wire.opening(part.index, part.prompt_ids))
            else:
                prompt_ids = part.prompt_ids
        event = self._wire.event(
            part.index, part.text, part.ids, part.finish, prompt_ids=prompt_ids
        )
        self._event(event)
        part.text = ""
        part.ids.clear()

    def _end(self) -> None:
        if self._generation.include_usage:
            self._event(self._wire.usage_event(usage_of(self._generation, self._sequences)))
        self._held.append(DONE)

    def _event(self, event: bytes) -> None:
        if self._events == self._faults.malformed_sse_after:
            self._held.append(_MALFORMED)
        self._events += 1
        self._held.append(event)

    def _pause(self) -> None:
        self._paused = True

    def _resume(self) -> None:
        self._paused = False
        self.flush()

    def _abort(self) -> None:
        self._response.abort()
        self._cancel()
