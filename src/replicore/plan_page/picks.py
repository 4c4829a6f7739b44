"""Which layouts of a plan a chart or a table shows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from replicore.planner.plan import Forecast, Outcome, Plan, Service

# Takes one of a layout's times; None where it cannot be told.
Latency = Callable[[Service], Forecast | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """A layout that can be run, with what it does."""

    outcome: Outcome
    service: Service


def runnable(plan: Plan) -> list[Runnable]:
    """Return the layouts that can be run, the best first."""
    return [Runnable(outcome=o, service=o.service) for o in plan.outcomes if o.service is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The layouts of a tp that cannot be run.

    Attributes:
        nearest: The one that asks for least.
        entirely: No layout of this tp can be run.
    """

    tp: int
    count: int
    nearest: Outcome
    entirely: bool


def refused(plan: Plan) -> list[Refused]:
    """Return what cannot be run, by tp: more slots or replicas only ever ask for more."""
    possible = {one.outcome.tp for one in runnable(plan)}
    found: dict[int, list[Outcome]] = {}
    for outcome in plan.outcomes:
        if outcome.service is None:
            found.setdefault(outcome.tp, []).append(outcome)
    return [
        Refused(
            tp=tp,
            count=len(found[tp]),
            nearest=min(found[tp], key=lambda one: (one.batch_size, one.replicas)),
            entirely=tp not in possible,
        )
        for tp in sorted(found)
    ]


def best_of_each_tp(plan: Plan) -> list[Runnable]:
    """Return the best layout of each tp that one can be run of, by tp."""
    best: dict[int, Runnable] = {}
    for one in runnable(plan):
        best.setdefault(one.outcome.tp, one)
    return [best[tp] for tp in sorted(best)]


def memories(plan: Plan) -> list[Outcome]:
    """Return a layout for each tp whose memory is known, by tp.

    The best that can be run; where none can, the one that comes closest to fitting.
    """
    best = {one.outcome.tp: one.outcome for one in best_of_each_tp(plan)}
    closest: dict[int, tuple[int, Outcome]] = {}
    for outcome in plan.outcomes:
        memory = outcome.memory
        if memory is None or outcome.tp in best:
            continue
        if outcome.tp not in closest or memory.left > closest[outcome.tp][0]:
            closest[outcome.tp] = memory.left, outcome
    shown = best | {tp: outcome for tp, (_, outcome) in closest.items()}
    return [shown[tp] for tp in sorted(shown) if shown[tp].memory is not None]


def front(layouts: Sequence[Runnable], latency: Latency) -> list[Runnable]:
    """Return those that no other beats in both rate and latency, by latency, the lowest first."""
    known = sorted(_with_latency(layouts, latency), key=lambda pair: (pair[0], -_rate(pair[1])))
    found: list[Runnable] = []
    for _, one in known:
        if not found or _rate(one) > _rate(found[-1]):
            found.append(one)
    return found


def _with_latency(
    layouts: Sequence[Runnable], latency: Latency
) -> Iterator[tuple[float, Runnable]]:
    for one in layouts:
        if (found := latency(one.service)) is not None:
            yield found.value, one


def _rate(one: Runnable) -> float:
    return one.service.tokens_per_s.value
