"""A sweep from its plan to its journal, with a deployment and a load that are pretended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from replicore.bench.record import BenchResult
from replicore.bench.sweep.entries import Begun, Failed, Run
from replicore.bench.sweep.journal import Journal, opened
from replicore.bench.sweep.plan import Point, SweepPlan, SweptLayout, Visit
from replicore.bench.sweep.runner import Ask, Outcome, Sweeper
from replicore.bench.sweep.serving import Served
from replicore.errors import ArtefactError, ConfigError, ReplicaExited, ReplicoreError
from tests.unit.bench.sweep.made import STARTED, answered, plan


class Stage:
    """Pretends to serve and to measure, and writes down what it was asked for."""

    def __init__(self, **faults: Exception) -> None:
        self.log: list[str] = []
        self.asks: list[Ask] = []
        self.faults = faults
        self.before: Callable[[Ask], None] = lambda _: None
        self.starts = 2
        self.dead: ReplicaExited | None = None

    @asynccontextmanager
    async def serve(self, layout: SweptLayout) -> AsyncIterator[Served]:
        self.log.append(f"start {layout}")
        try:
            if str(layout) in self.faults:
                raise self.faults[str(layout)]
            yield Served(
                url="http://127.0.0.1:1",
                cores=("0", "1"),
                slots=8,
                ready_s=0.5,
                wait_ready=self.wait_ready,
                starts=lambda: self.starts,
            )
        finally:
            self.log.append(f"stop {layout}")

    async def wait_ready(self) -> None:
        if self.dead is not None:
            raise self.dead

    async def measure(self, served: Served, ask: Ask) -> BenchResult:
        self.before(ask)
        self.log.append(ask.title)
        self.asks.append(ask)
        return answered(ask.requests, concurrency=ask.concurrency, seed=ask.seed)

    def keep(self, point: Point, outcome: Outcome) -> str:
        return f"{point.layout}-{outcome.verdict.kind.value}"

    def starting(self, visit: Visit) -> None: ...

    def serving(self, visit: Visit, served: Served) -> None: ...

    def measured(self, run: Run) -> None: ...

    def failed(self, failed: Failed) -> None:
        self.log.append(f"left out: {failed.message}")

    def sweeper(self, of: SweepPlan, journal: Journal) -> Sweeper:
        return Sweeper(
            of, journal, serve=self.serve, measure=self.measure, keep=self.keep, watch=self
        )


@pytest.fixture(name="journal")
def _journal(tmp_path: Path) -> Iterator[Journal]:
    begun = Begun(name="test", seed=7, started_at=STARTED, conditions={})
    with opened(tmp_path, begun, resume=False) as journal:
        yield journal


def test_each_visit_deploys_warms_measures_and_stops(journal: Journal) -> None:
    stage = Stage()
    asyncio.run(stage.sweeper(plan("2x1,1x2", (1, 4), repeats=1), journal).run())

    assert stage.log == [
        "start 2x1",
        "2x1, warming",
        "2x1, 1 in flight, repeat 1 of 1",
        "2x1, 4 in flight, repeat 1 of 1",
        "stop 2x1",
        "start 1x2",
        "1x2, warming",
        "1x2, 1 in flight, repeat 1 of 1",
        "1x2, 4 in flight, repeat 1 of 1",
        "stop 1x2",
    ]


def test_run_has_the_requests_and_prompts_of_its_point(journal: Journal) -> None:
    stage, whole = Stage(), plan("2x1", (4,), repeats=1)
    asyncio.run(stage.sweeper(whole, journal).run())
    warming, measured = stage.asks

    assert (measured.requests, measured.seed) == (40, whole.seed_of(Point("2x1", 4, 0)))
    assert (warming.requests, warming.seed) == (8, whole.warm_seed)


def test_measured_run_is_in_the_journal_with_verdict_file_and_latencies(journal: Journal) -> None:
    asyncio.run(Stage().sweeper(plan("2x1", (1,), repeats=1), journal).run())
    (run,) = journal.kept.runs.values()

    assert (run.layout, run.concurrency, run.repeat, run.slots) == ("2x1", 1, 0, 8)
    assert (run.requests, run.errors) == (20, {})
    assert run.file == f"2x1-{run.verdict}"
    assert set(run.latencies.ttft_s) == {0.25}
    assert run.output_tokens_per_s is not None
    assert run.output_tokens_per_s.value == pytest.approx(2, rel=0.1)


def test_runs_that_the_journal_has_are_not_made_again(journal: Journal) -> None:
    whole = plan("2x1", (1, 4), repeats=1)
    asyncio.run(Stage().sweeper(plan("2x1", (1,), repeats=1), journal).run())
    stage = Stage()
    asyncio.run(stage.sweeper(whole, journal).run())

    assert [ask.concurrency for ask in stage.asks] == [4, 4]
    assert set(journal.kept.runs) == set(whole.points())


@pytest.mark.parametrize("error", [ReplicaExited, ArtefactError])
def test_layout_that_cannot_start_is_left_out_and_the_others_go_on(
    journal: Journal, error: type[ReplicoreError]
) -> None:
    stage = Stage(**{"2x1": error("r0 exited with code 1")})
    asyncio.run(stage.sweeper(plan("2x1,1x2", (4,), repeats=2), journal).run())

    assert stage.log.count("start 2x1") == 1
    assert stage.log.count("stop 1x2") == 2
    assert "left out: r0 exited with code 1" in stage.log
    assert list(journal.kept.failed) == ["2x1"]


def test_interrupted_sweep_stops_what_it_deployed_and_drops_the_run(journal: Journal) -> None:
    stage = Stage()

    def interrupt(ask: Ask) -> None:
        if ask.concurrency == 4 and "repeat" in ask.title:
            raise asyncio.CancelledError

    stage.before = interrupt
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stage.sweeper(plan("2x1", (1, 4), repeats=1), journal).run())

    assert stage.log[-1] == "stop 2x1"
    assert [point.concurrency for point in journal.kept.runs] == [1]


def test_replica_that_is_restarted_meanwhile_is_kept_with_the_run(journal: Journal) -> None:
    stage = Stage()

    def restart(ask: Ask) -> None:
        stage.starts += "4 in flight" in ask.title

    stage.before = restart
    asyncio.run(stage.sweeper(plan("2x1", (1, 4), repeats=1), journal).run())

    assert [run.restarts for run in journal.kept.runs.values()] == [0, 1]


def test_layout_whose_replica_dies_for_good_is_left_out_with_what_it_has(journal: Journal) -> None:
    stage = Stage()

    def kill(ask: Ask) -> None:
        if "1 in flight" in ask.title:
            stage.dead = ReplicaExited("r0 was killed by SIGKILL")

    stage.before = kill
    asyncio.run(stage.sweeper(plan("2x1", (1, 4), repeats=2), journal).run())

    assert [point.concurrency for point in journal.kept.runs] == [1]
    assert stage.log[-2:] == ["stop 2x1", "left out: r0 was killed by SIGKILL"]


@pytest.mark.parametrize("error", [ConfigError("no such device"), ReplicoreError("disk full")])
def test_error_that_is_not_a_layouts_own_ends_the_sweep(
    journal: Journal, error: ReplicoreError
) -> None:
    stage = Stage(**{"2x1": error})
    with pytest.raises(ReplicoreError, match=error.message):
        asyncio.run(stage.sweeper(plan(), journal).run())

    assert stage.log == ["start 2x1", "stop 2x1"]
