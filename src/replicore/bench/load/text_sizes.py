"""How many tokens recorded texts have. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Of English in the vocabularies of today; where nobody can count.
_CHARACTERS_PER_TOKEN = 4.0


@dataclass(frozen=True, slots=True)
class TextSizes:
    """Tokens of texts: counted, and for all others by the characters that a token has in those.

    Attributes:
        counted: Tokens by text.
    """

    counted: Mapping[str, int]
    characters_per_token: float = _CHARACTERS_PER_TOKEN

    @classmethod
    def of(cls, counted: Mapping[str, int]) -> TextSizes:
        tokens = sum(counted.values())
        rate = sum(map(len, counted)) / tokens if tokens else _CHARACTERS_PER_TOKEN
        return cls(counted, rate)

    def tokens(self, text: str) -> int:
        """Return the tokens of ``text``, at least 1."""
        known = self.counted.get(text)
        return max(1, round(len(text) / self.characters_per_token)) if known is None else known
