"""What a sweep measures and in which order."""

from __future__ import annotations

import pytest

from replicore.bench.sweep.plan import (
    Arm,
    Point,
    SweepPlan,
    SweptLayout,
    arms_of,
    parse_concurrencies,
    parse_layouts,
)
from replicore.errors import ConfigError
from tests.unit.bench.sweep.made import plan


def order(of: SweepPlan) -> list[tuple[str, int, tuple[int, ...]]]:
    return [(str(visit.layout), visit.repeat, visit.concurrencies) for visit in of.visits()]


def test_every_other_repeat_visits_layouts_and_loads_in_the_reverse_order() -> None:
    assert order(plan("2x1,1x2", (1, 8), repeats=3)) == [
        ("2x1", 0, (1, 8)),
        ("1x2", 0, (1, 8)),
        ("1x2", 1, (8, 1)),
        ("2x1", 1, (8, 1)),
        ("2x1", 2, (1, 8)),
        ("1x2", 2, (1, 8)),
    ]


def test_points_that_are_done_are_not_visited_again() -> None:
    done = {Point("2x1", 1, 0), Point("2x1", 8, 0), Point("1x2", 1, 0)}
    visits = list(plan("2x1,1x2", (1, 8), repeats=1).visits(done))

    assert [(str(v.layout), v.concurrencies) for v in visits] == [("1x2", (8,))]


def test_plan_that_is_all_done_has_no_visit() -> None:
    whole = plan(repeats=2)

    assert list(whole.visits(set(whole.points()))) == []


def test_layouts_get_the_same_prompts_in_one_repeat_at_one_load() -> None:
    whole = plan()

    assert whole.seed_of(Point("2x1", 4, 0)) == whole.seed_of(Point("1x2", 4, 0))


def test_no_two_repeats_or_loads_have_the_same_prompts() -> None:
    whole = plan()
    seeds = {whole.seed_of(Point("2x1", c, r)) for c in (1, 4, 8) for r in range(5)}

    assert len(seeds | {whole.warm_seed}) == 3 * 5 + 1


def test_another_seed_gives_other_prompts() -> None:
    point = Point("2x1", 4, 0)

    assert plan().with_seed(8).seed_of(point) != plan().seed_of(point)


def test_run_has_ten_requests_for_each_in_flight_at_least() -> None:
    whole = plan()  # 20 requests

    assert [whole.requests_at(c) for c in (1, 2, 8)] == [20, 20, 80]


def test_scaling_adds_one_replica_alone_at_its_share_of_the_load() -> None:
    arms = arms_of([SweptLayout(4, 2)], [1, 4, 8], scaling=True)

    assert arms == (
        Arm(SweptLayout(4, 2), (1, 4, 8)),
        Arm(SweptLayout(1, 2), (1, 2), baseline=True),
    )


def test_layout_of_one_replica_that_is_asked_for_is_no_baseline() -> None:
    arms = arms_of([SweptLayout(2, 1), SweptLayout(1, 1)], [8], scaling=True)

    assert arms == (Arm(SweptLayout(2, 1), (8,)), Arm(SweptLayout(1, 1), (4, 8)))


def test_scaling_measures_nothing_alone_where_no_load_can_be_shared() -> None:
    assert arms_of([SweptLayout(2, 1)], [1, 3], scaling=True) == (Arm(SweptLayout(2, 1), (1, 3)),)


def test_one_replica_alone_keeps_the_slots_of_its_layout() -> None:
    arms = arms_of([SweptLayout(2, 1, 8)], [4], scaling=True)

    assert arms[1].layout == SweptLayout(1, 1, 8)


@pytest.mark.parametrize("text", ["1x2,2x1", " 1x2 , 2x1 "])
def test_layouts_are_read_from_text(text: str) -> None:
    assert parse_layouts(text) == (SweptLayout(1, 2), SweptLayout(2, 1))


def test_layout_with_slots_is_written_as_it_was_read() -> None:
    (layout,) = parse_layouts("2x1x8")

    assert (layout, str(layout)) == (SweptLayout(2, 1, 8), "2x1x8")


def test_loads_are_read_from_text_and_sorted() -> None:
    assert parse_concurrencies("8, 1,4") == (1, 4, 8)


# SAD PATH


@pytest.mark.parametrize(
    "text", ["", "2", "2x", "x2", "0x1", "2x1x", "2*1", "2x1,,1x2", "auto,1x2"]
)
def test_text_that_is_no_layout_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no layout; write REPLICASxTP, such as 2x8"):
        parse_layouts(text)


def test_layout_that_is_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match='"1x2,1x2" names 1x2 twice; write it once'):
        parse_layouts("1x2,1x2")


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "four", "1,,2", "²", "1000001"])
def test_text_that_is_no_load_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no number of requests in flight; write whole"):
        parse_concurrencies(text)


def test_load_that_is_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match='"4,4" names 4 twice'):
        parse_concurrencies("4,4")
