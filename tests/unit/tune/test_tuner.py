"""The loop as it runs, over a journal, with deployments and loads that are pretended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from replicore.bench.stats.objectives import Objectives
from replicore.bench.sweep.entries import TUNING, Begun, Failed
from replicore.bench.sweep.journal import Journal, opened
from replicore.bench.sweep.plan import Visit
from replicore.planner.question import Slo
from replicore.tune import loop
from replicore.tune.belief import Belief, Problem
from replicore.tune.budget import Budget
from replicore.tune.loop import End
from replicore.tune.runner import Tuner
from replicore.tune.tuned import Trial, Tuned
from tests.unit.bench.sweep.made import STARTED
from tests.unit.tune.made import SIZES, plan_of, problem, run_of

# What the layouts of the pretended machine do, in output tokens per second.
RATES = {"4x1x8": 3400.0, "2x2x8": 2600.0, "1x4x8": 1700.0}


class Stage:
    """Pretends to deploy and to measure, and writes down what it was told."""

    def __init__(self, journal: Journal, rates: Mapping[str, float] = RATES) -> None:
        self.journal = journal
        self.rates = rates
        self.log: list[str] = []
        self.now_s = 0.0
        self.interrupt_at = ""
        self.interrupt_after = False

    async def visit(self, visit: Visit) -> None:
        size = str(visit.layout)
        if size == self.interrupt_at:
            raise asyncio.CancelledError
        self.now_s += 60.0
        if size in self.rates:
            per_slot_s = 8 * visit.layout.replicas / self.rates[size]
            self.journal.append(run_of(size, self.rates[size], tpot_s=per_slot_s))
        else:
            self.journal.append(Failed(layout=size, repeat=0, message="no memory"))
        if self.interrupt_after:
            raise asyncio.CancelledError

    def deciding(
        self, step: loop.Run | loop.Stop, trials: Sequence[Trial], belief: Belief | None
    ) -> None:
        self.log.append(step.candidate.size if isinstance(step, loop.Run) else step.end.value)

    def tried(self, trial: Trial, belief: Belief | None) -> None:
        self.log.append(f"{trial.cell.layout} measured")

    def tuner(self, found: Problem, budget: Budget, slo: Objectives | None = None) -> Tuner:
        tuner = Tuner(
            found,
            plan_of(found),
            self.journal,
            slo=slo or Objectives(),
            budget=budget,
            sweeper=self,
            watch=self,
            clock=lambda: self.now_s,
        )
        tuner.replay()
        return tuner


@pytest.fixture(name="stage")
def _stage(tmp_path: Path) -> Iterator[Stage]:
    begun = Begun(schema=TUNING, name="test", seed=7, started_at=STARTED, conditions={})
    with opened(tmp_path, begun, resume=False) as journal:
        yield Stage(journal)


def tuned(stage: Stage, *, budget: Budget | None = None, found: Problem | None = None) -> Tuned:
    tuner = stage.tuner(found or problem(), budget or Budget())
    asyncio.run(tuner.run())
    return tuner.found()


def test_loop_ends_with_the_best_layout(stage: Stage) -> None:
    found = tuned(stage)

    assert found.stop.end is End.FOUND
    assert found.belief is not None
    assert found.belief.proven is not None
    assert found.belief.proven.size == max(RATES, key=lambda size: RATES[size])


def test_every_run_is_decided_on_announced_and_told(stage: Stage) -> None:
    found = tuned(stage)
    sizes = [trial.cell.layout for trial in found.trials]

    assert stage.log == [said for size in sizes for said in (size, f"{size} measured")] + ["found"]


def test_trial_has_what_was_believed_before_it(stage: Stage) -> None:
    first, *_ = tuned(stage).trials

    assert first.predicted.measured is None
    assert first.predicted.tokens_per_s != RATES[first.cell.layout]


def test_budget_of_one_run_is_kept(stage: Stage) -> None:
    found = tuned(stage, budget=Budget(runs=1))

    assert (len(found.trials), found.stop.end) == (1, End.SPENT)


def test_budget_of_time_lets_no_run_begin_after_it(stage: Stage) -> None:
    # A pretended run takes a minute.
    found = tuned(stage, budget=Budget(seconds=59.0))

    assert (len(found.trials), found.stop.end) == (1, End.SPENT)


def test_layout_that_fails_is_left_out_and_the_next_one_tried(stage: Stage) -> None:
    stage.rates = {size: rate for size, rate in RATES.items() if size != "4x1x8"}
    found = tuned(stage)

    assert found.failed == {"4x1x8": "no memory"}
    assert found.belief is not None
    assert found.belief.of("4x1x8") is None
    assert len(found.trials) >= 1


def test_layouts_that_all_fail_end_the_loop(stage: Stage) -> None:
    stage.rates = {}
    found = tuned(stage)

    assert (found.stop.end, found.belief, len(found.failed)) == (End.FAILED, None, len(SIZES))


def test_failed_runs_are_of_the_budget_too(stage: Stage) -> None:
    stage.rates = {}
    found = tuned(stage, budget=Budget(runs=2))

    assert (found.stop.end, len(found.failed)) == (End.SPENT, 2)


def test_interrupted_loop_says_so_and_keeps_what_was_measured(stage: Stage) -> None:
    tuned(stage, budget=Budget(runs=1))
    (done,) = stage.journal.kept.runs
    stage.interrupt_at = next(size for size in SIZES if size != done.layout)
    tuner = stage.tuner(problem([done.layout, stage.interrupt_at]), Budget())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(tuner.run())

    assert tuner.found().stop.end is End.INTERRUPTED
    assert [trial.cell.layout for trial in tuner.found().trials] == [done.layout]


def test_run_whose_deployment_was_interrupted_while_it_stopped_counts(stage: Stage) -> None:
    stage.interrupt_after = True
    tuner = stage.tuner(problem(), Budget())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(tuner.run())

    assert len(tuner.found().trials) == 1
    assert tuner.found().stop.end is End.INTERRUPTED


def test_resumed_loop_goes_on_as_if_it_had_never_stopped(stage: Stage, tmp_path: Path) -> None:
    whole = tuned(stage)
    again = stage.tuner(problem(), Budget()).found()

    assert [one.cell for one in again.trials] == [one.cell for one in whole.trials]
    assert [one.predicted for one in again.trials] == [one.predicted for one in whole.trials]


def test_runs_of_before_are_of_the_budget(stage: Stage) -> None:
    tuned(stage, budget=Budget(runs=1))
    stage.log.clear()
    found = tuned(stage, budget=Budget(runs=1))

    assert (stage.log, len(found.trials)) == (["spent"], 1)


def test_run_of_a_layout_that_is_no_candidate_any_more_is_passed_over(stage: Stage) -> None:
    tuned(stage)
    found = stage.tuner(problem(["1x4x8"]), Budget()).found()

    assert {trial.cell.layout for trial in found.trials} <= {"1x4x8"}


def test_limit_of_the_spec_decides_among_measured_layouts(stage: Stage) -> None:
    stage.rates = {**RATES, "4x1x8": 3000.0}
    # TPOT is 8 R / rate: 10.7 ms of 4x1x8, 6.2 ms of 2x2x8, 4.7 ms of 1x4x8.
    slo, limits = Slo(tpot_p99_s=0.0085), Objectives(tpot_s=0.0085)
    tuner = stage.tuner(problem(slo=slo), Budget(), limits)
    asyncio.run(tuner.run())
    belief = tuner.found().belief

    assert belief is not None
    assert belief.proven is not None
    assert belief.proven.size == "2x2x8"


def test_observations_are_of_every_run(stage: Stage) -> None:
    found = tuned(stage)

    assert [one.source for one in found.observations()] == [
        f"run of {trial.cell.layout}" for trial in found.trials
    ]
