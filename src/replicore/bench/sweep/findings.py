"""All that a sweep says, from its journal: cells, front, winner, scaling. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from replicore.bench.stats.summary import Objectives
from replicore.bench.sweep.cells import Cell, cells_of
from replicore.bench.sweep.entries import Failed, Run
from replicore.bench.sweep.plan import Point, SweepPlan
from replicore.bench.sweep.ranking import Scaling, Winner, find_winner, pareto_front, scalings


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was found so far.

    Attributes:
        name: Of the spec.
        conditions: What all runs have in common, by dotted name.
        runs: In the order in which they were made.
        front: The cells that no other beats in both output rate and median TTFT.
        winner: None where no layout meets every objective.
        failed: Layouts that could not be measured.
        missing: Runs of the plan that were not made, those of failed layouts left out.
    """

    name: str
    started_at: str
    plan: SweepPlan
    conditions: Mapping[str, str]
    slo: Objectives
    runs: tuple[Run, ...]
    cells: tuple[Cell, ...]
    front: tuple[Cell, ...]
    winner: Winner | None
    scalings: tuple[Scaling, ...]
    failed: tuple[Failed, ...]
    missing: int

    @property
    def simulated(self) -> bool:
        return any(run.simulated for run in self.runs)

    def cell(self, layout: str, concurrency: int) -> Cell:
        """Return the cell at one place of the plan; there must be one."""
        place = (layout, concurrency)
        return next(one for one in self.cells if (one.layout, one.concurrency) == place)


def find(
    plan: SweepPlan,
    *,
    name: str,
    started_at: str,
    conditions: Mapping[str, str],
    slo: Objectives,
    runs: Mapping[Point, Run],
    failed: Mapping[str, Failed],
) -> Findings:
    """Return what the runs of a plan say; runs that it does not have any more are left out."""
    points = set(plan.points())
    made = tuple(run for point, run in runs.items() if point in points)
    layouts = {str(arm.layout) for arm in plan.arms}
    left = [point for point in points.difference(runs) if point.layout not in failed]
    cells = cells_of(plan, made, slo)
    return Findings(
        name=name,
        started_at=started_at,
        plan=plan,
        conditions=conditions,
        slo=slo,
        runs=made,
        cells=cells,
        front=tuple(pareto_front(cells)),
        winner=find_winner(cells),
        scalings=scalings(plan, cells),
        failed=tuple(one for one in failed.values() if one.layout in layouts),
        missing=len(left),
    )
