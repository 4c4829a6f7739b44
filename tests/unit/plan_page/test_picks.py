"""Which layouts of a plan are shown."""

from __future__ import annotations

from dataclasses import replace

from replicore.plan_page.picks import (
    Runnable,
    best_of_each_tp,
    front,
    memories,
    refused,
)
from replicore.planner.plan import Forecast
from replicore.units import GIB
from tests.unit.plan_page.plans import memory, outcome, plan, refusal, service


def layout(size: str, *, rate: float, ttft_s: float | None) -> Runnable:
    replicas, tp, batch_size = map(int, size.split("x"))
    found = replace(
        service(replicas, tp, batch_size),
        tokens_per_s=Forecast.of(rate, 0.1),
        ttft_s=None if ttft_s is None else Forecast.of(ttft_s, 0.1),
    )
    return Runnable(outcome=outcome(replicas, tp, batch_size, found), service=found)


def sizes(layouts: list[Runnable]) -> list[str]:
    return [one.outcome.size for one in layouts]


def test_front_has_only_layouts_that_none_beats_in_both() -> None:
    layouts = [
        layout("8x1x4", rate=900, ttft_s=0.4),
        layout("4x2x4", rate=700, ttft_s=0.2),
        layout("4x2x1", rate=600, ttft_s=0.3),  # slower and fewer than 4x2x4
        layout("1x8x4", rate=300, ttft_s=0.1),
    ]

    assert sizes(front(layouts, lambda s: s.ttft_s)) == ["1x8x4", "4x2x4", "8x1x4"]


def test_front_of_equal_latencies_is_the_highest_rate() -> None:
    layouts = [layout("1x2x1", rate=10, ttft_s=0.1), layout("2x1x1", rate=20, ttft_s=0.1)]

    assert sizes(front(layouts, lambda s: s.ttft_s)) == ["2x1x1"]


def test_front_leaves_out_a_layout_too_busy_for_a_latency() -> None:
    layouts = [layout("1x2x1", rate=10, ttft_s=0.1), layout("2x1x1", rate=20, ttft_s=None)]

    assert sizes(front(layouts, lambda s: s.ttft_s)) == ["1x2x1"]


def test_best_of_each_tp_is_the_first_in_the_plans_order() -> None:
    found = plan(outcome(4, 2, 4), outcome(8, 1, 4), outcome(4, 2, 1), refusal(1, 3, 1, "no"))

    assert sizes(best_of_each_tp(found)) == ["8x1x4", "4x2x4"]


def test_refused_layouts_are_told_by_tp_with_the_one_that_asks_for_least() -> None:
    found = plan(
        outcome(8, 1, 4),
        refusal(8, 1, 64, "too large"),
        refusal(8, 1, 16, "too large by less"),
        refusal(1, 3, 1, "heads"),
    )

    some, all_ = refused(found)
    assert (some.tp, some.count, some.nearest.size, some.entirely) == (1, 2, "8x1x16", False)
    assert (all_.tp, all_.nearest.refusal, all_.entirely) == (3, "heads", True)


def test_memory_of_a_tp_that_cannot_be_run_is_of_the_layout_closest_to_fitting() -> None:
    far, near = memory(1, 64), replace(memory(1, 1), weights=90 * GIB)
    found = plan(
        outcome(4, 2, 4),
        replace(refusal(8, 1, 64, "too large"), memory=replace(far, weights=200 * GIB)),
        replace(refusal(8, 1, 1, "too large"), memory=near),
        refusal(1, 3, 1, "heads"),
    )

    assert [one.size for one in memories(found)] == ["8x1x1", "4x2x4"]
