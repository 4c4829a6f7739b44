"""One scenario tuned on its simulated machine, and held against the best of all its layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.tuning.machine import Truth, measured
from benchmarks.tuning.scenarios import Scenario
from replicore.bench.stats.objectives import Objectives
from replicore.bench.sweep.cells import Cell, cells_of
from replicore.planner.files.load import shipped
from replicore.planner.plan import Outcome
from replicore.tune.belief import Belief, Problem
from replicore.tune.budget import Budget
from replicore.tune.layouts import sweep_plan
from replicore.tune.loop import Stop, decide

# Runs after which the pick is judged.
LOOKS = (0, 1, 2, 3)
_MOST_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the pick is worth.

    Attributes:
        violates: Whether it breaks the limit.
        value: Its output rate over that of the best layout; 0 where it breaks the limit.
    """

    size: str
    violates: bool
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How a scenario went.

    Attributes:
        looks: The pick after 0, 1, 2, 3 runs.
        runs: Until it stopped.
        final: What it ended with.
    """

    scenario: str
    layouts: int
    best: str
    looks: Mapping[int, Judged]
    runs: int
    final: Judged


def search(scenario: Scenario, seed: int) -> Search | None:
    """Tune, and judge; None where no layout keeps the limit at all."""
    problem = Problem(question=scenario.question, start=shipped())
    outcomes = [one for one in problem.outcomes() if one.service is not None]
    truths = {one.size: scenario.machine.truth(one) for one in outcomes}
    limit = scenario.question.slo.tpot_p99_s
    valid = {size: one for size, one in truths.items() if _keeps(one, limit)}
    if not valid:
        return None
    best = max(valid, key=lambda size: valid[size].tokens_per_s)
    run = _Run(problem, outcomes, truths, limit, valid[best].tokens_per_s, Random(seed))
    looks, made, final = run.through()
    return Search(
        scenario=scenario.name,
        layouts=len(outcomes),
        best=best,
        looks=looks,
        runs=made,
        final=final,
    )


def _keeps(truth: Truth, limit_s: float | None) -> bool:
    return limit_s is None or max(truth.tpot_s) <= limit_s


class _Run:
    def __init__(
        self,
        problem: Problem,
        outcomes: Sequence[Outcome],
        truths: Mapping[str, Truth],
        limit_s: float | None,
        best_rate: float,
        random: Random,
    ) -> None:
        self._problem = Problem(
            question=problem.question, start=problem.start, sizes=frozenset(truths)
        )
        self._outcomes = {one.size: one for one in outcomes}
        self._truths = truths
        self._limit_s = limit_s
        self._best_rate = best_rate
        self._random = random
        self._plan = sweep_plan(outcomes, concurrency=None, requests=1, per_place=1, seed=0)
        self._cells: list[Cell] = []

    def through(self) -> tuple[dict[int, Judged], int, Judged]:
        """Return what was picked after each of ``LOOKS``, the runs made, and the last pick."""
        looks: dict[int, Judged] = {}
        while True:
            belief = self._problem.believe(self._cells)
            judged = self._judge(belief)
            looks[len(self._cells)] = judged
            made = len(self._cells)
            step = decide(
                belief,
                Budget(runs=_MOST_RUNS),
                runs=made,
                seconds=0.0,
                risk=self._problem.question.risk,
            )
            if isinstance(step, Stop):
                return {at: looks.get(at, judged) for at in LOOKS}, made, judged
            self._measure(step.candidate.size)

    def _measure(self, size: str) -> None:
        run = measured(self._truths[size], self._outcomes[size], self._random)
        self._cells += cells_of(self._plan, [run], Objectives(tpot_s=self._limit_s))

    def _judge(self, belief: Belief | None) -> Judged:
        if belief is None:
            return Judged(size="", violates=False, value=0.0)
        pick = belief.proven or belief.pick
        truth = self._truths[pick.size]
        keeps = _keeps(truth, self._limit_s)
        value = truth.tokens_per_s / self._best_rate if keeps else 0.0
        return Judged(size=pick.size, violates=not keeps, value=value)
