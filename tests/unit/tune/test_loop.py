"""What is done next: one more run, or nothing and why."""

from __future__ import annotations

from replicore.bench.stats.objectives import Objectives
from replicore.bench.sweep.entries import Run as Made
from replicore.planner.question import Slo
from replicore.tune.belief import Belief, Problem
from replicore.tune.budget import Budget
from replicore.tune.loop import End, Run, Stop, decide
from tests.unit.tune.made import SIZES, cells, problem, run_of


def decided(belief: Belief | None, *, budget: Budget | None = None, runs: int = 0) -> Run | Stop:
    return decide(belief, budget or Budget(), runs=runs, seconds=10.0, risk=0.05)


def after(found: Problem, *runs: Made, slo: Objectives | None = None) -> Belief | None:
    return found.believe(cells(found, runs, slo))


def test_pick_is_run_first() -> None:
    belief = after(problem())
    step = decided(belief)

    assert isinstance(step, Run)
    assert belief is not None
    assert step.candidate == belief.pick


def test_best_that_was_measured_ends_it_when_no_other_may_be_better() -> None:
    step = decided(after(problem(), *(run_of(size, 100.0) for size in SIZES)))

    assert step == Stop(
        end=End.FOUND, why="no unmeasured layout is better with a probability above 5%"
    )


def test_limits_that_nothing_meets_end_it_without_hope() -> None:
    limits = Objectives(tpot_s=0.001)
    runs = [run_of(size, 100.0, tpot_s=0.1) for size in SIZES]
    step = decided(after(problem(slo=Slo(tpot_p99_s=0.001)), *runs, slo=limits))

    assert isinstance(step, Stop)
    assert (step.end, "meets the objectives" in step.why) == (End.HOPELESS, True)


def test_spent_budget_ends_it_whatever_may_be_left() -> None:
    belief = after(problem())

    assert decided(belief, budget=Budget(runs=2), runs=2) == Stop(
        end=End.SPENT, why="the budget of 2 runs is spent"
    )
    assert isinstance(decided(belief, budget=Budget(seconds=10.0)), Stop)


def test_finding_counts_more_than_a_spent_budget() -> None:
    step = decided(
        after(problem(), *(run_of(size) for size in SIZES)), budget=Budget(runs=3), runs=3
    )

    assert isinstance(step, Stop)
    assert step.end is End.FOUND


def test_no_layout_that_starts_ends_it() -> None:
    step = decided(None)

    assert isinstance(step, Stop)
    assert step.end is End.FAILED
