"""The questions of the correctness check, and what becomes of their answers. Pure."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from replicore.bench.llmperf.entries import Entry, corrected_entry
from replicore.bench.llmperf.number_words import number_words
from replicore.bench.llmperf.options import RunOptions
from replicore.bench.record import RequestRecord

_LARGEST = 10_000
_THOUSANDS_COMMA = re.compile(r"(?<=\d),(?=\d)")


@dataclass(frozen=True, slots=True)
class Answer:
    """One question at one server, and what came back."""

    number: int
    record: RequestRecord
    entry: Entry

    @property
    def errored(self) -> bool:
        return self.entry.error_code is not None

    @property
    def numbers(self) -> list[str]:
        """The numbers in the answer, in order, without commas of thousands."""
        return re.findall(r"\d+", plain(self.record.text or ""))

    @property
    def mismatched(self) -> bool:
        """Whether an answer came, and the number asked for is nowhere in it."""
        return not self.errored and str(self.number) not in self.numbers


def plain(text: str) -> str:
    """Return ``text`` without commas between digits."""
    return _THOUSANDS_COMMA.sub("", text)


def draw_numbers(requests: int, servers: int, seed: int) -> list[int]:
    """Return the number that each request asks for: each one goes to all servers in turn."""
    rng = random.Random(seed)
    questions = -(-requests // servers)
    drawn = [rng.randint(0, _LARGEST) for _ in range(questions)]
    return [drawn[request // servers] for request in range(requests)]


def question(number: int) -> str:
    """Return what is asked."""
    return (
        f"Convert the following sequence of words into a number: {number_words(number)}.\n"
        "Print the number first."
    )


def sampling_of(options: RunOptions) -> dict[str, object]:
    """Return the sampling parameters: always the most likely token, unless the user wants else."""
    return {"temperature": 0.0} | options.sampling


def answers(numbers: Sequence[int], records: Sequence[RequestRecord]) -> list[Answer]:
    """Return the answers to the questions; ``records`` name theirs by their index."""
    return [Answer(numbers[one.index], one, corrected_entry(one, None)) for one in records]


@dataclass(slots=True)
class ReplicaAnswers:
    """How one replica did.

    Attributes:
        differing: Numbers that another replica answered otherwise.
    """

    replica: str
    asked: int = 0
    errors: int = 0
    mismatched: int = 0
    differing: list[int] = field(default_factory=list)


def by_replica(found: Sequence[Answer]) -> list[ReplicaAnswers]:
    """Return a line for each replica, in the order of their names."""
    rows: dict[str, ReplicaAnswers] = {}
    differing = _differing(found)
    for answer in found:
        name = answer.record.replica
        row = rows.setdefault(name, ReplicaAnswers(name))
        row.asked += 1
        row.errors += answer.errored
        row.mismatched += answer.mismatched
        if not answer.errored and answer.number in differing:
            row.differing.append(answer.number)
    return [rows[name] for name in sorted(rows)]


def _differing(found: Sequence[Answer]) -> set[int]:
    """Return the numbers to which there is more than one first number: temperature is 0."""
    given: dict[int, set[str | None]] = {}
    for answer in found:
        if not answer.errored:
            first = answer.numbers[0] if answer.numbers else None
            given.setdefault(answer.number, set()).add(first)
    return {number for number, firsts in given.items() if len(firsts) > 1}
