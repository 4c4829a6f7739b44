"""Which layout is best, how sure that is, and what more replicas bring."""

from __future__ import annotations

import pytest

from replicore.bench.stats.summary import Objectives
from replicore.bench.sweep.cells import Cell, cells_of
from replicore.bench.sweep.entries import Run
from replicore.bench.sweep.plan import SweepPlan
from replicore.bench.sweep.ranking import find_winner, pareto_front, scalings
from tests.unit.bench.sweep.made import plan, repeats, run


def cells(runs: list[Run], of: SweepPlan | None = None, ttft_s: float | None = None) -> list[Cell]:
    return list(cells_of(of or plan(), runs, Objectives(ttft_s=ttft_s)))


def test_layout_with_the_highest_rate_wins() -> None:
    runs = repeats("2x1", [150, 151, 149]) + repeats("1x2", [100, 101, 99])
    winner = find_winner(cells(runs))

    assert winner is not None
    assert (winner.layout, winner.rate, winner.clear) == ("2x1", 150, True)
    (other,) = winner.others
    assert other.layout == "1x2"
    assert other.value == pytest.approx(1.5, abs=1e-3)
    assert winner.confidence == pytest.approx(1, abs=0.001)


def test_difference_within_the_noise_is_not_clear() -> None:
    runs = repeats("2x1", [100, 140, 80]) + repeats("1x2", [100, 80, 130])
    winner = find_winner(cells(runs))

    assert winner is not None
    assert (winner.layout, winner.clear) == ("2x1", False)
    assert winner.confidence is not None
    assert 0.5 < winner.confidence < 0.9


def test_noise_that_both_layouts_have_in_a_repeat_does_not_hide_the_difference() -> None:
    runs = repeats("2x1", [150, 75, 300]) + repeats("1x2", [100, 50, 201])
    winner = find_winner(cells(runs))

    assert winner is not None
    assert winner.clear


def test_faster_layout_that_misses_the_objective_does_not_win() -> None:
    runs = repeats("2x1", [150, 151, 149], ttft_s=[0.9] * 20) + repeats("1x2", [100, 101, 99])
    winner = find_winner(cells(runs, ttft_s=0.5))

    assert winner is not None
    assert (winner.layout, winner.others, winner.confidence) == ("1x2", (), 1)


def test_layout_may_win_at_a_lower_load_than_its_fastest() -> None:
    wide = plan("2x1,1x2", (1, 8))
    runs = [
        *repeats("2x1", [150, 151, 149], concurrency=8, ttft_s=[0.9] * 20),
        *repeats("2x1", [60, 61, 59], concurrency=1),
        *repeats("1x2", [50, 51, 49], concurrency=8),
    ]
    winner = find_winner(cells(runs, wide, ttft_s=0.5))

    assert winner is not None
    assert (winner.layout, winner.concurrency) == ("2x1", 1)


def test_nobody_wins_where_no_layout_meets_the_objective() -> None:
    assert find_winner(cells(repeats("2x1", [150, 151]), ttft_s=0.05)) is None


def test_layout_with_failed_requests_does_not_win() -> None:
    failing = [0.1] * 18 + [None] * 2
    runs = repeats("2x1", [150, 151], ttft_s=failing) + repeats("1x2", [100, 101])
    winner = find_winner(cells(runs))

    assert winner is not None
    assert winner.layout == "1x2"


def test_one_run_each_names_a_winner_without_confidence() -> None:
    winner = find_winner(cells([run("2x1", 150), run("1x2", 100)]))

    assert winner is not None
    assert (winner.layout, winner.confidence, winner.clear) == ("2x1", None, False)


def test_several_rivals_cost_confidence() -> None:
    of = plan("4x1,2x2,1x4")
    runs = repeats("4x1", [100, 104, 99]) + repeats("2x2", [96, 100, 97])
    few = find_winner(cells(runs, of))
    more = find_winner(cells([*runs, *repeats("1x4", [96, 100, 97])], of))

    assert few is not None
    assert more is not None
    assert few.confidence is not None
    assert more.confidence == pytest.approx(2 * few.confidence - 1)
    assert more.others[0].p_value == pytest.approx(2 * (few.others[0].p_value or 0))


def test_one_replica_alone_cannot_win() -> None:
    of = plan("2x1", (8,), scaling=True)
    runs = repeats("2x1", [90, 91, 92], concurrency=8) + repeats("1x1", [99, 99, 98])
    winner = find_winner(cells(runs, of))

    assert winner is not None
    assert winner.layout == "2x1"


def test_front_has_what_no_other_beats_in_both() -> None:
    of = plan("2x1,1x2", (1, 4))
    runs = [
        run("2x1", 60, concurrency=1, ttft_s=[0.1] * 20),
        run("2x1", 150, concurrency=4, ttft_s=[0.5] * 20),
        run("1x2", 50, concurrency=1, ttft_s=[0.05] * 20),
        run("1x2", 100, concurrency=4, ttft_s=[0.6] * 20),
    ]

    assert [str(one) for one in pareto_front(cells(runs, of))] == [
        "1x2 at 1 in flight",
        "2x1 at 1 in flight",
        "2x1 at 4 in flight",
    ]


def test_front_of_equal_ttft_has_only_the_faster() -> None:
    runs = [run("2x1", 60), run("1x2", 70)]

    assert [one.layout for one in pareto_front(cells(runs))] == ["1x2"]


def test_scaling_is_the_rate_over_that_of_one_alone_times_the_replicas() -> None:
    of = plan("2x1", (8,), scaling=True)
    runs = repeats("2x1", [180, 180, 180], concurrency=8) + repeats("1x1", [100, 100, 100])
    (found,) = scalings(of, cells(runs, of))

    assert (found.layout, found.alone, found.alone_concurrency) == ("2x1", "1x1", 4)
    assert (found.efficiency, found.low, found.high) == pytest.approx((0.9, 0.9, 0.9))


def test_scaling_of_one_run_each_has_no_interval() -> None:
    of = plan("2x1", (8,), scaling=True)
    (found,) = scalings(of, cells([run("2x1", 180, concurrency=8), run("1x1", 100)], of))

    assert (found.efficiency, found.low) == (0.9, None)


def test_scaling_needs_the_single_replica() -> None:
    of = plan("2x1", (8,), scaling=True)

    assert scalings(of, cells([run("2x1", 180, concurrency=8)], of)) == ()
