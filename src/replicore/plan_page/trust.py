"""What a reader must know before believing a plan. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from replicore.plan_page.picks import runnable
from replicore.planner.plan import Plan
from replicore.planner.prediction.residual import FEATURES


def warnings(plan: Plan) -> Iterator[str]:
    """Yield sentences: where the numbers are from, and how far from it they are used."""
    if plan.calibrated_from:
        yield f"Calibrated from: {plan.calibrated_from}."
    best = plan.best.service if plan.best is not None else None
    if best is None:
        return
    if set(best.beyond) == set(FEATURES):
        yield "So it is data sheets and other devices that speak: measure the pick first."
    else:
        yield from _beyond(plan, best.beyond)
    yield from (f"{note}." for note in best.notes)


def _beyond(plan: Plan, features: Sequence[str]) -> Iterator[str]:
    if features:
        yield (
            f"The pick is beyond what was calibrated, in {', '.join(features)}: "
            "measure it before relying on it."
        )
    layouts = runnable(plan)
    beyond = sum(bool(one.service.beyond) for one in layouts)
    if beyond:
        yield f"{beyond} of {len(layouts)} layouts are beyond what was calibrated."
