"""Which layouts there are to think about: replicas x tp x batch size. Pure.

Cores may stay idle. Of the numbers of replicas that fit, not every one is worth a look: the small
ones, powers of two, and the largest, by cores and by memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from replicore.planner.question import Degree, Question

# Below it every number of replicas is looked at.
_FEW = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """So many replicas, each of ``tp`` cores and with ``batch_size`` slots."""

    replicas: int
    tp: int
    batch_size: int

    @property
    def size(self) -> str:
        return f"{self.replicas}x{self.tp}x{self.batch_size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A tp that is not possible, or a number of replicas that has no room."""

    layout: Layout
    reason: str


def layouts_of(question: Question) -> Iterator[Layout]:
    """Yield every layout that the cores have room for, by tp, replicas and batch size."""
    for degree in question.degrees:
        for replicas in _counts(degree, question.replicas):
            for batch_size in question.batch_sizes:
                yield Layout(replicas=replicas, tp=degree.tp, batch_size=batch_size)


def refused_of(question: Question) -> Iterator[Refused]:
    """Yield one layout for each tp that is not possible or has no room, and why."""
    for degree in question.degrees:
        wanted = question.replicas or 1
        if degree.refusal or degree.replicas < wanted:
            layout = Layout(replicas=wanted, tp=degree.tp, batch_size=question.batch_sizes[0])
            yield Refused(layout=layout, reason=degree.refusal or degree.crowded)


def _counts(degree: Degree, only: int | None) -> list[int]:
    """Return the numbers of replicas to look at, ascending."""
    most = degree.replicas
    if only is not None:
        return [only] if only <= most else []
    powers = (1 << power for power in range(most.bit_length()))
    return sorted({*range(1, min(_FEW, most) + 1), *powers, degree.held, most} - {0})


def batch_sizes(most: int, own: int) -> tuple[int, ...]:
    """Return the powers of two up to ``most``, and the spec's own, ascending."""
    return tuple(sorted({own, *(1 << power for power in range(most.bit_length()))}))
