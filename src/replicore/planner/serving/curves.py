"""TTFT and TPOT of a replica by the number of sequences it works on. Pure.

All layouts of one tp share a curve: what a replica does depends on what runs on it, not on how many
replicas there are. Where they share a memory's bandwidth it does, and where the batch is compiled
in; then each has its own. All curves of a plan are predicted at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from replicore.hardware.device import Device
from replicore.planner.layouts import Layout
from replicore.planner.prediction.fit import Array
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.question import Question
from replicore.planner.serving.costs import tpot_costs, ttft_costs
from replicore.planner.step.replica import Replica, StaticBatch
from replicore.planner.step.traffic import Case, Traffic

# Device, tp, and the batch where it is compiled in.
Key = tuple[Device, int, int | None]

# Points between two doublings of the sequences; times are smooth in between.
_POINTS = 2

# Columns of a row before those that there is one of for each cost.
_SCALARS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """A replica that works on so many sequences; costs in the order of ``COSTS``.

    Attributes:
        tpot_log_sd: Of measured over predicted, as a logarithm; ``ttft_log_sd`` likewise.
        tpot_shares: Shape (costs,).
        ttft_steady_s: Of each cost, whatever the load. Shape (costs,).
        ttft_closed_s: What a closed loop adds. Shape (costs,).
    """

    tpot_s: float
    tpot_log_sd: float
    ttft_log_sd: float
    tpot_shares: Array
    ttft_steady_s: Array
    ttft_closed_s: Array


class Curve:
    """Times of one replica over the sequences it works on.

    Args:
        running: Sequences, ascending.
        rows: At each, the numbers of :class:`At` one after another.
    """

    def __init__(
        self, replica: Replica, running: Sequence[float], rows: Array, *, output_tokens: float
    ) -> None:
        self.replica = replica
        self._running = running
        self._rows = rows
        seconds = rows[:, 0] * (output_tokens - 1) + _steady(rows).sum(axis=1)
        # More sequences never give fewer requests a second: then fewer are let in.
        self._rates = np.maximum.accumulate(np.array(running) / seconds)

    def rate_at(self, running: float) -> float:
        """Return the requests a second that end while so many are worked on, without a queue."""
        return float(np.interp(running, self._running, self._rates))

    def running_at(self, rate_per_s: float) -> float:
        """Return how many sequences are worked on at a rate; fewer than 1 at a low one."""
        if rate_per_s <= self._rates[0]:
            return float(rate_per_s / self._rates[0])
        return float(np.interp(rate_per_s, self._rates, self._running))

    def at(self, running: float) -> At:
        """Return the times at a number of sequences, interpolated within the grid."""
        row = self._row(running)
        tpot, tpot_sd, ttft_sd = (float(number) for number in row[:_SCALARS])
        shares, steady, closed = np.split(row[_SCALARS:], 3)
        return At(
            tpot_s=tpot,
            tpot_log_sd=tpot_sd,
            ttft_log_sd=ttft_sd,
            tpot_shares=shares,
            ttft_steady_s=steady,
            ttft_closed_s=closed,
        )

    def _row(self, running: float) -> Array:
        known = self._running
        end = bisect_right(known, running)
        if end in (0, len(known)):
            return np.asarray(self._rows[max(0, end - 1)])
        share = (running - known[end - 1]) / (known[end] - known[end - 1])
        return np.asarray((1 - share) * self._rows[end - 1] + share * self._rows[end])


def _steady(rows: Array) -> Array:
    costs = (rows.shape[1] - _SCALARS) // 3
    return rows[:, _SCALARS + costs : _SCALARS + 2 * costs]


class Curves:
    """The curves of all layouts of a question."""

    def __init__(self, question: Question, predictor: Predictor, layouts: Iterable[Layout]) -> None:
        self._question = question
        most: dict[Key, int] = {}
        for layout in layouts:
            key = _key(question, layout)
            most[key] = max(most.get(key, 1), layout.batch_size)
        self._curves = _predict(question, predictor, most) if most else {}

    def of(self, layout: Layout) -> Curve:
        return self._curves[_key(self._question, layout)]


def _key(question: Question, layout: Layout) -> Key:
    device = question.cores.sheet.device(layout.replicas * layout.tp)
    return device, layout.tp, None if question.static is None else layout.batch_size


def _predict(question: Question, predictor: Predictor, most: Mapping[Key, int]) -> dict[Key, Curve]:
    grids = [grid(batch_size) for batch_size in most.values()]
    replicas = [_replica(question, key) for key in most]
    cases = [
        case_of(question, replica, running)
        for replica, running_grid in zip(replicas, grids, strict=True)
        for running in running_grid
    ]
    rows = _rows(predictor, cases)
    ends = np.cumsum([0, *map(len, grids)])
    return {
        key: Curve(
            replica,
            running_grid,
            rows[start:end],
            output_tokens=question.output_tokens.mean,
        )
        for key, replica, running_grid, (start, end) in zip(
            most, replicas, grids, pairwise(ends), strict=True
        )
    }


def _rows(predictor: Predictor, cases: Sequence[Case]) -> Array:
    tpot = predictor.tpot(cases)
    ttft = predictor.ttft(cases, tpot.seconds)
    steady, closed = ttft_costs(ttft.shares)
    return np.column_stack(
        [
            tpot.seconds,
            tpot.log_sd,
            ttft.log_sd,
            tpot_costs(tpot.shares),
            steady * ttft.seconds[:, None],
            closed * ttft.seconds[:, None],
        ]
    )


def grid(most: int) -> list[float]:
    """Return numbers of sequences from 1 to ``most``, as many in each doubling."""
    steps = np.geomspace(1, most, 1 + _POINTS * max(0, most - 1).bit_length())
    return sorted({float(step) for step in steps})


def case_of(question: Question, replica: Replica, concurrency: float) -> Case:
    traffic = Traffic(
        input_tokens=question.input_tokens.mean,
        output_tokens=question.output_tokens.mean,
        concurrency=concurrency,
    )
    return Case(replica=replica, traffic=traffic)


def replica_of(question: Question, layout: Layout) -> Replica:
    """Return one replica of a layout."""
    return _replica(question, _key(question, layout))


def _replica(question: Question, key: Key) -> Replica:
    device, tp, batch_size = key
    rank_cores = question.cores.rank_cores
    replica = Replica(
        device=device,
        engine=question.engine,
        anatomy=question.anatomy,
        precision=question.precision,
        tp=tp,
        rank_cores=tp if rank_cores is None else rank_cores,
    )
    if question.static is None or batch_size is None:
        return replica
    static = StaticBatch(
        batch_size=batch_size,
        max_model_len=question.max_model_len,
        prompt_tokens=question.static.prompt_tokens,
    )
    return replace(replica, static=static)
