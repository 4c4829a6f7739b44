"""Who asks what, and when: sessions that are the same for every policy. Pure.

Words have four letters, so that one is one token of the simulator and about two of a real model.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
_WORDS = [first + second for first in _SYLLABLES for second in _SYLLABLES]


# Lanes do not start all at once.
_RAMP_S = 2.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a session.

    Attributes:
        pause_s: From the end of the answer before, or from the session's start.
    """

    text: str
    output_tokens: int
    pause_s: float


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation: each turn sends all that was said before.

    Attributes:
        lane: Sessions of a lane follow each other.
        start_s: From the workload's start, if the session before on its lane is over by then.
    """

    lane: int
    start_s: float
    system: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """How sessions are drawn. Sizes are in words, and in output tokens.

    Attributes:
        lanes: Sessions at the same time, per replica; 0 for sessions that arrive by themselves.
        rate_per_s: Of arrivals, per replica, Poisson; only without lanes.
        sessions: Per replica.
        systems: System prompts that sessions share, per replica.
        pause_s: Mean, exponential, before each turn but the first.
    """

    name: str
    sessions: int
    turns: int
    systems: float
    system_words: int
    user_words: tuple[int, int]
    output_tokens: tuple[int, int]
    lanes: int = 0
    rate_per_s: float = 0.0
    pause_s: float = 0.0

    def draw(self, replicas: int, seed: int) -> list[Session]:
        """Return all sessions for a number of replicas."""
        rng = random.Random(f"{self.name} {replicas} {seed}")
        return list(_Draw(self, replicas, rng).sessions())


@dataclass
class _Draw:
    workload: Workload
    replicas: int
    rng: random.Random
    systems: list[str] = field(init=False)

    def __post_init__(self) -> None:
        count = max(1, round(self.workload.systems * self.replicas))
        self.systems = [self.words(self.workload.system_words) for _ in range(count)]

    def sessions(self) -> Iterator[Session]:
        workload, rng = self.workload, self.rng
        start_s = 0.0
        for index in range(workload.sessions * self.replicas):
            if workload.lanes:
                lane, start_s = index % (workload.lanes * self.replicas), rng.uniform(0, _RAMP_S)
            else:
                lane, start_s = (
                    index,
                    start_s + rng.expovariate(workload.rate_per_s * self.replicas),
                )
            turns = tuple(self.turn(number) for number in range(workload.turns))
            yield Session(lane, start_s, rng.choice(self.systems), turns)

    def turn(self, number: int) -> Turn:
        workload, rng = self.workload, self.rng
        has_pause = number and workload.pause_s
        return Turn(
            text=self.words(rng.randint(*workload.user_words)),
            output_tokens=rng.randint(*workload.output_tokens),
            pause_s=rng.expovariate(1 / workload.pause_s) if has_pause else 0.0,
        )

    def words(self, count: int) -> str:
        return " ".join(self.rng.choices(_WORDS, k=count))


SIMULATED = (
    # Three chats for four slots: there is nearly always a free slot, and mostly a choice.
    Workload(
        name="chats",
        sessions=6,
        lanes=3,
        turns=4,
        pause_s=0.5,
        systems=1,
        system_words=300,
        user_words=(50, 250),
        output_tokens=(16, 64),
    ),
    # More chats than slots: requests wait all the time.
    Workload(
        name="chats_saturated",
        sessions=12,
        lanes=6,
        turns=4,
        systems=1,
        system_words=300,
        user_words=(50, 250),
        output_tokens=(16, 64),
    ),
    # Long prompts that one replica's cache could not hold all of.
    Workload(
        name="shared_prompts",
        sessions=28,
        rate_per_s=1.6,
        turns=1,
        systems=6,
        system_words=2000,
        user_words=(20, 80),
        output_tokens=(16, 64),
    ),
)

REAL = (
    Workload(
        name="chats",
        sessions=4,
        lanes=2,
        turns=4,
        pause_s=0.5,
        systems=1,
        system_words=40,
        user_words=(10, 25),
        output_tokens=(16, 32),
    ),
    Workload(
        name="shared_prompts",
        sessions=10,
        rate_per_s=0.25,
        turns=1,
        systems=2,
        system_words=120,
        user_words=(5, 15),
        output_tokens=(12, 24),
    ),
)
