from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from replicore.gateway.access.key_file import Caller
from replicore.gateway.access.limits import Limiter, used, wait_s
from replicore.gateway.access.refusal import Refusal
from replicore.gateway.routing.cells import Cells

BOTH = Caller(name="both", max_in_flight=2, tokens_per_minute=1000)
TWO_AT_ONCE = Caller(name="two", max_in_flight=2)
THOUSAND = Caller(name="thousand", tokens_per_minute=1000)

# A full minute of the clock that the tests' times are counted from.
MINUTE = 60.0 * 1000


@pytest.fixture(name="limiter")
def _limiter() -> Limiter:
    return Limiter(Cells.local())


@pytest.fixture(name="all_cells")
def _all_cells() -> Iterator[list[Cells]]:
    """What three workers see, with room for two callers."""
    parent = Cells.create(3, callers=2)
    assert parent.fd is not None
    workers = [Cells.attach(os.dup(parent.fd), worker) for worker in range(3)]
    yield workers
    for cells in (*workers, parent):
        cells.close()


@pytest.fixture(name="workers")
def _workers(all_cells: list[Cells]) -> list[Limiter]:
    return [Limiter(cells) for cells in all_cells]


def admitted(limiter: Limiter, caller: Caller, tokens: float = 0.0, now: float = MINUTE) -> bool:
    return limiter.admit(caller, tokens, now) is None


def numbers(cells: Cells) -> list[float]:
    """Return what a worker's own cells count, the tags aside."""
    return [cells.caller(index).get(field) for index in range(cells.callers) for field in range(3)]


def test_caller_without_limits_is_never_counted() -> None:
    cells = Cells.local()
    limiter, free = Limiter(cells), Caller(name="free")

    assert all(admitted(limiter, free, 1e9) for _ in range(100))
    limiter.charge(free, 1e9, MINUTE)
    limiter.release(free)
    assert numbers(cells) == [0.0] * len(numbers(cells))


def test_request_beyond_those_in_flight_is_refused_until_one_ends(limiter: Limiter) -> None:
    assert [admitted(limiter, TWO_AT_ONCE) for _ in range(3)] == [True, True, False]

    limiter.release(TWO_AT_ONCE)

    assert [admitted(limiter, TWO_AT_ONCE) for _ in range(2)] == [True, False]


def test_refusal_of_too_many_in_flight_says_so(limiter: Limiter) -> None:
    for _ in range(2):
        limiter.admit(TWO_AT_ONCE, 0.0, MINUTE)

    assert limiter.admit(TWO_AT_ONCE, 0.0, MINUTE) == Refusal(
        'the key "two" has as many requests in flight as it may, 2; try again when one of them '
        "has ended",
        1,
    )


def test_callers_do_not_share_their_limits(limiter: Limiter) -> None:
    other = Caller(name="other", max_in_flight=1)
    for _ in range(2):
        limiter.admit(TWO_AT_ONCE, 0.0, MINUTE)

    assert [admitted(limiter, other) for _ in range(2)] == [True, False]


def test_prompts_are_charged_at_once_so_a_burst_is_stopped(limiter: Limiter) -> None:
    assert [admitted(limiter, THOUSAND, 400.0) for _ in range(4)] == [True, True, True, False]


def test_request_larger_than_the_limit_is_served_once_the_minute_is_clear(limiter: Limiter) -> None:
    assert admitted(limiter, THOUSAND, 5000.0)
    assert not admitted(limiter, THOUSAND, 1.0)


def test_output_counts_and_a_prompt_that_was_shorter_is_given_back(limiter: Limiter) -> None:
    limiter.admit(THOUSAND, 900.0, MINUTE)
    # The engine told 500 prompt tokens and 499 of output: one less than the limit.
    limiter.charge(THOUSAND, 500 - 900 + 499, MINUTE)
    assert admitted(limiter, THOUSAND)

    limiter.charge(THOUSAND, 1, MINUTE)

    assert not admitted(limiter, THOUSAND)


def test_refused_request_is_not_charged_and_not_in_flight() -> None:
    cells = Cells.local(callers=1)
    limiter = Limiter(cells)
    for _ in range(5):
        limiter.admit(BOTH, 100.0, MINUTE)

    assert numbers(cells) == [2.0, 200.0, 0.0]


@pytest.mark.parametrize(
    ("current", "previous", "elapsed_s", "tokens", "free_after_s"),
    [
        # 1200 of the minute before count fully at its end, and 1000 are left after a sixth.
        (0.0, 1200.0, 0.0, 1200.0, 10.0),
        # 600 + 800 * (1 - 15/60) = 1200; 600 + 800 * (1 - 30/60) = 1000: 15 s later.
        (600.0, 800.0, 15.0, 1200.0, 15.0),
        # This minute alone is over. 20 s are left, and 1250 * (1 - 12/60) = 1000: 20 + 12 s later.
        (1250.0, 0.0, 40.0, 1250.0, 32.0),
        # At the limit exactly: the next minute begins with 1000, and any moment later has less.
        (1000.0, 500.0, 30.0, 1250.0, 30.0),
        # A correction after the minute turned is in the new one: -200 + 1500 = 1300.
        (-200.0, 1500.0, 0.0, 1300.0, 12.0),
    ],
)
def test_tokens_of_the_last_minute_and_the_wait(
    current: float, previous: float, elapsed_s: float, tokens: float, free_after_s: float
) -> None:
    now = MINUTE + elapsed_s

    assert used(current, previous, now) == pytest.approx(tokens)
    assert wait_s(current, previous, 1000, now) == pytest.approx(free_after_s)


def test_refusal_of_too_many_tokens_tells_when_to_try_again(limiter: Limiter) -> None:
    limiter.admit(THOUSAND, 1250.0, MINUTE + 40)

    refusal = limiter.admit(THOUSAND, 1.0, MINUTE + 40)

    # 20 s to the minute's end, and then 12 s of the next: 1250 * (1 - 12/60) = 1000.
    assert refusal == Refusal(
        'the key "thousand" has used 1250 tokens in the last minute, and its limit is 1000; '
        "try again in 32 s",
        32,
    )
    assert not admitted(limiter, THOUSAND, now=MINUTE + 40 + 31)
    assert admitted(limiter, THOUSAND, now=MINUTE + 40 + 32.1)


def test_tokens_are_forgotten_after_two_minutes(limiter: Limiter) -> None:
    limiter.admit(THOUSAND, 1e6, MINUTE)

    assert not admitted(limiter, THOUSAND, now=MINUTE + 119)
    assert admitted(limiter, THOUSAND, now=MINUTE + 120)


def test_charge_after_the_minute_turned_keeps_the_one_before(limiter: Limiter) -> None:
    limiter.admit(THOUSAND, 900.0, MINUTE + 59)
    limiter.charge(THOUSAND, 200.0, MINUTE + 60)

    # 200 + 900 * (1 - 0/60) = 1100
    assert not admitted(limiter, THOUSAND, now=MINUTE + 60)
    # 200 + 900 * (1 - 8/60) = 980
    assert admitted(limiter, THOUSAND, now=MINUTE + 68)


def test_limits_outlive_a_reload_of_the_keys(limiter: Limiter) -> None:
    for _ in range(2):
        limiter.admit(TWO_AT_ONCE, 0.0, MINUTE)
    read_again = Caller(name="two", max_in_flight=2, tokens_per_minute=5)

    assert not admitted(limiter, read_again)
    limiter.release(TWO_AT_ONCE)
    assert admitted(limiter, read_again)


def test_workers_share_the_limits(workers: list[Limiter]) -> None:
    assert [admitted(worker, BOTH) for worker in workers] == [True, True, False]

    workers[0].release(BOTH)
    workers[1].charge(BOTH, 600.0, MINUTE)
    workers[2].charge(BOTH, 300.0, MINUTE)
    assert admitted(workers[2], BOTH, 100.0)

    workers[2].release(BOTH)
    refusal = workers[0].admit(BOTH, 1.0, MINUTE)
    assert refusal is not None
    assert "has used 1000 tokens" in refusal.message


def test_of_two_workers_that_ask_for_the_last_place_at_once_only_one_gets_it(
    all_cells: list[Cells], workers: list[Limiter]
) -> None:
    answers = [admitted(worker, TWO_AT_ONCE) for worker in workers[:2]]
    workers[0].release(TWO_AT_ONCE)
    # Worker 1 comes between the announcement of worker 0 and its look at the sum.
    all_cells[0].barrier = lambda: answers.append(admitted(workers[1], TWO_AT_ONCE))

    answers.append(admitted(workers[0], TWO_AT_ONCE))

    assert answers == [True, True, False, True]


def test_idle_workers_count_exactly_nothing(all_cells: list[Cells], workers: list[Limiter]) -> None:
    for worker in workers:
        if admitted(worker, BOTH, 10.0):
            worker.release(BOTH)

    assert [numbers(cells)[::3] for cells in all_cells] == [[0.0, 0.0]] * 3


def test_workers_that_meet_callers_in_another_order_do_not_mix_them_up(
    workers: list[Limiter],
) -> None:
    names = [Caller(name=name, max_in_flight=1) for name in "ab"]
    for caller in names:
        assert admitted(workers[0], caller)

    assert [admitted(workers[1], caller) for caller in reversed(names)] == [False, False]
    workers[0].release(names[0])
    assert [admitted(workers[2], caller) for caller in names] == [True, False]


def test_row_of_an_idle_caller_is_given_on_without_its_counts(workers: list[Limiter]) -> None:
    old = [Caller(name=name, tokens_per_minute=10) for name in "ab"]
    for caller in old:
        admitted(workers[0], caller, 100.0)
        workers[0].release(caller)
    later = MINUTE + 180
    new = Caller(name="new", tokens_per_minute=10, max_in_flight=1)

    assert admitted(workers[0], new, 5.0, later)
    assert not admitted(workers[1], new, 5.0, later)


def test_caller_beyond_the_rows_is_limited_by_each_worker(workers: list[Limiter]) -> None:
    busy = [Caller(name=name, max_in_flight=1) for name in "ab"]
    third = Caller(name="c", max_in_flight=1)
    for caller in busy:
        admitted(workers[0], caller)

    assert [admitted(workers[0], third) for _ in range(2)] == [True, False]
    workers[0].release(third)
    assert admitted(workers[0], third)


def test_worker_that_was_started_again_finds_the_rows_of_the_others(
    all_cells: list[Cells], workers: list[Limiter]
) -> None:
    for worker in workers[:2]:
        assert admitted(worker, BOTH)
    all_cells[0].clear(1)

    workers[1] = Limiter(all_cells[1])

    assert [admitted(workers[1], BOTH) for _ in range(2)] == [True, False]


def test_too_large_an_estimate_is_taken_back_from_its_own_minute(limiter: Limiter) -> None:
    limiter.admit(THOUSAND, 100_000.0, MINUTE + 59)
    limiter.charge(THOUSAND, 900.0, MINUTE + 61)
    limiter.refund(THOUSAND, 99_999.0, MINUTE + 59, MINUTE + 62)

    # 900 tokens of the current minute, and 58/60 of the one before it
    assert admitted(limiter, THOUSAND, 100.0, MINUTE + 62)
    assert not admitted(limiter, THOUSAND, now=MINUTE + 62)


def test_refund_of_a_minute_that_is_not_counted_any_more_is_no_credit(limiter: Limiter) -> None:
    limiter.admit(THOUSAND, 100_000.0, MINUTE)
    limiter.refund(THOUSAND, 100_000.0, MINUTE, MINUTE + 120)

    assert admitted(limiter, THOUSAND, 1000.0, MINUTE + 120)
    assert not admitted(limiter, THOUSAND, now=MINUTE + 120)
