"""A layout at one load, from the runs of its repeats."""

from __future__ import annotations

import pytest

from replicore.bench.stats.summary import Objectives
from replicore.bench.sweep.cells import Cell, cells_of, luck, requests_to_be_sure
from replicore.bench.sweep.entries import Run
from tests.unit.bench.sweep.made import plan, repeats, run


def cell(*runs: Run, slo: Objectives | None = None) -> Cell:
    (found,) = cells_of(plan("2x1"), runs, slo or Objectives())
    return found


def test_cell_has_the_mean_rate_of_its_repeats() -> None:
    found = cell(*repeats("2x1", [90.0, 100.0, 110.0]))

    assert (found.runs, found.rate) == (3, 100)
    assert found.rates == {0: 90.0, 1: 100.0, 2: 110.0}
    assert found.output_tokens_per_s is not None
    assert found.output_tokens_per_s.low == pytest.approx(75.16, abs=0.01)


def test_cell_pools_the_requests_of_all_repeats() -> None:
    found = cell(run(ttft_s=[0.1] * 20), run(ttft_s=[0.3] * 20, repeat=1))

    assert found.ttft_s.n == 40
    assert (found.ttft_s.min, found.ttft_s.max) == (0.1, 0.3)


def test_median_is_the_mean_of_the_repeats_with_their_interval() -> None:
    runs = [run(ttft_s=[ttft] * 20, repeat=index) for index, ttft in enumerate((0.09, 0.1, 0.11))]
    median = cell(*runs).ttft_p50

    # s = 0.01, as for the rates above: half the interval is 0.02484.
    assert (median.value, median.low, median.high) == pytest.approx(
        (0.1, 0.07516, 0.12484), abs=1e-5
    )


def test_median_of_one_run_has_the_interval_of_its_requests() -> None:
    # 0.01 to 1, in an order without a trend
    values = [0.01 * (37 * index % 100 + 1) for index in range(100)]
    median = cell(run(ttft_s=values, tpot_s=[None] * 100)).ttft_p50

    assert median.value == pytest.approx(0.505)
    assert median.low is not None
    assert 0.1 < median.low < 0.505


def test_median_of_few_requests_is_a_point_without_an_interval() -> None:
    median = cell(run(ttft_s=[0.1, 0.2, 0.3], tpot_s=[None] * 3)).ttft_p50

    assert (median.value, median.high) == (0.2, None)


def test_cells_are_in_the_order_of_the_plan() -> None:
    runs = [run("1x2", concurrency=4), run("2x1", concurrency=4), run("2x1", concurrency=1)]
    found = cells_of(plan("2x1,1x2", (1, 4)), runs, Objectives())

    assert [str(one) for one in found] == [
        "2x1 at 1 in flight",
        "2x1 at 4 in flight",
        "1x2 at 4 in flight",
    ]


def test_cell_counts_busy_cores_of_all_replicas() -> None:
    (found,) = cells_of(plan("2x4"), [run("2x4")], Objectives())

    assert found.cores == 8


def test_objective_is_met_where_99_of_100_are_within() -> None:
    slo = Objectives(ttft_s=0.2)
    met = cell(run(ttft_s=[0.1] * 99 + [0.5], tpot_s=[0.01] * 100), slo=slo)
    missed = cell(run(ttft_s=[0.1] * 98 + [0.5] * 2, tpot_s=[0.01] * 100), slo=slo)

    assert (met.meets, missed.meets) == (True, False)
    assert [one.share for one in met.attained] == [1, 0.99]


def test_request_that_failed_is_within_no_objective() -> None:
    column = [0.1] * 9 + [None]
    found = cell(
        run(ttft_s=column, tpot_s=column, errors={"cut": 1}), slo=Objectives(ttft_s=1, tpot_s=1)
    )

    assert [(one.name, one.within) for one in found.attained] == [
        ("answered", 9),
        ("TTFT", 9),
        ("TPOT", 9),
    ]
    assert (found.errors, found.requests, found.ttft_s.n) == (1, 10, 9)


def test_answer_of_one_token_is_within_the_objective_of_tpot() -> None:
    found = cell(run(tpot_s=[0.01] * 19 + [None]), slo=Objectives(tpot_s=0.02))

    assert found.attained[1].within == 20


def test_cell_without_an_answer_has_no_rate_and_meets_nothing() -> None:
    nothing = [None] * 20
    found = cell(run(rate=None, ttft_s=nothing, tpot_s=nothing))

    assert (found.rate, found.meets, found.ttft_p50.value) == (0, False, None)


def test_99_percent_is_sure_with_299_requests_and_not_with_298() -> None:
    few = cell(run(ttft_s=[0.1] * 298, tpot_s=[0.01] * 298)).attained[0]
    enough = cell(run(ttft_s=[0.1] * 299, tpot_s=[0.01] * 299)).attained[0]

    assert requests_to_be_sure() == 299
    assert (few.met, few.sure) == (True, False)
    assert (enough.met, enough.sure) == (True, True)


def test_luck_is_the_tail_of_a_binomial() -> None:
    # 0.99^2 + 2 x 0.99 x 0.01
    assert luck(1, 2) == pytest.approx(0.9999)
    assert luck(2, 2) == pytest.approx(0.9801)


def test_luck_of_many_requests_is_a_number() -> None:
    assert luck(99_100, 100_000) == pytest.approx(0.0007, abs=0.0005)


def test_cell_counts_the_verdicts_of_its_runs() -> None:
    found = cell(run(), run(repeat=1, verdict="CLIENT-BOUND"), run(repeat=2))

    assert found.verdicts == {"VALID": 2, "CLIENT-BOUND": 1}
