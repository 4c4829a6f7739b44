"""What a tuning found: its runs, what is believed after them, and why it ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from replicore.bench.sweep.cells import Cell
from replicore.planner.step.traffic import Observation
from replicore.tune.belief import Belief, Candidate, Problem, cases_of, observations
from replicore.tune.loop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run that was made.

    Attributes:
        predicted: What was believed of the layout before it.
    """

    predicted: Candidate
    cell: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What was found.

    Attributes:
        trials: In the order in which they were made.
        belief: After the last of them; None where no layout can be started.
        failed: What kept layouts from being measured, by size.
        simulated: Whether a simulator answered.
    """

    problem: Problem
    trials: tuple[Trial, ...]
    belief: Belief | None
    failed: dict[str, str]
    stop: Stop
    simulated: bool = False

    def observations(self) -> list[Observation]:
        """Return what the runs say to the planner."""
        cases = cases_of(self.problem.outcomes())
        return observations([trial.cell for trial in self.trials], cases)
