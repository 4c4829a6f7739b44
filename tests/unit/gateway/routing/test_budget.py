from __future__ import annotations

from replicore.gateway.routing.budget import RetryBudget


def spent(budget: RetryBudget, now: float) -> int:
    count = 0
    while budget.spend(now):
        count += 1
    return count


def test_the_reserve_is_spent_once() -> None:
    budget = RetryBudget(0.0)

    assert spent(budget, 0.0) == 500
    assert not budget.spend(0.0)


def test_five_requests_earn_one_retry() -> None:
    budget = RetryBudget(0.0)
    spent(budget, 0.0)
    for _ in range(50):
        budget.request()

    assert spent(budget, 0.0) in (9, 10)  # 50 * 0.2, in floating point


def test_a_quiet_gateway_earns_ten_a_second() -> None:
    budget = RetryBudget(0.0)
    spent(budget, 0.0)

    assert spent(budget, 3.0) == 30


def test_what_is_earned_is_bounded() -> None:
    budget = RetryBudget(0.0)
    for _ in range(100_000):
        budget.request()

    assert spent(budget, 1e6) <= 1001


def test_asking_takes_nothing_out() -> None:
    budget = RetryBudget(0.0)

    assert all(budget.allows(0.0) for _ in range(1000))
    assert spent(budget, 0.0) == 500
    assert not budget.allows(0.0)
