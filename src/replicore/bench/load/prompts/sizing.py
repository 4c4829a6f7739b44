"""How a prompt of so many tokens, as the server counts them, is made from a pool. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replicore.bench.load.bodies import message, messages
from replicore.bench.load.prompts.pool import Pool
from replicore.bench.load.prompts.words import LEAD
from replicore.bench.load.workload import Api


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Prompts of a given length.

    tokens = overhead + pieces x tokens_per_piece

    Attributes:
        ids: Whether pieces are token ids, and a prompt is an array; else words of a text.
        tokens_per_piece: 1 where every piece is one token.
        overhead: Tokens that every prompt has besides its pieces: what the server adds, such as a
            chat template's, and the word that a text begins with.
        exact: Whether the server was seen to count what the formula gives.
        counted_by: Who told what a token is, for the report.
    """

    api: Api
    pool: Pool
    ids: bool
    counted_by: str
    tokens_per_piece: float = 1.0
    overhead: float = 0.0
    exact: bool = False

    @property
    def shortest(self) -> int:
        """Tokens of a prompt of one piece."""
        return max(1, round(self.overhead + self.tokens_per_piece))

    @property
    def added_by_server(self) -> int:
        """Tokens that the server adds to any prompt."""
        lead = 0.0 if self.ids else self.tokens_per_piece
        return max(0, round(self.overhead - lead))

    def pieces(self, tokens: int) -> int:
        """Return how many pieces make a prompt of ``tokens``, at least 1."""
        return max(1, round((tokens - self.overhead) / self.tokens_per_piece))

    def added_pieces(self, tokens: int) -> int:
        """Return how many pieces make ``tokens`` more of a prompt that there already is."""
        return max(1, round(tokens / self.tokens_per_piece))

    def text(self, *parts: bytes) -> bytes:
        """Return the JSON of a text made of ``parts``: a string, or an array of ids."""
        if self.ids:
            return b"[%b]" % self.pool.joint.join(parts)
        return b'"%b"' % self.pool.joint.join((LEAD.encode(), *parts))

    def prompt(self, own: bytes, prefix: bytes = b"") -> bytes:
        """Return the JSON of ``messages``, or of ``prompt``, for one request.

        Args:
            prefix: Pieces before its own; a system message where there are messages.
        """
        if self.api is Api.COMPLETIONS:
            return self.text(prefix, own) if prefix else self.text(own)
        user = message("user", self.text(own))
        return messages(message("system", self.text(prefix)), user) if prefix else messages(user)


def id_pool(ids: Sequence[int]) -> Pool:
    return Pool([b"%d" % token for token in ids], b",")


def word_pool(words: Sequence[str]) -> Pool:
    """Return a pool of words, which have no character that JSON would escape."""
    return Pool([word.encode() for word in words], b" ")
