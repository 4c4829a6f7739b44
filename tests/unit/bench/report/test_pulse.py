"""The last seconds of a run, from scripted ticks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.bench.client.tick import ReplicaTick, Tick
from replicore.bench.report.pulse import Pulse, sparkline, typical

START = Tick(done=0, total=100, warming=0, errors=0, output_tokens=0, elapsed_s=0.0)


def pulse(*ticks: Tick) -> Pulse:
    found = Pulse()
    for tick in ticks:
        found.add(tick)
    return found


def steady(seconds: int, *, per_s: int = 10) -> list[Tick]:
    """A tick a second, ``per_s`` tokens and one request in each."""
    return [
        replace(START, elapsed_s=float(s), done=s, output_tokens=s * per_s)
        for s in range(seconds + 1)
    ]


def test_rates_are_unknown_with_one_tick() -> None:
    found = pulse(START)

    assert found.tokens_per_s is None
    assert found.remaining_s is None


def test_rates_are_of_the_last_ten_seconds_only() -> None:
    slow, fast = (
        steady(20),
        [
            replace(START, elapsed_s=20.0 + s, done=20 + 2 * s, output_tokens=200 + 50 * s)
            for s in range(1, 11)
        ],
    )
    found = pulse(*slow, *fast)

    assert found.tokens_per_s == pytest.approx(50)
    assert found.requests_per_s == pytest.approx(2)
    # 100 - 40 requests at 2 a second.
    assert found.remaining_s == pytest.approx(30)


def test_count_that_is_put_right_downwards_is_no_negative_rate() -> None:
    before = replace(START, output_tokens=10)

    found = pulse(before, replace(START, output_tokens=8, elapsed_s=1.0))

    assert found.tokens_per_s == 0
    assert list(found.history) == [0]


def test_run_by_time_has_no_rest() -> None:
    assert pulse(*(replace(tick, total=None) for tick in steady(5))).remaining_s is None


def test_first_tokens_are_forgotten_with_their_ticks() -> None:
    early = replace(START, recent_ttft_s=(9.0,))
    late = replace(START, elapsed_s=11.0, recent_ttft_s=(0.1, 0.3))

    assert pulse(early, late).ttfts_s == [0.1, 0.3]


def test_replica_has_a_rate_of_its_own() -> None:
    ticks = [
        replace(START, elapsed_s=t, replicas=(ReplicaTick(name="r0", output_tokens=n),))
        for t, n in ((0.0, 0), (2.0, 30))
    ]

    assert pulse(*ticks).replica_tokens_per_s("r0") == 15
    assert pulse(*ticks).replica_tokens_per_s("r1") == 0


def test_history_has_a_value_a_second_and_is_bounded() -> None:
    found = pulse(*steady(100))

    assert set(found.history) == {10}
    assert len(found.history) == 30


def test_typical_is_median_and_largest() -> None:
    assert typical([0.1, 0.9, 0.2]) == (0.2, 0.9)
    assert typical([]) is None


def test_sparkline_is_scaled_from_zero() -> None:
    assert sparkline([0, 5, 10]) == "▁▅█"
    assert sparkline([7, 7]) == "██"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""
