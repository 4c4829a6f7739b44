"""Choices by what is believed: the pick, and what to measure next."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.planner.choose import Prospects, chance, choose, next_run


def prospects(
    value: list[float],
    meets: list[float],
    *,
    log_sd: float = 0.1,
    measured: tuple[int, ...] = (),
) -> Prospects:
    return Prospects(
        value=np.array(value),
        log_sd=np.full(len(value), log_sd),
        meets=np.array(meets),
        measured=np.array([place in measured for place in range(len(value))]),
    )


def test_chance_at_the_median_is_a_half() -> None:
    seconds, log_sd = np.array([0.01, 0.02]), np.array([0.1, 0.1])
    assert chance(seconds, log_sd, 0.02) == pytest.approx([1.0, 0.5], abs=1e-6)


def test_chance_at_one_standard_deviation_is_that_of_the_normal_distribution() -> None:
    found = chance(np.array([0.01]), np.array([0.1]), 0.01 * np.exp(0.1))
    assert found == pytest.approx([0.8413], abs=1e-4)


def test_no_limit_is_always_met() -> None:
    assert (chance(np.array([1.0, 9.0]), np.ones(2), None) == 1.0).all()


def test_certain_time_is_within_its_limit_or_is_not() -> None:
    assert chance(np.array([1.0, 3.0]), np.zeros(2), 2.0) == pytest.approx([1.0, 0.0])


def test_best_safe_candidate_is_picked() -> None:
    pick = choose(prospects([100, 90, 50], [0.6, 0.95, 1.0]), risk=0.1)
    assert (pick.index, pick.meets) == (1, 0.95)
    assert pick.worth == pytest.approx(85.5)


def test_worth_counts_the_risk_among_safe_ones() -> None:
    # 100 x 0.90 = 90 is less than 95 x 0.99 = 94.
    assert choose(prospects([100, 95], [0.90, 0.99]), risk=0.1).index == 1


def test_no_safe_candidate_leaves_the_likeliest() -> None:
    assert choose(prospects([100, 10], [0.2, 0.4]), risk=0.1).index == 1


def test_unmeasured_pick_is_run_first() -> None:
    run = next_run(prospects([100, 90], [0.95, 0.95]), risk=0.1)
    assert run is not None
    assert (run.index, run.gain) == (0, np.inf)


def test_candidate_that_may_be_better_than_the_measured_pick_is_run_next() -> None:
    run = next_run(prospects([100, 95, 40], [1.0, 0.95, 1.0], measured=(0,)), risk=0.1)
    assert run is not None
    assert run.index == 1
    assert 0.1 < run.beats < 0.5


def test_candidate_is_no_better_than_its_chance_to_meet_the_limits() -> None:
    run = next_run(prospects([100, 500], [1.0, 0.3], measured=(0,)), risk=0.1)
    assert run is not None
    assert run.beats == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("value", "meets"),
    [([100, 50], [1.0, 1.0]), ([100, 500], [1.0, 0.01]), ([100], [1.0])],
    ids=["worse", "breaks the limit", "alone"],
)
def test_search_ends_where_nothing_is_likely_to_be_better(
    value: list[float], meets: list[float]
) -> None:
    assert next_run(prospects(value, meets, measured=(0,)), risk=0.05) is None


def test_measured_candidate_that_broke_a_limit_is_not_the_one_to_beat() -> None:
    run = next_run(prospects([100, 50], [0.0, 0.9], measured=(0,)), risk=0.05)
    assert run is not None
    assert (run.index, run.beats) == (1, 0.9)


def test_expected_gain_is_that_of_a_log_normal_objective() -> None:
    run = next_run(prospects([100, 110], [1.0, 1.0], log_sd=0.2, measured=(0,)), risk=0.05)
    draws = 110 * np.exp(np.random.default_rng(0).normal(0, 0.2, 200_000))
    assert run is not None
    assert run.gain == pytest.approx(np.maximum(draws / 100 - 1, 0).mean(), rel=0.02)
