"""A long run of tokens, kept as JSON: a prompt is two slices of it, whatever its length. Pure.

A prompt begins with pieces that are drawn singly. No two prompts then share a prefix that a cache
could use, however small the pool is. The rest is the pool's text from a random place. So 1,000
prompts of 8,000 tokens take milliseconds, and none repeats itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from replicore.bench.load.seeds import numbers

# Leading pieces drawn one by one; the smallest cache blocks of the engines hold 16 tokens.
_SINGLE = 8


class Pool:
    """Pieces that follow each other, joined by ``joint``.

    Args:
        pieces: At least one; each is JSON text inside an array or a string.
    """

    def __init__(self, pieces: Sequence[bytes], joint: bytes) -> None:
        self.joint = joint
        self._pieces = tuple(pieces)
        # Twice, so that a run that goes on from the end to the beginning is one slice.
        self._text = joint.join(self._pieces * 2)
        gap = len(joint)
        ends = accumulate(len(piece) + gap for piece in self._pieces * 2)
        self._starts = (0, *ends)

    def __len__(self) -> int:
        return len(self._pieces)

    def draw(self, count: int, *key: int) -> bytes:
        """Return ``count`` pieces that ``key`` determines; empty for 0."""
        chosen = numbers(*key)
        size = len(self._pieces)
        single = min(count, _SINGLE)
        parts = [self._pieces[number % size] for number in chosen[:single]]
        if count > single:
            parts.append(self.run(chosen[_SINGLE] % size, count - single))
        return self.joint.join(parts)

    def run(self, start: int, count: int) -> bytes:
        """Return ``count`` pieces from place ``start`` on, again from the beginning at the end."""
        rounds, count = divmod(count, len(self._pieces))
        whole = [self._slice(start, len(self._pieces))] * rounds
        return self.joint.join([*whole, self._slice(start, count)] if count else whole)

    def _slice(self, start: int, count: int) -> bytes:
        return self._text[self._starts[start] : self._starts[start + count] - len(self.joint)]
