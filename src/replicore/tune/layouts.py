"""Which layouts of a plan are measured, and how: as a sweep's plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from replicore.bench.sweep.plan import Arm, SweepPlan, SweptLayout, Visit
from replicore.planner.plan import Outcome


def swept(outcome: Outcome) -> SweptLayout:
    """Return the layout as a sweep has it; both write it ``4x16x2``."""
    return SweptLayout(outcome.replicas, outcome.tp, outcome.batch_size)


def sweep_plan(
    outcomes: Iterable[Outcome],
    *,
    concurrency: int | None,
    requests: int,
    per_place: int,
    seed: int,
) -> SweepPlan:
    """Return the plan of all layouts that could be measured, each once.

    Args:
        concurrency: Requests in flight; None: as many as the layout has slots.
        requests: Of a run, at least.
        per_place: Requests of a run for each in flight, at least.
    """
    arms = tuple(Arm(swept(one), (_load(one, concurrency),)) for one in outcomes)
    return SweepPlan(arms=arms, repeats=1, requests=requests, per_place=per_place, seed=seed)


def _load(outcome: Outcome, concurrency: int | None) -> int:
    return concurrency or outcome.replicas * outcome.batch_size


def visit_of(plan: SweepPlan, size: str) -> Visit:
    """Return the deployment that measures a layout of the plan; there must be one."""
    arm = next(arm for arm in plan.arms if str(arm.layout) == size)
    return Visit(arm.layout, 0, arm.concurrencies)
