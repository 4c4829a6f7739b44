"""The 95 % intervals hold the truth as often as they say: here, and in the checked-in result."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks.interval_coverage import (
    Count,
    ar1,
    closed_loop,
    covered_ar1,
    in_band,
    is_judged,
    lognormal_truth,
)
from benchmarks.result_file import RESULTS
from replicore.bench.stats.summary import summarize

RESULT = RESULTS / "interval_coverage.json"
TRIALS = 400


@pytest.fixture(name="counts", scope="module")
def shared_counts() -> dict[str, Count]:
    return covered_ar1(TRIALS, 400, 0.5, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("number", ["mean", "p50", "p90", "p95"])
def test_intervals_of_correlated_latencies_hold_the_truth(
    counts: dict[str, Count], number: str
) -> None:
    # Of 400 runs 95 % are 380, with a standard deviation of 4.4: 92 to 98 % are within three.
    found = counts[number].row(TRIALS)

    assert isinstance(found["coverage"], float)
    assert 0.92 <= found["coverage"] <= 0.98


def test_neighbours_of_the_simulated_series_correlate_as_asked() -> None:
    (series,) = ar1(1, 20_000, 0.8, np.random.default_rng(1))

    assert np.corrcoef(series[1:], series[:-1])[0, 1] == pytest.approx(0.8, abs=0.02)
    assert series.std() == pytest.approx(1.0, abs=0.05)


def test_simulated_run_keeps_its_places_taken() -> None:
    summary = summarize(closed_loop(400, 0.5, 0.5, np.random.default_rng(1)))

    assert summary.window.steady
    assert summary.client.full_share == pytest.approx(1.0)
    assert summary.little is not None
    assert summary.little.holds


def test_truth_of_the_lognormal_is_closed() -> None:
    # exp(0.5^2 / 2), exp(0), exp(0.5 x 1.2816)
    truth = lognormal_truth(0.5)

    assert (truth["mean"], truth["p50"], truth["p90"]) == pytest.approx((1.1331, 1.0, 1.898), 1e-3)


def test_intervals_above_and_below_the_truth_are_told_apart() -> None:
    count = Count(truth=1.0)
    for low, high in ((0.5, 1.5), (1.1, 2.0), (0.1, 0.9), (None, None)):
        count.add(low, high, effective=10.0)

    row = count.row(4)
    assert (row["carried"], row["coverage"]) == (0.75, 0.3333)
    assert (row["interval_above"], row["interval_below"]) == (0.3333, 0.3333)


@pytest.mark.parametrize(("coverage", "within"), [(0.93, True), (0.9299, False), (0.971, False)])
def test_cell_is_in_the_band(coverage: float, within: bool) -> None:
    assert in_band({"coverage": coverage}) is within


@pytest.mark.parametrize(
    ("hard", "carried", "judged"), [(False, 0.9, True), (False, 0.89, False), (True, 1.0, False)]
)
def test_cell_is_judged_where_most_runs_have_an_interval(
    hard: bool, carried: float, judged: bool
) -> None:
    assert is_judged({"hard": hard, "carried": carried}) is judged


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(RESULT.read_text())["rows"]
    return found


def test_checked_in_intervals_hold_the_truth_in_93_to_97_of_100_runs() -> None:
    judged = [row for row in rows() if is_judged(row)]

    assert len(judged) > 50
    assert [row for row in judged if not in_band(row)] == []


def test_checked_in_cells_are_of_every_queue() -> None:
    assert {row["case"] for row in rows()} == {"ar1", "queue", "closed loop", "ratio"}
