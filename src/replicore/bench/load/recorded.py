"""Sessions of recorded texts, in an order that the seed draws. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from replicore.bench.load.bodies import Envelope
from replicore.bench.load.datasets import Conversation, Turn
from replicore.bench.load.jobs import Job
from replicore.bench.load.seeds import Stream, generator
from replicore.bench.load.text_sizes import TextSizes
from replicore.bench.load.turns import Question, session_jobs
from replicore.bench.load.workload import Workload


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

    @property
    def limit(self) -> int | None:
        return None

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
