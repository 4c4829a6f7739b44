"""The requests of one session: each carries the turns before it and their answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from replicore.bench.load.bodies import Envelope, message, messages
from replicore.bench.load.jobs import Job
from replicore.bench.load.workload import Api


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


@dataclass(frozen=True, slots=True)
class LaterTurn:
    """Makes the body of a turn from the answers to the turns before it.

    A dataclass and not a closure, so that it can be sent to another process.

    Attributes:
        opening: Messages before the first turn, as JSON; texts, where the route takes no messages.
        asked: What each turn so far asks, this one included; JSON strings.
    """

    envelope: Envelope
    opening: tuple[bytes, ...]
    asked: tuple[bytes, ...]
    output_tokens: int

    def __call__(self, answers: Sequence[str]) -> bytes:
        chat = self.envelope.api is Api.CHAT
        prompt = self._chat(answers) if chat else self._text(answers)
        return self.envelope.body(prompt, self.output_tokens)

    def _chat(self, answers: Sequence[str]) -> bytes:
        said = list(self.opening)
        for question, answer in zip(self.asked[:-1], answers, strict=True):
            said += [message("user", question), message("assistant", msgspec.json.encode(answer))]
        return messages(*said, message("user", self.asked[-1]))

    def _text(self, answers: Sequence[str]) -> bytes:
        # Each part is a JSON string; without its quotes it may stand inside another one.
        written = [part[1:-1] for part in self.opening]
        for question, answer in zip(self.asked[:-1], answers, strict=True):
            written += [question[1:-1], msgspec.json.encode(answer)[1:-1]]
        return b'"%b"' % b" ".join([*written, self.asked[-1][1:-1]])


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
