"""Curves with censored values, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.stats.survival import KaplanMeier, Seen, curve_of

# At 1, 2, 4 seen, at 3 and 5 cut short. Of 5, 4 and 2 at risk:
# S = 4/5, 4/5 x 3/4 = 3/5, 3/5 x 1/2 = 3/10.
VALUES = np.array([4.0, 3.0, 1.0, 5.0, 2.0])
CENSORED = np.array([False, True, False, True, False])


@pytest.mark.parametrize(
    ("p", "value"), [(0.2, 1.0), (0.4, 2.0), (0.41, 4.0), (0.7, 4.0), (0.71, None)]
)
def test_quantile_is_where_so_many_have_ended(p: float, value: float | None) -> None:
    assert KaplanMeier(VALUES, CENSORED).value(p) == value


def test_leaving_unfinished_requests_out_would_make_the_tail_short() -> None:
    # Nine of ten took 1 s; one was given up after 60 s. Its p95 is not 1 s: nobody knows it.
    values, cut = np.array([1.0] * 9 + [60.0]), np.array([False] * 9 + [True])

    assert Seen(values[~cut]).value(0.95) == 1.0
    assert KaplanMeier(values, cut).value(0.95) is None


def test_request_cut_short_before_all_others_says_nothing() -> None:
    values, cut = np.array([0.0, 1.0, 2.0]), np.array([True, False, False])
    curve = KaplanMeier(values, cut)

    assert (curve.value(0.5), curve.value(1.0)) == (1.0, 2.0)


def test_request_cut_short_when_another_ended_lasted_longer() -> None:
    # Both at 1: the seen one ends among 2, the other one is censored after it. S = 1/2.
    values, cut = np.array([1.0, 1.0]), np.array([True, False])

    assert KaplanMeier(values, cut).value(0.5) == 1.0
    assert KaplanMeier(values, cut).value(0.51) is None


def test_size_of_a_curve_without_censoring_is_the_number_of_values() -> None:
    curve = KaplanMeier(np.arange(1.0, 101.0), np.zeros(100, dtype=np.bool_))

    assert curve.size(0.5) == pytest.approx(100)


def test_size_shrinks_by_what_was_cut_short_before() -> None:
    # Greenwood to the median at 4: 1/(5 x 4) + 1/(4 x 3) + 1/(2 x 1) = 0.6333; with p = 0.5 that
    # is worth 0.5 / (0.5 x 0.6333) = 1.579 values.
    assert KaplanMeier(VALUES, CENSORED).size(0.5) == pytest.approx(1.5789, abs=1e-4)


def test_mean_is_the_area_under_the_curve() -> None:
    # At 1 and 3 seen, at 2 cut short: S = 2/3 from 1 to 3, then 0. Area 1 + 2 x 2/3.
    curve = KaplanMeier(np.array([1.0, 2.0, 3.0]), np.array([False, True, False]))

    assert curve.mean() == pytest.approx(7 / 3)


def test_mean_of_values_whose_largest_was_cut_short_is_unknown() -> None:
    assert KaplanMeier(VALUES, CENSORED).mean() is None


@pytest.mark.parametrize(
    ("values", "p", "expected"),
    [
        # h = (n - 1) p: of one value every percentile is the value
        ([4.0], 0.99, 4.0),
        # h = 0.9 between 0 and 10
        ([10.0, 0.0], 0.9, 9.0),
        # h = 2, 3.6, 3.96 of 1..5
        ([5.0, 1.0, 4.0, 2.0, 3.0], 0.5, 3.0),
        ([5.0, 1.0, 4.0, 2.0, 3.0], 0.9, 4.6),
        ([5.0, 1.0, 4.0, 2.0, 3.0], 0.99, 4.96),
    ],
)
def test_quantiles_of_seen_values_interpolate(
    values: list[float], p: float, expected: float
) -> None:
    assert Seen(np.array(values)).value(p) == pytest.approx(expected)


def test_rank_is_a_share_of_one_more_than_the_values() -> None:
    # Rank 0.5 x (3 + 1) = 2 of 10, 20, 40; 0.625 x 4 = 2.5 is halfway to the third.
    curve = Seen(np.array([40.0, 10.0, 20.0]))

    assert (curve.ranked(0.5), curve.ranked(0.625)) == (20.0, 30.0)


def test_curve_knows_whether_something_was_cut_short() -> None:
    assert isinstance(curve_of(VALUES, CENSORED), KaplanMeier)
    assert isinstance(curve_of(VALUES, np.zeros(5, dtype=np.bool_)), Seen)
