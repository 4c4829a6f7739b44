"""Sessions with made-up prompts of the workload's lengths. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from replicore.bench.load.bodies import Envelope, message
from replicore.bench.load.jobs import Job
from replicore.bench.load.prompts.sizing import Prompts
from replicore.bench.load.seeds import Stream, numbers
from replicore.bench.load.sessions.turns import Question, session_jobs
from replicore.bench.load.workload import Api, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    """Sessions of one turn or several, with a shared prefix or without.

    Attributes:
        warmup: Whether these are the sessions before the measured ones, of one turn each, which
            share no prompt with those.
    """

    workload: Workload
    prompts: Prompts
    envelope: Envelope
    warmup: bool = False
    limit: ClassVar[int | None] = None
    default: ClassVar[int | None] = None

    def jobs(self, session: int, first: int) -> Sequence[Job]:
        """Return the requests of a session, of which ``first`` is the first's index."""
        prefix = self._prefix(session)
        turns = 1 if self.warmup else self.workload.turns_of(session)
        if turns == 1:
            return (self._single(first, prefix),)
        return self._conversation(first, turns, prefix)

    def _single(self, index: int, prefix: bytes) -> Job:
        draft = self.workload.request(index, warmup=self.warmup)
        prompts = self.prompts
        tokens = max(draft.input_tokens, prompts.shortest)
        own = prompts.pool.draw(prompts.pieces(tokens), *draft.key)
        return Job(
            index=index,
            body=self.envelope.body(prompts.prompt(own, prefix), draft.output_tokens),
            input_tokens=tokens + self._prefix_tokens,
            output_tokens=self.envelope.asked(draft.output_tokens),
        )

    def _conversation(self, first: int, turns: int, prefix: bytes) -> Sequence[Job]:
        questions = [self._question(first + turn, turn) for turn in range(turns)]
        return session_jobs(
            first,
            questions,
            self.envelope,
            opening=self._opening(prefix),
            opening_tokens=self._prefix_tokens,
        )

    def _question(self, index: int, turn: int) -> Question:
        draft = self.workload.request(index)
        prompts = self.prompts
        # What the server adds to a prompt is counted once, in the first turn.
        tokens = draft.input_tokens if turn else max(draft.input_tokens, prompts.shortest)
        pieces = prompts.added_pieces(tokens) if turn else prompts.pieces(tokens)
        return Question(
            text=prompts.text(prompts.pool.draw(pieces, *draft.key)),
            tokens=tokens,
            output_tokens=draft.output_tokens,
            pause_s=self.workload.pause_before(index) if turn else 0.0,
        )

    @property
    def _prefix_tokens(self) -> int:
        prefixes = self.workload.prefixes
        return prefixes.tokens if prefixes.count else 0

    def _prefix(self, session: int) -> bytes:
        """Return the session's shared prefix; warm-up sessions have the same ones."""
        if not self.workload.prefixes.count:
            return b""
        seed = self.workload.seed
        drawn = numbers(seed, int(self.warmup), session, Stream.PREFIX)[0]
        which = drawn % self.workload.prefixes.count
        pieces = self.prompts.added_pieces(self.workload.prefixes.tokens)
        return self.prompts.pool.draw(pieces, seed, Stream.PREFIX, which)

    def _opening(self, prefix: bytes) -> tuple[bytes, ...]:
        if not prefix:
            return ()
        text = self.prompts.text(prefix)
        return (message("system", text),) if self.workload.api is Api.CHAT else (text,)
