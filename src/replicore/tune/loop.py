"""What to do next: one more run, or stop and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from replicore.tune.belief import Belief, Candidate
from replicore.tune.budget import Budget


class End(StrEnum):
    """Why no more runs are made."""

    FOUND = "found"
    """The best that was measured meets the limits, and no other layout may be better."""

    HOPELESS = "hopeless"
    """No layout is likely enough to meet the limits."""

    SPENT = "spent"
    """The budget is spent."""

    FAILED = "failed"
    """No layout could be started."""

    INTERRUPTED = "interrupted"
    """Somebody stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A layout is to be measured.

    Attributes:
        beats: Probability that it meets the limits and is better than the best measured one.
    """

    candidate: Candidate
    beats: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Nothing more is to be measured.

    Attributes:
        why: One sentence without a full stop.
    """

    end: End
    why: str


def decide(
    belief: Belief | None, budget: Budget, *, runs: int, seconds: float, risk: float
) -> Run | Stop:
    """Return the next step.

    Args:
        runs: Made so far, failed ones counted.
        seconds: Spent so far.
    """
    if belief is None:
        return Stop(end=End.FAILED, why="no layout is left that can be started")
    if belief.following is None:
        return _converged(belief, risk)
    spent = budget.spent(runs=runs, seconds=seconds)
    if spent:
        return Stop(end=End.SPENT, why=spent)
    return Run(candidate=belief.candidates[belief.following.index], beats=belief.following.beats)


def _converged(belief: Belief, risk: float) -> Stop:
    measured = belief.pick.measured
    if measured is not None and measured.meets:
        why = f"no unmeasured layout is better with a probability above {risk:.0%}"
        return Stop(end=End.FOUND, why=why)
    why = f"no unmeasured layout meets the objectives with a probability above {risk:.0%}"
    return Stop(end=End.HOPELESS, why=why)
