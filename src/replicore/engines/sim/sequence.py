"""One sequence: a prompt, the tokens that follow it, and when they stop. Pure, knows no time."""

from __future__ import annotations

from collections.abc import Sequence as Tokens
from functools import lru_cache
from typing import Literal, NamedTuple

from replicore.engines.sim.model import BLOCK_TOKENS, Context
from replicore.engines.sim.tokenizer import token_text

FinishReason = Literal["stop", "length"]

# Tokens that are worked out at a time: one by one they cost several times as much.
_AHEAD = 32


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


@lru_cache(maxsize=65_536)
def _delta_of(token: int) -> Delta:
    """Return the delta of a token in the middle of a text."""
    return Delta(token_text(token), (token,), None)


class Sequence:
    """A prompt and its continuation.

    Args:
        stall_after: Tokens after which nothing more ever comes, while the sequence keeps its slot.

    Attributes:
        arrived_at: When the scheduler got it, seconds; set by the scheduler.
        last_at: When its latest token was due; set by the scheduler.
        cached_tokens: Prompt tokens that needed no prefill; set by the scheduler.
        output_tokens: Tokens decoded so far.
        stalled: Whether nothing more ever comes.
    """

    __slots__ = (
        "_ahead",
        "_context",
        "_ignore_eos",
        "_max_tokens",
        "_stall_after",
        "_stop",
        "arrived_at",
        "cached_tokens",
        "last_at",
        "output_tokens",
        "prompt_tokens",
        "stalled",
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
        # Is ahead of what is decoded, by the tokens in _ahead: those to come, the next one last.
        self._context = Context(prompt)
        self.prompt_tokens = self._context.length
        self._ahead: list[int] = []
        self._max_tokens = max_tokens
        self._stop = StopStrings(stop) if stop else None
        self._ignore_eos = ignore_eos
        self._stall_after = stall_after
        self.arrived_at = 0.0
        self.last_at = 0.0
        self.cached_tokens = 0
        self.output_tokens = 0
        self.stalled = False
        self._look_ahead()

    @property
    def tokens(self) -> int:
        """Prompt and output so far."""
        return self.prompt_tokens + self.output_tokens

    @property
    def blocks(self) -> list[int]:
        """Hashes of the full blocks so far, see :class:`~replicore.engines.sim.model.Context`."""
        return self._context.blocks[: self.tokens // BLOCK_TOKENS]

    @property
    def cache_blocks(self) -> int:
        """KV cache blocks that all tokens so far take."""
        return -(-self.tokens // BLOCK_TOKENS)

    def decode(self) -> Delta:
        """Return the next token; not to be called again after a delta with ``finish``."""
        if not self._ahead:
            return Delta("", (), "stop")
        token = self._ahead.pop()
        self.output_tokens = decoded = self.output_tokens + 1
        if decoded == self._stall_after:
            self.stalled = True
        if not self._ahead and not self._look_ahead():
            return self._last("stop", token)
        if decoded >= self._max_tokens:
            return self._last("length", token)
        if self._stop is None:
            return _delta_of(token)
        text, hit = self._stop.feed(token_text(token))
        return Delta(text, (token,), "stop" if hit else None)

    def _last(self, finish: FinishReason, token: int) -> Delta:
        """Return the last token, which may complete a stop string."""
        if self._stop is None:
            return Delta(token_text(token), (token,), finish)
        text, hit = self._stop.feed(token_text(token), last=True)
        return Delta(text, (token,), "stop" if hit else finish)

    def _look_ahead(self) -> bool:
        """Work out the tokens to come; return whether there are any."""
        # One beyond the last: whether the text ends there is told by it.
        most = min(_AHEAD, self._max_tokens - self.output_tokens + 1)
        self._ahead = self._context.grow(most, ignore_eos=self._ignore_eos)
        self._ahead.reverse()
        return bool(self._ahead)


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
