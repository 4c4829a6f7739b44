"""A run cut into equal times: hand-worked rows."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.report.charts.bins import bin_edges, in_flight, per_second, thinned


@pytest.mark.parametrize(
    ("end_s", "edges"),
    [
        (4.0, [0, 1, 2, 3, 4]),  # a width of exactly 4 / 4
        (4.1, [0, 2, 4.1]),  # 1.025 is rounded up to 2; the last 0.1 s belongs to the bin before
        (5.5, [0, 2, 4, 5.5]),  # 1.5 s is more than half a width
        (0.004, [0, 0.001, 0.002, 0.003, 0.004]),
        (1e6, [0, 5e5, 1e6]),
    ],
)
def test_bins_have_a_round_width_and_end_with_the_run(end_s: float, edges: list[float]) -> None:
    assert bin_edges(end_s, most=4) == pytest.approx(np.array(edges))


@pytest.mark.parametrize("end_s", [0.0, -1.0, float("nan")])
def test_bins_of_a_run_without_a_length_are_one(end_s: float) -> None:
    assert bin_edges(end_s).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("end_s", [0.013, 0.7, 3.3, 59.9, 61.0, 12345.6])
def test_bins_are_never_more_than_asked_nor_shorter_than_half_a_width(end_s: float) -> None:
    edges = bin_edges(end_s, most=100)
    widths = np.diff(edges)

    assert len(widths) <= 100
    assert edges[-1] == end_s
    assert widths[-1] > widths[0] / 2


def test_rate_of_a_bin_is_its_sum_over_its_own_length() -> None:
    rates = per_second(np.array([0.5, 1.5, 3.5]), np.array([2.0, 4.0, 3.0]), np.array([0, 2, 3.5]))

    # (2 + 4) / 2 s; 3 / 1.5 s: an arrival at the run's end is inside.
    assert rates.tolist() == [3.0, 2.0]


def test_requests_in_flight_are_weighted_by_time() -> None:
    found = in_flight(np.array([0.0, 1.0]), np.array([4.0, 2.0]), np.array([0.0, 2.0, 4.0]))

    # One from 0 to 4, another from 1 to 2: first (1 x 1 s + 2 x 1 s) / 2 s.
    assert found.tolist() == [1.5, 1.0]


def test_place_that_is_given_on_at_once_stays_taken() -> None:
    found = in_flight(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([0.0, 2.0]))

    assert found.tolist() == [1.0]


def test_bin_in_which_nothing_changes_keeps_the_level_before() -> None:
    found = in_flight(np.array([0.5]), np.array([3.5]), np.arange(5.0))

    assert found.tolist() == [0.5, 1.0, 1.0, 0.5]


def test_nothing_in_flight_is_zero() -> None:
    assert in_flight(np.array([]), np.array([]), np.array([0.0, 1.0, 2.0])).tolist() == [0.0, 0.0]


def test_few_values_are_all_drawn() -> None:
    assert thinned(np.array([3.0, 1.0, 2.0]), most=3).tolist() == [0, 1, 2]


def test_of_many_values_the_extremes_are_drawn() -> None:
    values = np.array([5.0, 9.0, 1.0, 4.0, 2.0, 3.0, 8.0, 7.0])

    # Two runs of four: 9 and 1, then 2 and 8.
    assert thinned(values, most=4).tolist() == [1, 2, 4, 6]
