"""The requests of one session: each carries the turns before it and their answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replicore.bench.load.bodies import Envelope, LaterTurn
from replicore.bench.load.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one turn asks.

    Attributes:
        text: A JSON string.
        tokens: That it adds to the input.
        pause_s: After the answer before it.
    """

    text: bytes
    tokens: int
    output_tokens: int
    pause_s: float = 0.0


def session_jobs(
    first: int,
    questions: Sequence[Question],
    envelope: Envelope,
    *,
    opening: tuple[bytes, ...] = (),
    opening_tokens: int = 0,
) -> list[Job]:
    """Return the requests of a session, of which ``first`` is the first's index.

    A later turn's input tokens are those asked for so far, the answers' included: how long the
    answers are is known only when they are there.

    Args:
        opening: What every request begins with; see :class:`LaterTurn`.
    """
    jobs = []
    before = opening_tokens
    for turn, question in enumerate(questions):
        texts = tuple(asked.text for asked in questions[: turn + 1])
        make = LaterTurn(envelope, opening, texts, question.output_tokens)
        output = envelope.asked(question.output_tokens)
        jobs.append(
            Job(
                index=first + turn,
                body=make if turn else make(()),
                input_tokens=before + question.tokens,
                output_tokens=output,
                pause_s=question.pause_s,
            )
        )
        before += question.tokens + output
    return jobs
