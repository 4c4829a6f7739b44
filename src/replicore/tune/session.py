"""A tuning put together: what is looked through, what deploys and measures, where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from replicore import __version__
from replicore.bench.stats.objectives import Objectives
from replicore.bench.sweep.conditions import conditions_of
from replicore.bench.sweep.entries import TUNING, Begun
from replicore.bench.sweep.journal import Journal
from replicore.bench.sweep.measuring import LoadClient, RunFiles
from replicore.bench.sweep.plan import REQUESTS_PER_PLACE, SweepPlan
from replicore.bench.sweep.runner import Sweeper
from replicore.bench.sweep.runner import Watch as SweepWatch
from replicore.bench.sweep.serving import Serving
from replicore.deploy.deployment import Prepared
from replicore.deploy.making import Watch as CompileWatch
from replicore.errors import InfeasiblePlan
from replicore.planner.plan import Outcome
from replicore.spec import Spec
from replicore.tune.belief import Problem
from replicore.tune.budget import Budget
from replicore.tune.layouts import sweep_plan
from replicore.tune.runner import Tuner
from replicore.tune.runner import Watch as TuneWatch
from replicore.tune.said import uncompiled
from replicore.tune.serving import CompilingFirst, Deployable, deployable

# Of each place of the closed loop, however few requests were asked for.
_LEAST_PER_PLACE = 2


class Watch(SweepWatch, TuneWatch, Protocol):
    """Who is told how a tuning goes."""

    def note(self, text: str) -> None: ...

    def begin(self, layouts: int, made: int, budget: Budget) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a tuning is made with.

    Attributes:
        compiling: Who is told how layouts are compiled; None leaves out those that are not.
        root: Folder of all deployments.
        command: What makes the tuning.
    """

    spec: Spec
    serving: Serving
    journal: Journal
    client: LoadClient
    budget: Budget
    watch: Watch
    compiling: CompileWatch | None
    root: Path
    command: Sequence[str]

    def tuner(self, problem: Problem) -> Tuner:
        """Return what makes the runs, those that the journal has gone through already.

        Raises:
            InfeasiblePlan: There is no layout to try.
        """
        found = self._deployable(problem)
        plan = _plan(self.spec, found.outcomes, seed=self.journal.kept.begun.seed)
        tuner = Tuner(
            replace(problem, sizes={one.size for one in found.outcomes}),
            plan,
            self.journal,
            slo=Objectives(ttft_s=self.spec.slo.ttft_p99, tpot_s=self.spec.slo.tpot_p99),
            budget=self.budget,
            sweeper=self._sweeper(plan),
            watch=self.watch,
        )
        self.watch.begin(len(found.outcomes), len(self.journal.kept.runs), self.budget)
        tuner.replay()
        return tuner

    def _deployable(self, problem: Problem) -> Deployable:
        compiling = self.compiling is not None
        found = deployable(self.serving, problem.outcomes(), compiling=compiling)
        if found.uncompiled:
            self.watch.note(uncompiled(found.uncompiled))
        if not found.outcomes:
            raise InfeasiblePlan(f"no layout can be tried; {problem.refusal()}")
        return found

    def _sweeper(self, plan: SweepPlan) -> Sweeper:
        serve = self.serving.serve
        if self.compiling is not None:
            serve = CompilingFirst(self.serving, self.root, self.compiling).serve
        name = self.journal.kept.begun.name
        files = RunFiles(folder=self.journal.folder, name=name, command=self.command)
        return Sweeper(
            plan,
            self.journal,
            serve=serve,
            measure=self.client.measure,
            keep=files.keep,
            watch=self.watch,
        )


def _plan(spec: Spec, outcomes: Sequence[Outcome], *, seed: int) -> SweepPlan:
    is_given = "requests" in spec.workload.model_fields_set
    return sweep_plan(
        outcomes,
        concurrency=spec.workload.concurrency,
        requests=spec.workload.requests,
        per_place=_LEAST_PER_PLACE if is_given else REQUESTS_PER_PLACE,
        seed=seed,
    )


def begun(
    spec: Spec, prepared: Prepared, client: LoadClient, *, seed: int, started_at: str
) -> Begun:
    """Return what all runs of a tuning have in common; replicas, tp and slots they have not."""
    conditions = conditions_of(
        spec,
        prepared.machine,
        requests=spec.workload.requests,
        ignore_eos=client.workload.ignore_eos,
        timeout=client.timeout,
        processes=client.processes,
        replicore=__version__,
    )
    del conditions["layout.batch_size"]
    conditions["workload.concurrency"] = str(spec.workload.concurrency or "all slots")
    return Begun(
        schema=TUNING, name=spec.name, seed=seed, started_at=started_at, conditions=conditions
    )
