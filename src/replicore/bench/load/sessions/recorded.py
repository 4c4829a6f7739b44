"""Sessions of recorded texts, in an order that the seed draws. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import msgspec

from replicore.bench.load.bodies import Envelope
from replicore.bench.load.data.conversations import Conversation, Turn
from replicore.bench.load.jobs import Job
from replicore.bench.load.seeds import Stream, generator
from replicore.bench.load.sessions.turns import Question, session_jobs
from replicore.bench.load.workload import Workload

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Each conversation once before any of them comes again, in a new order each time.

    Attributes:
        overhead: Tokens that the server adds to a prompt.
    """

    workload: Workload
    conversations: Sequence[Conversation]
    sizes: TextSizes
    overhead: int
    envelope: Envelope
    limit: ClassVar[int | None] = None

    @property
    def default(self) -> int | None:
        return len(self.conversations)

    def jobs(self, session: int, first: int) -> Sequence[Job]:
        """Return the requests of a session, of which ``first`` is the first's index."""
        row = row_of(self.workload.seed, session, len(self.conversations))
        conversation = self.conversations[row]
        turns = conversation.turns[: self.workload.turns_of(session)]
        opening = sum(self.sizes.tokens(part.decode()) for part in conversation.opening)
        return session_jobs(
            first,
            [self._question(first + n, n, turn) for n, turn in enumerate(turns)],
            self.envelope,
            opening=conversation.opening,
            opening_tokens=opening + self.overhead,
        )

    def _question(self, index: int, place: int, turn: Turn) -> Question:
        return Question(
            text=msgspec.json.encode(turn.text),
            tokens=self.sizes.tokens(turn.text),
            output_tokens=self._output_tokens(index, turn),
            pause_s=self.workload.pause_before(index) if place else 0.0,
        )

    def _output_tokens(self, index: int, turn: Turn) -> int:
        if turn.output_tokens is not None:
            return turn.output_tokens
        if turn.answer:
            return self.sizes.tokens(turn.answer)
        return self.workload.request(index).output_tokens


def row_of(seed: int, session: int, rows: int) -> int:
    """Return which of the rows a session is."""
    epoch, place = divmod(session, rows)
    return _order(seed, epoch, rows)[place]


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, rows: int) -> tuple[int, ...]:
    return tuple(generator(seed, Stream.ROWS, epoch).permutation(rows).tolist())
