"""Requests of a trace: its lengths, and prompts that share what its own shared. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replicore.bench.load.bodies import Envelope
from replicore.bench.load.data.traces import TraceRow
from replicore.bench.load.jobs import Job
from replicore.bench.load.prompts.sizing import Prompts
from replicore.bench.load.seeds import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One request for each row of a trace, in its order.

    Attributes:
        block: Tokens of the blocks that the rows' ``hash_ids`` name.
    """

    rows: Sequence[TraceRow]
    block: int
    seed: int
    prompts: Prompts
    envelope: Envelope

    @property
    def limit(self) -> int | None:
        return len(self.rows)

    @property
    def default(self) -> int | None:
        return len(self.rows)

    def jobs(self, session: int, first: int) -> Sequence[Job]:
        """Return the request of row ``session``."""
        row = self.rows[session]
        tokens = max(row.input_tokens, self.prompts.shortest)
        pieces = self.prompts.pieces(tokens)
        own = self.prompts.pool.joint.join(self._parts(session, row.hash_ids, pieces))
        return (
            Job(
                index=first,
                body=self.envelope.body(self.prompts.prompt(own), row.output_tokens),
                input_tokens=tokens,
                output_tokens=self.envelope.asked(row.output_tokens),
            ),
        )

    def _parts(self, session: int, hash_ids: Sequence[int], pieces: int) -> Sequence[bytes]:
        """Return the blocks' content, then content of its own for what they do not cover."""
        draw, parts = self.prompts.pool.draw, []
        block = self.prompts.added_pieces(self.block)
        for hash_id in hash_ids[: -(-pieces // block)]:
            parts.append(draw(min(block, pieces), self.seed, Stream.BLOCK, hash_id))
            pieces -= min(block, pieces)
        if pieces:
            parts.append(draw(pieces, self.seed, 0, session, Stream.PROMPT))
        return parts
