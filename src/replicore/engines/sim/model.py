"""Deterministic text: the next token is a pure function of all tokens before it.

Nothing else goes in, no seed and no split into prompt and output, so any two simulators continue
the same tokens alike. The text is made of four-letter words with some punctuation. It ends after a
full stop only, and about one full stop in eight ends it.

A word starts with a space, or follows a line break: none can merge with what stands before it when
the text is cut into tokens again (see ``tokenizer.py``), so a continuation from text equals one
from token ids.
"""

from __future__ import annotations

from collections.abc import Iterable

from replicore.engines.sim.tokenizer import token_id

BLOCK_TOKENS = 16

_MASK = (1 << 64) - 1
_HASH_FACTOR = 6_364_136_223_846_793_005
_MIX_FACTOR = 0xFF51_AFD7_ED55_8CCD

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
_WORDS = [first + second for first in _SYLLABLES for second in _SYLLABLES]
_SPACED = [token_id(" " + word) for word in _WORDS]
_BARE = [token_id(word) for word in _WORDS]
_FULL_STOP, _LINE_BREAK = token_id("."), token_id("\n")
_PUNCTUATION = [_FULL_STOP, _FULL_STOP, _FULL_STOP, token_id(","), token_id("…"), _LINE_BREAK]
_MARKS, _CHOICE = len(_PUNCTUATION), len(_WORDS)


class Context:
    """All tokens up to here, as a hash that grows with each.

    Attributes:
        length: Tokens.
        blocks: The hash at the end of each full block of ``BLOCK_TOKENS``: equal exactly where
            all tokens up to there are equal, which is what a prefix cache goes by.
    """

    __slots__ = ("_hash", "_last", "blocks", "length")

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._hash = 0
        self._last = 0
        self.length = 0
        self.blocks: list[int] = []
        self.extend(ids)

    def extend(self, ids: Iterable[int]) -> None:
        # Prompts have tens of thousands of tokens: no call for each, no attribute.
        value, last, length = self._hash, self._last, self.length
        for last in ids:
            value = (value * _HASH_FACTOR + last + 1) & _MASK
            length += 1
            if not length % BLOCK_TOKENS:
                self.blocks.append(value)
        self._hash, self._last, self.length = value, last, length

    def grow(self, most: int, *, ignore_eos: bool = False) -> list[int]:
        """Append the tokens that follow, up to ``most`` or the end of the text; return them."""
        value, last, length = self._hash, self._last, self.length
        grown: list[int] = []
        for _ in range(most):
            # The hash's low bits depend on the low bits of the tokens alone: mix high ones in.
            draw = (((value ^ (value >> 33)) * _MIX_FACTOR) & _MASK) >> 16
            if last == _FULL_STOP and not ignore_eos and not (draw >> 8) % 8:
                break
            if not draw % 16:
                last = _PUNCTUATION[(draw >> 16) % _MARKS]
            else:
                last = (_BARE if last == _LINE_BREAK else _SPACED)[(draw >> 16) % _CHOICE]
            value = (value * _HASH_FACTOR + last + 1) & _MASK
            length += 1
            if not length % BLOCK_TOKENS:
                self.blocks.append(value)
            grown.append(last)
        self._hash, self._last, self.length = value, last, length
        return grown
