"""Which layout is best, how sure that is, and what more replicas bring. Pure.

Layouts are compared by their runs in the same repeats: what makes a whole repeat slower falls out
of the ratio. A repeat is the unit, not a request: requests of one run share its deployment, and an
interval that takes them for independent is too narrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from replicore.bench.stats.scaling import Ratio, holm
from replicore.bench.sweep.cells import Cell
from replicore.bench.sweep.plan import SweepPlan
from replicore.bench.sweep.student import paired_ratio

_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """The winner against the best of another layout.

    Attributes:
        value: Its output rate over the other's.
        ratio: With its interval over the repeats; None with fewer than two in common.
        p_value: Of there being no difference, after Holm for all that are compared with the winner.
    """

    layout: str
    concurrency: int
    value: float
    ratio: Ratio | None
    p_value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The layout and load with the highest output rate of those that meet every objective.

    Attributes:
        others: The best of each other layout that meets them too, best first.
        confidence: Lower bound of the probability that none of the others is better: 1 less the sum
            of their probabilities. None with fewer than two repeats; 1 without others.
        clear: Whether every difference is significant at 5 %.
    """

    layout: str
    concurrency: int
    rate: float
    others: tuple[Versus, ...]
    confidence: float | None
    clear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What several replicas bring over one alone at the load that each of them has.

    Attributes:
        efficiency: rate(N replicas, C) / (N x rate(1 replica, C / N)); 1 is perfect.
        low: Of the 95 % interval over the repeats; None with fewer than two.
    """

    layout: str
    concurrency: int
    alone: str
    alone_concurrency: int
    efficiency: float
    low: float | None
    high: float | None


def find_winner(cells: Iterable[Cell]) -> Winner | None:
    """Return the winner; None where no layout meets every objective."""
    best = _best_of_each(cell for cell in cells if cell.meets and cell.rate and not cell.baseline)
    if not best:
        return None
    first, *rest = best
    others = _versus(first, rest)
    return Winner(
        layout=first.layout,
        concurrency=first.concurrency,
        rate=first.rate,
        others=others,
        confidence=_confidence(others),
        clear=all(one.p_value is not None and one.p_value < _SIGNIFICANT for one in others),
    )


def is_winner(cell: Cell, winner: Winner | None) -> bool:
    place = (cell.layout, cell.concurrency)
    return winner is not None and place == (winner.layout, winner.concurrency)


def _best_of_each(cells: Iterable[Cell]) -> list[Cell]:
    best: dict[str, Cell] = {}
    for cell in sorted(cells, key=lambda cell: cell.rate, reverse=True):
        best.setdefault(cell.layout, cell)
    return list(best.values())


def _versus(winner: Cell, others: Sequence[Cell]) -> tuple[Versus, ...]:
    ratios = [repeat_ratio(winner.rates, other.rates) for other in others]
    known = [ratio.p_value for ratio in ratios if ratio is not None]
    adjusted = iter(holm(known))
    return tuple(
        Versus(
            layout=other.layout,
            concurrency=other.concurrency,
            value=winner.rate / other.rate if ratio is None else ratio.value,
            ratio=ratio,
            p_value=None if ratio is None else next(adjusted),
        )
        for other, ratio in zip(others, ratios, strict=True)
    )


def _confidence(others: Sequence[Versus]) -> float | None:
    doubts = [1 - one.ratio.improvement for one in others if one.ratio is not None]
    return max(0.0, 1 - sum(doubts)) if len(doubts) == len(others) else None


def repeat_ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Ratio | None:
    """Return the ratio of two cells' rates over the repeats that both have."""
    both = [repeat for repeat in sorted(ours.keys() & theirs.keys()) if theirs[repeat] > 0]
    both = [repeat for repeat in both if ours[repeat] > 0]
    return paired_ratio([ours[r] for r in both], [theirs[r] for r in both])


def pareto_front(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells that no other beats in both output rate and median TTFT, by TTFT."""
    front: list[Cell] = []
    for cell in sorted(_placed(cells), key=lambda cell: (cell.ttft_p50.value or 0.0, -cell.rate)):
        if not front or cell.rate > front[-1].rate:
            front.append(cell)
    return front


def _placed(cells: Iterable[Cell]) -> Iterable[Cell]:
    return (cell for cell in cells if cell.rate and not cell.baseline)


def scalings(plan: SweepPlan, cells: Iterable[Cell]) -> tuple[Scaling, ...]:
    """Return the scaling of every layout and load whose single replica was measured too."""
    by_place = {(cell.layout, cell.concurrency): cell for cell in cells}
    found = []
    for arm in plan.arms:
        layout = arm.layout
        for concurrency in arm.concurrencies if layout.replicas > 1 else ():
            cell = by_place.get((str(layout), concurrency))
            alone = by_place.get((str(layout.alone), concurrency // layout.replicas))
            if cell and alone and alone.rate and concurrency % layout.replicas == 0:
                found.append(_scaling(cell, alone, layout.replicas))
    return tuple(found)


def _scaling(cell: Cell, alone: Cell, replicas: int) -> Scaling:
    ratio = repeat_ratio(cell.rates, alone.rates)
    return Scaling(
        layout=cell.layout,
        concurrency=cell.concurrency,
        alone=alone.layout,
        alone_concurrency=alone.concurrency,
        efficiency=(ratio.value if ratio else cell.rate / alone.rate) / replicas,
        low=ratio.low / replicas if ratio else None,
        high=ratio.high / replicas if ratio else None,
    )
