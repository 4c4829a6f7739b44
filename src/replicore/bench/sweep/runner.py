"""A sweep from its plan to its journal: deploy, warm, measure, stop, and the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from replicore.bench.record import BenchResult
from replicore.bench.selfcheck.verdict import Verdict, judge
from replicore.bench.stats.summary import Summary, summarize
from replicore.bench.sweep.entries import Failed, Run, latencies_of
from replicore.bench.sweep.journal import Journal
from replicore.bench.sweep.plan import Point, SweepPlan, SweptLayout, Visit
from replicore.bench.sweep.serving import Served
from replicore.errors import (
    ArtefactError,
    DeploymentError,
    InfeasiblePlan,
    ReplicaError,
    UpstreamError,
)

_WARM_PER_PLACE = 2

# What is a layout's own fault; anything else ends the sweep.
_OF_A_LAYOUT = (
    ArtefactError,
    DeploymentError,
    InfeasiblePlan,
    ReplicaError,
    UpstreamError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One run that is wanted.

    Attributes:
        title: For people: what is measured, in a few words.
        seed: Of its prompts.
    """

    title: str
    concurrency: int
    requests: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run that was made.

    Attributes:
        restarts: Of replicas, while it was made.
    """

    result: BenchResult
    summary: Summary
    verdict: Verdict
    restarts: int = 0


Serve = Callable[[SweptLayout], AbstractAsyncContextManager[Served]]
Measure = Callable[[Served, Ask], Awaitable[BenchResult]]

# Writes a run's own document, and returns its place from the journal's folder.
Keep = Callable[[Point, Outcome], str]


class Watch(Protocol):
    """Who is told how a sweep goes."""

    def starting(self, visit: Visit) -> None: ...

    def serving(self, visit: Visit, served: Served) -> None: ...

    def measured(self, run: Run) -> None: ...

    def failed(self, failed: Failed) -> None: ...


class Sweeper:
    """Makes the runs of a plan that its journal does not have yet.

    Cancelled, it stops what it has deployed; the run that was going on leaves nothing.
    """

    def __init__(
        self,
        plan: SweepPlan,
        journal: Journal,
        *,
        serve: Serve,
        measure: Measure,
        keep: Keep,
        watch: Watch,
    ) -> None:
        self._plan = plan
        self._journal = journal
        self._serve = serve
        self._measure = measure
        self._keep = keep
        self._watch = watch
        self._given_up: set[SweptLayout] = set()

    async def run(self) -> None:
        """Visit every layout, as often as the plan says; one that fails is not visited again."""
        for visit in self._plan.visits(self._journal.kept.runs.keys()):
            if visit.layout not in self._given_up:
                await self.visit(visit)

    async def visit(self, visit: Visit) -> None:
        """Deploy a layout and make the runs of the visit; a layout that fails is written down."""
        self._watch.starting(visit)
        try:
            async with self._serve(visit.layout) as served:
                self._watch.serving(visit, served)
                await self._measure(served, self._warming(visit))
                for concurrency in visit.concurrencies:
                    await self._point(visit.point(concurrency), served)
        except _OF_A_LAYOUT as error:
            self._give_up(visit, error.message)

    async def _point(self, point: Point, served: Served) -> None:
        ask = self._ask(point)
        await served.wait_ready()
        before = served.starts()
        result = await self._measure(served, ask)
        summary = summarize(result)
        outcome = Outcome(
            result=result,
            summary=summary,
            verdict=judge(result, summary),
            restarts=served.starts() - before,
        )
        run = _run_of(point, ask, served, outcome, self._keep(point, outcome))
        self._journal.append(run)
        self._watch.measured(run)

    def _ask(self, point: Point) -> Ask:
        return Ask(
            title=f"{point.layout}, {point.concurrency} in flight, "
            f"repeat {point.repeat + 1} of {self._plan.repeats}",
            concurrency=point.concurrency,
            requests=self._plan.requests_at(point.concurrency),
            seed=self._plan.seed_of(point),
        )

    def _warming(self, visit: Visit) -> Ask:
        """Return a run for nothing: caches, pages and learned rates of a fresh deployment."""
        concurrency = max(visit.concurrencies)
        return Ask(
            title=f"{visit.layout}, warming",
            concurrency=concurrency,
            requests=_WARM_PER_PLACE * concurrency,
            seed=self._plan.warm_seed,
        )

    def _give_up(self, visit: Visit, message: str) -> None:
        failed = Failed(layout=str(visit.layout), repeat=visit.repeat, message=message)
        self._given_up.add(visit.layout)
        self._journal.append(failed)
        self._watch.failed(failed)


def _run_of(point: Point, ask: Ask, served: Served, outcome: Outcome, file: str) -> Run:
    result, summary, verdict = outcome.result, outcome.summary, outcome.verdict
    return Run(
        layout=point.layout,
        concurrency=point.concurrency,
        repeat=point.repeat,
        seed=ask.seed,
        slots=served.slots,
        cores=served.cores,
        ready_s=served.ready_s,
        started_at=result.started_at,
        duration_s=summary.duration_s,
        file=file,
        simulated=result.simulated,
        verdict=verdict.kind.value,
        reasons=verdict.reasons,
        restarts=outcome.restarts,
        requests=len(result.records),
        errors=summary.errors,
        output_tokens_per_s=summary.total.output_tokens_per_s,
        total_tokens_per_s=summary.total.total_tokens_per_s,
        requests_per_s=summary.total.requests_per_s,
        latencies=latencies_of(result.records, summary.window),
    )
