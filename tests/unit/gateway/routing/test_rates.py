from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.gateway.routing.rates import FleetRates, Rates, fit_step, weighted_median


def learn_steps(
    rates: Rates, step_s: float, *, many: int = 4, count: int = 10, at: float = 0.0
) -> None:
    for number in range(count):
        rates.learn_step(step_s, many, at + 10 * number)


def learn_prefills(rates: Rates, rate: float, *, count: int = 10, at: float = 0.0) -> None:
    for number in range(count):
        rates.learn_prefill(rate, 1.0, at + 10 * number, last=True)


def step_s(rates: Rates, many: int) -> float:
    return rates.step_base_s + rates.step_slope_s * many


def test_weighted_median_is_where_half_of_the_weight_lies() -> None:
    assert weighted_median([(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]) == 2.0
    assert weighted_median([(1.0, 1.0), (2.0, 1.0), (3.0, 9.0)]) == 3.0
    assert weighted_median([(5.0, 1.0)]) == 5.0


def test_short_prompts_that_look_slow_weigh_little() -> None:
    rates = FleetRates().join()
    for now in range(5):
        rates.learn_prefill(4, 0.02, now, last=True)
    rates.learn_prefill(4000, 1.0, 9.0, last=True)

    assert rates.prefill_rate == 4000


def test_one_first_token_that_came_late_moves_nothing() -> None:
    rates = FleetRates().join()
    learn_prefills(rates, 1000)
    rates.learn_prefill(1000, 60.0, 1000.0, last=True)

    assert rates.prefill_rate == 1000


def test_short_stretches_without_a_pause_are_joined() -> None:
    rates = FleetRates().join()
    rates.learn_prefill(100, 1.0, 1.0, last=False)
    rates.learn_prefill(100, 0.0, 1.0, last=True)

    assert rates.prefill_rate == 200


def test_long_stretch_is_a_sample_before_the_pause() -> None:
    rates = FleetRates().join()
    rates.learn_prefill(3000, 1.0, 1.0, last=False)

    assert rates.prefill_rate == 3000


def test_fresh_replica_has_the_rates_of_the_others() -> None:
    fleet = FleetRates()
    old = fleet.join()
    learn_prefills(old, 300)
    learn_steps(old, 0.5)
    fresh = fleet.join()

    assert fresh.prefill_rate == 300
    assert step_s(fresh, 4) == pytest.approx(0.5)


def test_replicas_that_are_nearly_alike_have_exactly_the_same_rates() -> None:
    fleet = FleetRates()
    replicas = [fleet.join(), fleet.join()]
    for rates, factor in zip(replicas, (0.95, 1.05), strict=True):
        learn_prefills(rates, 1000 * factor)
        learn_steps(rates, 0.05 * factor)

    one, other = ((r.prefill_rate, r.step_base_s, r.step_slope_s) for r in replicas)
    assert one == other


def test_replica_that_is_far_slower_has_its_own_rates() -> None:
    fleet = FleetRates()
    fast, slow = fleet.join(), fleet.join()
    for turn in range(4):
        for rates, factor in ((fast, 1.0), (slow, 4.0)):
            learn_prefills(rates, 1000 / factor, at=1000 * turn)
            learn_steps(rates, 0.05 * factor, at=1000 * turn)

    assert fast.prefill_rate == 4 * slow.prefill_rate
    assert step_s(slow, 4) == pytest.approx(4 * step_s(fast, 4))


def test_few_samples_of_its_own_do_not_make_a_replica_different() -> None:
    fleet = FleetRates()
    fleet_sample, fresh = fleet.join(), fleet.join()
    learn_steps(fleet_sample, 0.05, count=40)
    learn_steps(fresh, 5.0, count=3)

    assert fresh.step_base_s == fleet_sample.step_base_s


def test_later_samples_count_once_a_second() -> None:
    rates = FleetRates().join()
    seen = []
    for now in (0.0, 0.5, 0.9, 1.1):
        for _ in range(20):
            rates.learn_prefill(100 + now, 1.0, now, last=True)
        seen.append(rates.prefill_rate)

    assert seen[0] == seen[1] == seen[2] == 100.0
    assert seen[3] > 100.0


def test_replica_that_is_gone_is_not_kept() -> None:
    fleet = FleetRates()
    gone, present = fleet.join(), fleet.join()
    learn_prefills(gone, 300)
    fleet.leave(gone)
    learn_prefills(present, 900, count=20)

    assert present.prefill_rate == 900
    assert gone.prefill_rate == 300


def test_samples_without_time_are_none() -> None:
    rates = FleetRates().join()
    before = rates.prefill_rate, rates.step_base_s
    rates.learn_prefill(100, 0.0, 1.0, last=True)
    rates.learn_step(0.0, 1, 1.0)

    assert (rates.prefill_rate, rates.step_base_s) == before


def test_step_line_is_found_over_a_range_of_concurrencies() -> None:
    base, slope = fit_step([(0.02 + 0.003 * many, many) for many in range(1, 65)])

    assert slope == pytest.approx(0.003, rel=0.05)
    assert base == pytest.approx(0.02, rel=0.05)


def test_step_line_of_one_concurrency_has_the_prior_slope() -> None:
    # 0.03 s at 8: base * (1 + 8 / 16) = 0.03
    assert fit_step([(0.03, 8)] * 20) == pytest.approx((0.02, 0.02 / 16))


def test_step_line_ignores_a_stream_that_its_client_held_up() -> None:
    usual = [(0.02 + 0.001 * many, float(many)) for many in range(1, 20)]

    assert fit_step([*usual, (9.0, 19.0)])[1] == pytest.approx(fit_step(usual)[1], rel=0.1)


@given(st.lists(st.tuples(st.floats(1e-5, 100), st.floats(0, 512)), min_size=1, max_size=64))
def test_step_line_always_rises_from_no_less_than_nothing(
    samples: list[tuple[float, float]],
) -> None:
    base, slope = fit_step(samples)

    assert slope > 0
    assert base >= -1e-9
