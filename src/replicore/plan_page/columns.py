"""The memory of a core and the costs of a request, a column for each tp. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replicore.bench.report.figure import (
    BAD,
    GRID,
    Axis,
    Figure,
    Trace,
    bars,
    figure,
    points,
    series_color,
)
from replicore.bench.report.words import percent
from replicore.plan_page.picks import Runnable, best_of_each_tp, memories
from replicore.plan_page.words import gib
from replicore.planner.memory.rank import RankMemory
from replicore.planner.plan import COSTS, Plan
from replicore.units import GIB

_STACKED: Mapping[str, Any] = {
    "height": 340,
    "barmode": "stack",
    "bargap": 0.35,
    "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
}


def memory_chart(plan: Plan) -> Iterator[Figure]:
    """Yield what fills the memory of one core, for the best layout of each tp."""
    shown = memories(plan)
    if not shown:
        return
    names = [outcome.size for outcome in shown]
    rows = [outcome.memory for outcome in shown if outcome.memory is not None]
    yield figure(
        f"Memory of one {_holder(plan)}",
        [*_filled(names, rows), _limit(names, rows)],
        x=Axis(title="layout", kind="category"),
        y=Axis(title="GiB", low=0),
        note="Of the best layout of each tp; where none fits, of the one that comes closest.",
        **_STACKED,
    )


def _holder(plan: Plan) -> str:
    """Return whose memory it is: cores that are threads share their replica's."""
    words = {1: "core", None: "replica"}
    return words.get(plan.question.cores.rank_cores, "rank")


def _filled(names: Sequence[str], rows: Sequence[RankMemory]) -> Iterator[Trace]:
    parts = {
        "weights": [row.weights for row in rows],
        "KV cache": [max(0, row.kv) for row in rows],
        "activation": [row.activation for row in rows],
        "overhead": [row.overhead for row in rows],
    }
    for index, (name, sizes) in enumerate(parts.items()):
        yield _stacked(name, names, sizes, series_color(index))
    yield _stacked("left", names, [max(0, row.left) for row in rows], GRID)


def _stacked(name: str, names: Sequence[str], sizes: Sequence[int], color: str) -> Trace:
    labels = [f"{name}: {gib(size)} GiB" for size in sizes]
    values = [size / GIB for size in sizes]
    style = {"text": labels, "textposition": "none", "hovertemplate": "%{text}<extra></extra>"}
    return bars(name, names, values, color=color, **style)


def _limit(names: Sequence[str], rows: Sequence[RankMemory]) -> Trace:
    """Return a line over each column: replicas that share a memory each have their own limit."""
    marker = {"color": BAD, "size": 46, "symbol": "line-ew", "line": {"color": BAD, "width": 2}}
    labels = [f"there are {gib(row.capacity)} GiB" for row in rows]
    return points(
        "limit",
        names,
        [row.capacity / GIB for row in rows],
        marker=marker,
        text=labels,
        hovertemplate="%{text}<extra></extra>",
    )


def cost_chart(plan: Plan) -> Iterator[Figure]:
    """Yield where a request's time goes, for the best layout of each tp."""
    shown = best_of_each_tp(plan)
    if not shown:
        return
    names = [one.outcome.size for one in shown]
    yield figure(
        "Where the time of a request goes",
        [_shares(cost, index, names, shown) for index, cost in enumerate(COSTS)],
        x=Axis(title="layout", kind="category"),
        y=Axis(title="% of a request's time", low=0, high=100),
        note="Of the best layout of each tp, from its arrival to its last token.",
        **_STACKED,
    )


def _shares(cost: str, index: int, names: Sequence[str], shown: Sequence[Runnable]) -> Trace:
    shares = [one.service.shares[cost] for one in shown]
    return bars(
        cost,
        names,
        [share * 100 for share in shares],
        color=series_color(index),
        text=[f"{cost}: {percent(share)}" for share in shares],
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
    )
