"""How many replicas and machines a rate takes, with one failure to spare. Pure.

A replica fails, or where replicas are on several machines, one machine. What is left must still
take the rate: below the utilisation at which waiting grows without measure, and within the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil

from replicore.planner.layouts import Layout, layouts_of
from replicore.planner.plan import Service
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.question import Question
from replicore.planner.serving.curves import Curves
from replicore.planner.serving.service import TOO_BUSY, service_of

# More replicas than this are not looked for, times those that the rate takes at least.
_MOST = 4

ServiceOf = Callable[[int], Service]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Replicas on machines, for a rate.

    Attributes:
        machine_replicas: Replicas on each machine; the last one may have fewer.
        needed: Replicas that meet the limits, none to spare.
        service: With all of them.
        after: With a failure: one replica less, or one machine where there are several.
        lost: Replicas that such a failure takes.
    """

    tp: int
    batch_size: int
    replicas: int
    machines: int
    machine_replicas: int
    needed: int
    lost: int
    service: Service
    after: Service

    @property
    def size(self) -> str:
        """``2 x 4x16x2``: machines x the layout of each."""
        return f"{self.machines} x {self.machine_replicas}x{self.tp}x{self.batch_size}"


def fleets(question: Question, predictor: Predictor) -> list[Fleet]:
    """Return a fleet for each tp that can meet the limits, that on fewest machines first.

    Of several that take as many machines, that with fewer cores is first.
    """
    layouts = list(_full_machines(question))
    curves = Curves(question, predictor, layouts)
    found = [fleet for layout in layouts if (fleet := _fleet(question, curves, layout)) is not None]
    found.sort(key=lambda each: (each.machines, each.replicas * each.tp, each.service.tpot_s.value))
    first: dict[int, Fleet] = {}
    for fleet in found:
        first.setdefault(fleet.tp, fleet)
    return list(first.values())


def _full_machines(question: Question) -> Iterator[Layout]:
    """Yield the layouts that fill a machine, those that memory refuses left out.

    With continuous batching free slots cost nothing, so only the most of them are looked at.
    """
    largest: dict[tuple[int, int | None], Layout] = {}
    for layout in layouts_of(question):
        _, refusal = question.memory(
            replicas=layout.replicas,
            tp=layout.tp,
            batch_size=layout.batch_size,
            max_model_len=question.max_model_len,
        )
        key = (layout.tp, None if question.static is None else layout.batch_size)
        if not refusal and _rank(layout) > _rank(largest.get(key)):
            largest[key] = layout
    yield from largest.values()


def _rank(layout: Layout | None) -> tuple[int, int]:
    return (0, 0) if layout is None else (layout.replicas, layout.batch_size)


def _fleet(question: Question, curves: Curves, layout: Layout) -> Fleet | None:
    memory, _ = question.memory(
        replicas=layout.replicas,
        tp=layout.tp,
        batch_size=layout.batch_size,
        max_model_len=question.max_model_len,
    )
    curve, kv_tokens = curves.of(layout), memory.kv_tokens if question.paged else None

    def service(replicas: int) -> Service:
        return service_of(question, replace(layout, replicas=replicas), curve, kv_tokens)

    needed = fewest(service, question.risk)
    if needed is None:
        return None
    replicas, machines, lost = with_spare(needed, layout.replicas)
    return Fleet(
        tp=layout.tp,
        batch_size=layout.batch_size,
        replicas=replicas,
        machines=machines,
        machine_replicas=ceil(replicas / machines),
        needed=needed,
        lost=lost,
        service=service(replicas),
        after=service(replicas - lost),
    )


def fewest(service: ServiceOf, risk: float) -> int | None:
    """Return the fewest replicas that meet the limits within the risk; None where none do.

    More replicas are never worse, so that halving finds it.
    """
    least = max(1, ceil(service(1).utilisation / TOO_BUSY))
    most = max(_MOST * least, least + _MOST)
    if service(most).meets < 1 - risk:
        return None
    while least < most:
        middle = (least + most) // 2
        if service(middle).meets >= 1 - risk:
            most = middle
        else:
            least = middle + 1
    return most


def with_spare(needed: int, per_machine: int) -> tuple[int, int, int]:
    """Return replicas, machines, and the replicas that one failure takes.

    One machine that has room for one more replica than needed will do. Otherwise one machine more
    than the others need, all of them with as many replicas.
    """
    if needed < per_machine:
        return needed + 1, 1, 1
    machines = max(2, ceil(needed / per_machine) + 1)
    each = ceil(needed / (machines - 1))
    return machines * each, machines, each
