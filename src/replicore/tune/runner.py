"""The loop as it runs: believe, measure, believe again, until there is nothing more to find."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from replicore.bench.stats.objectives import Objectives
from replicore.bench.sweep.cells import Cell, cells_of
from replicore.bench.sweep.journal import Journal
from replicore.bench.sweep.plan import SweepPlan, Visit
from replicore.tune.belief import Belief, Candidate, Problem
from replicore.tune.budget import Budget
from replicore.tune.layouts import visit_of
from replicore.tune.loop import End, Run, Stop, decide
from replicore.tune.tuned import Trial, Tuned


class Visiting(Protocol):
    """Deploys layouts and measures them into the journal: a ``Sweeper``."""

    async def visit(self, visit: Visit) -> None: ...


class Watch(Protocol):
    """Who is told how it goes."""

    def deciding(
        self, step: Run | Stop, trials: Sequence[Trial], belief: Belief | None
    ) -> None: ...

    def tried(self, trial: Trial, belief: Belief | None) -> None: ...


class Tuner:
    """Makes runs until the loop ends.

    Cancelled, it stops what it has deployed; the journal has all runs that were made.

    Args:
        plan: Of all layouts that can be measured.
        clock: Seconds, from any zero.
    """

    def __init__(
        self,
        problem: Problem,
        plan: SweepPlan,
        journal: Journal,
        *,
        slo: Objectives,
        budget: Budget,
        sweeper: Visiting,
        watch: Watch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._problem = problem
        self._plan = plan
        self._journal = journal
        self._slo = slo
        self._budget = budget
        self._sweeper = sweeper
        self._watch = watch
        self._clock = clock
        self._trials: list[Trial] = []
        self._failed: dict[str, str] = {}
        self._spent_s = 0.0
        self._belief: Belief | None = None
        self._stop = Stop(end=End.INTERRUPTED, why="it was stopped")

    def replay(self) -> None:
        """Go through the runs that the journal has, in their order, as if they were made now."""
        self._think()
        for run in self._journal.kept.runs.values():
            for cell in cells_of(self._plan, [run], self._slo):
                predicted = None if self._belief is None else self._belief.of(cell.layout)
                if predicted is not None:
                    self._take(predicted, cell)
            self._spent_s += run.ready_s + run.duration_s

    async def run(self) -> None:
        """Make runs until there is nothing more to find, or the budget is spent."""
        while True:
            step = self._decide()
            self._watch.deciding(step, self._trials, self._belief)
            if isinstance(step, Stop):
                self._stop = step
                return
            await self._measure(step.candidate)

    def found(self) -> Tuned:
        """Return what was found until now."""
        return Tuned(
            problem=self._problem,
            trials=tuple(self._trials),
            belief=self._belief,
            failed=dict(self._failed),
            stop=self._stop,
            simulated=any(run.simulated for run in self._journal.kept.runs.values()),
        )

    def _decide(self) -> Run | Stop:
        return decide(
            self._belief,
            self._budget,
            runs=len(self._trials) + len(self._failed),
            seconds=self._spent_s,
            risk=self._problem.question.risk,
        )

    async def _measure(self, predicted: Candidate) -> None:
        started = self._clock()
        visit = visit_of(self._plan, predicted.size)
        try:
            await self._sweeper.visit(visit)
        finally:
            # A run may be in the journal although its deployment was interrupted while it stopped.
            self._spent_s += self._clock() - started
            self._learn(predicted, visit)

    def _learn(self, predicted: Candidate, visit: Visit) -> None:
        """Take what a visit left in the journal, if anything."""
        kept = self._journal.kept
        run, failed = kept.runs.get(visit.point(visit.concurrencies[0])), kept.failed
        if run is not None:
            (cell,) = cells_of(self._plan, [run], self._slo)
            self._watch.tried(self._take(predicted, cell), self._belief)
        elif predicted.size in failed:
            self._failed[predicted.size] = failed[predicted.size].message
            self._think()

    def _take(self, predicted: Candidate, cell: Cell) -> Trial:
        trial = Trial(predicted=predicted, cell=cell)
        self._trials.append(trial)
        self._think()
        return trial

    def _think(self) -> None:
        cells = [trial.cell for trial in self._trials]
        self._belief = self._problem.believe(cells, self._failed)
