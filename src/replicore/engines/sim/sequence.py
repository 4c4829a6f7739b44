"""One sequence: a prompt, the tokens that follow it, and when they stop. Pure, knows no time."""

from __future__ import annotations

from collections.abc import Sequence as Tokens
from typing import Literal, NamedTuple

from replicore.engines.sim.model import BLOCK_TOKENS, Context
from replicore.engines.sim.tokenizer import token_text

FinishReason = Literal["stop", "length"]


class Delta(NamedTuple):
    """What one decode step adds.

    Attributes:
        text: What the client may see now; text that may begin a stop string is held back.
        ids: The token, or nothing where the text ended before any.
        finish: Set on the last delta of a sequence.
    """

    text: str
    ids: tuple[int, ...]
    finish: FinishReason | None


class Sequence:
    """A prompt and its continuation.

    Args:
        stall_after: Tokens after which nothing more ever comes, while the sequence keeps its slot.

    Attributes:
        arrived_at: When the scheduler got it, seconds; set by the scheduler.
        last_at: When its latest token was due; set by the scheduler.
        cached_tokens: Prompt tokens that needed no prefill; set by the scheduler.
        output_tokens: Tokens decoded so far.
    """

    __slots__ = (
        "_context",
        "_ignore_eos",
        "_max_tokens",
        "_next",
        "_stall_after",
        "_stop",
        "arrived_at",
        "cached_tokens",
        "last_at",
        "output_tokens",
        "prompt_tokens",
    )

    def __init__(
        self,
        prompt: Tokens[int],
        *,
        max_tokens: int,
        stop: Tokens[str] = (),
        ignore_eos: bool = False,
        stall_after: int | None = None,
    ) -> None:
        self._context = Context(prompt)
        self._max_tokens = max_tokens
        self._stop = StopStrings(stop) if stop else None
        self._ignore_eos = ignore_eos
        self._stall_after = stall_after
        self._next = self._context.next_token(ignore_eos=ignore_eos)
        self.arrived_at = 0.0
        self.last_at = 0.0
        self.prompt_tokens = self._context.length
        self.cached_tokens = 0
        self.output_tokens = 0

    @property
    def blocks(self) -> list[int]:
        """Hashes of the full blocks so far, see :class:`~replicore.engines.sim.model.Context`."""
        return self._context.blocks

    @property
    def cache_blocks(self) -> int:
        """KV cache blocks that all tokens so far take."""
        return -(-self._context.length // BLOCK_TOKENS)

    @property
    def stalled(self) -> bool:
        return self._stall_after is not None and self.output_tokens >= self._stall_after

    def decode(self) -> Delta:
        """Return the next token; not to be called again after a delta with ``finish``."""
        token = self._next
        if token is None:
            return Delta("", (), "stop")
        self._context.append(token)
        self.output_tokens += 1
        self._next = self._context.next_token(ignore_eos=self._ignore_eos)
        finish: FinishReason | None = None
        if self._next is None:
            finish = "stop"
        elif self.output_tokens >= self._max_tokens:
            finish = "length"
        text = token_text(token)
        if self._stop is None:
            return Delta(text, (token,), finish)
        text, hit = self._stop.feed(text, last=finish is not None)
        return Delta(text, (token,), "stop" if hit else finish)


class StopStrings:
    """Cuts a text before the stop string that is first complete, however it is split over calls."""

    def __init__(self, stop: Tokens[str]) -> None:
        self._stop = stop
        self._held = ""

    def feed(self, text: str, *, last: bool = False) -> tuple[str, bool]:
        """Return what may be shown, and whether a stop string was met."""
        text = self._held + text
        found = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            _, start = min(found)
            return text[:start], True
        held = 0 if last else self._beginning(text)
        shown = len(text) - held
        self._held = text[shown:]
        return text[:shown], False

    def _beginning(self, text: str) -> int:
        """Return the length of the longest end of ``text`` that may begin a stop string."""
        longest = min(len(text), max(map(len, self._stop)) - 1)
        ends = range(longest, 0, -1)
        return next((n for n in ends if any(s.startswith(text[-n:]) for s in self._stop)), 0)
