"""The fit finds factors that are there to be found, and keeps the prior where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.planner.prediction.fit import Array, Factors, fit_factors, prior_factors

TRUE = np.array([1.2, 3.0, 0.5])
PRIOR = prior_factors(np.ones(3), np.full(3, 1.0))


def terms(rows: int = 60, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(0.1, 10.0, (rows, 3))


def fit(rows: Array, seconds: Array, prior: Factors = PRIOR) -> Factors:
    return fit_factors(rows, seconds, prior, spread=0.05)


def test_factors_of_exact_times_are_found() -> None:
    found = fit(terms(), terms() @ TRUE)
    assert found.values == pytest.approx(TRUE, rel=0.02)


def test_factor_that_the_data_do_not_tell_stays_at_its_prior() -> None:
    rows = terms()
    rows[:, 2] = 0.0
    found = fit(rows, rows @ TRUE)
    assert found.values[2] == pytest.approx(1.0)
    assert found.covariance[2, 2] == pytest.approx(1.0)


def test_few_odd_rows_do_not_decide() -> None:
    seconds = terms() @ TRUE
    seconds[::10] *= 5
    assert fit(terms(), seconds).values == pytest.approx(TRUE, rel=0.05)


def test_factors_are_positive_where_least_squares_would_have_a_negative_one() -> None:
    rows = terms()
    seconds = rows @ np.array([1.0, 1.0, -0.2])
    assert np.linalg.lstsq(rows, seconds)[0][2] < 0
    assert (fit(rows, seconds).values > 0).all()


def test_factor_stays_at_its_bound_and_the_others_make_up_for_it() -> None:
    seconds = terms() @ TRUE
    least = np.array([0.0, 0.0, 1.0])
    found = fit_factors(terms(), seconds, PRIOR, spread=0.05, least=least)
    assert found.values[2] == pytest.approx(1.0)
    assert found.values[1] < TRUE[1]


def test_bound_that_is_not_reached_changes_nothing() -> None:
    least = np.array([0.1, 0.1, 0.1])
    found = fit_factors(terms(), terms() @ TRUE, PRIOR, spread=0.05, least=least)
    assert found.values == pytest.approx(TRUE, rel=0.02)


def test_more_rows_leave_less_uncertainty() -> None:
    few = fit(terms(5), terms(5) @ TRUE)
    many = fit(terms(200), terms(200) @ TRUE)
    assert np.all(np.diag(many.covariance) < np.diag(few.covariance))


def test_row_without_weight_counts_for_nothing() -> None:
    seconds = terms() @ TRUE
    odd = seconds.copy()
    odd[:30] *= 2
    weights = np.repeat([0.0, 1.0], 30)
    found = fit_factors(terms(), odd, PRIOR, spread=0.05, weights=weights)
    assert found.values == pytest.approx(TRUE, rel=0.05)


def test_shares_of_a_time_sum_to_one() -> None:
    factors = prior_factors(TRUE, np.ones(3))
    shares = factors.shares(np.array([[1.0, 1.0, 2.0]]))
    assert shares[0] == pytest.approx([1.2 / 5.2, 3.0 / 5.2, 1.0 / 5.2])


def test_uncertainty_of_a_time_is_that_of_its_only_term() -> None:
    factors = prior_factors(TRUE, np.array([0.1, 0.2, 0.3]))
    assert factors.log_sd(np.array([[0.0, 4.0, 0.0]])) == pytest.approx([0.2])
