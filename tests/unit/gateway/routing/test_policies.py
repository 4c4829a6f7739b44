from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil, inf, isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicore.gateway.routing.policies import (
    POLICIES,
    cheapest,
    consistent_hash,
    holding_s,
    least_outstanding,
    least_work,
    power_of_two,
    prefix_affinity,
    random,
    round_robin,
    session_hash,
    worth_waiting,
)
from replicore.gateway.routing.standing import Ask


@dataclass(frozen=True)
class Speed:
    prefill_rate: float = 1000.0
    step_base_s: float = 0.02
    step_slope_s: float = 0.01


@dataclass(frozen=True)
class Load:
    outstanding: int = 0
    prefill_tokens: float = 0.0
    decode_tokens: float = 0.0
    rates: Speed = Speed()
    key: int = 0


def loads(*outstanding: int) -> list[Load]:
    return [Load(count, key=session_hash(b"r%d" % i)) for i, count in enumerate(outstanding)]


def ask(
    *matched: float, prompt: float = 100, output: float = 0, session: int = 7, turn: int = 0
) -> Ask:
    return Ask(prompt, output, matched, session, turn)


def picks(name: str, replicas: list[Load], turns: int) -> list[int]:
    nothing = (0.0,) * len(replicas)
    asks = [ask(*nothing, turn=turn, session=turn) for turn in range(turns)]
    return [cheapest(POLICIES[name](replicas, one), one.turn) for one in asks]


numbers = st.floats(0, 1e6)
any_load = st.builds(
    Load,
    outstanding=st.integers(0, 500),
    prefill_tokens=numbers,
    decode_tokens=numbers,
    rates=st.builds(Speed, st.floats(1, 1e5), st.floats(0, 1), st.floats(1e-6, 1)),
    key=st.integers(0, 2**64 - 1),
)


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=50)
@given(st.lists(st.tuples(any_load, numbers), min_size=1, max_size=5), st.integers(0, 2**64 - 1))
def test_every_policy_gives_each_replica_a_cost(
    name: str, pairs: list[tuple[Load, float]], session: int
) -> None:
    replicas, matched = zip(*pairs, strict=True)

    costs = POLICIES[name](replicas, ask(*matched, session=session, output=9, turn=session))

    assert len(costs) == len(replicas)
    assert not any(map(isnan, costs))
    assert min(costs) < inf


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_reaches_every_equally_loaded_replica(name: str) -> None:
    assert set(picks(name, loads(1, 1, 1, 1), turns=200)) == {0, 1, 2, 3}


@given(st.lists(numbers, min_size=1, max_size=16), st.integers(0, 2**64))
def test_the_cheapest_has_the_lowest_cost(costs: list[float], turn: int) -> None:
    assert costs[cheapest(costs, turn)] == min(costs)


@given(st.lists(st.sampled_from([1.0, 2.0]), min_size=1, max_size=16), st.integers(0, 1000))
def test_ties_rotate_fairly(costs: list[float], turn: int) -> None:
    ties = costs.count(min(costs))
    chosen = Counter(cheapest(costs, turn + step) for step in range(3 * ties))

    assert sorted(chosen.values()) == [3] * ties


# least_work


def test_least_work_is_the_sum_of_prefill_and_an_eighth_of_decode() -> None:
    # Prefill costs (400 + 1.5 * (100 - 40)) / 1000 = 0.49 s;
    # decode costs 50 * (0.02 + 3 * 0.01) + 80 * 0.01 = 3.3 s.
    busy = Load(outstanding=2, prefill_tokens=400, decode_tokens=80)

    assert least_work([busy], ask(40, prompt=100, output=50)) == pytest.approx([0.49 + 3.3 / 8])


def test_least_work_never_reckons_with_less_than_one_token_of_prefill() -> None:
    assert least_work([Load()], ask(500, prompt=100)) == pytest.approx([0.0015])


def test_least_work_prefers_the_replica_that_has_the_prompt() -> None:
    costs = least_work([Load(), Load()], ask(0, 2000, prompt=2200, output=100))

    assert cheapest(costs, 0) == 1


def test_least_work_leaves_a_cache_whose_replica_has_more_to_do() -> None:
    queued = Load(outstanding=1, prefill_tokens=3500)

    assert cheapest(least_work([Load(), queued], ask(0, 2000, prompt=2200)), 0) == 0


def test_least_work_prefers_the_faster_of_two_idle_replicas() -> None:
    slow = Load(rates=Speed(step_base_s=0.04, step_slope_s=0.02))

    assert cheapest(least_work([slow, Load()], ask(0, 0, output=100)), 0) == 1


def test_least_work_gives_a_slow_replica_its_share() -> None:
    # A request on the busy one makes three others slower, which is more than it gains.
    slow = Load(rates=Speed(step_base_s=0.04, step_slope_s=0.02))
    busy = Load(outstanding=3, decode_tokens=300)

    assert cheapest(least_work([slow, busy], ask(0, 0, output=100)), 0) == 0


def test_least_work_rotates_among_equal_replicas() -> None:
    assert picks("least_work", loads(1, 1, 1), turns=6) == [0, 1, 2, 0, 1, 2]


@given(st.lists(any_load, min_size=1, max_size=8), st.floats(1, 1e5))
def test_least_work_costs_more_with_more_outstanding(replicas: list[Load], more: float) -> None:
    one = ask(*[0.0] * len(replicas), output=10)
    fuller = [
        Load(load.outstanding, load.prefill_tokens + more, load.decode_tokens + more, load.rates)
        for load in replicas
    ]

    pairs = zip(least_work(replicas, one), least_work(fuller, one), strict=True)

    assert all(before < after for before, after in pairs)


@pytest.mark.parametrize(
    ("here", "elsewhere", "worth"),
    [(0, 0, False), (0, 100, False), (0, 126, True), (900, 1000, False)],
)
def test_request_waits_for_a_cache_with_an_eighth_more_of_it(
    here: float, elsewhere: float, worth: bool
) -> None:
    assert worth_waiting(1000, here, elsewhere) is worth


def full(*, decode_tokens: float) -> Load:
    return Load(outstanding=3, decode_tokens=decode_tokens)


def test_request_is_held_for_a_full_replica_that_has_its_prompt() -> None:
    # 1.5 * 1000 / 1000 = 1.5 s of prefill are saved. A slot is expected after 2 / 4 of the mean
    # rest of 40 tokens, each 0.02 + 3 * 0.01 s: 1 s.
    assert holding_s(full(decode_tokens=120), gain=1000) == pytest.approx(1.5)


def test_request_is_not_held_where_working_its_prompt_through_is_faster() -> None:
    assert holding_s(full(decode_tokens=120), gain=600) == 0


def test_request_is_held_for_no_longer_than_its_prefill_would_take() -> None:
    assert holding_s(full(decode_tokens=0), gain=100) == pytest.approx(0.15)


def test_request_without_gain_is_not_held() -> None:
    assert holding_s(full(decode_tokens=0), gain=0) == 0
    assert holding_s(Load(), gain=0) == 0


# the others


def test_least_outstanding_takes_the_replica_with_the_fewest() -> None:
    assert least_outstanding(loads(3, 1, 2), ask()) == [3, 1, 2]
    assert picks("least_outstanding", loads(0, 5, 0), turns=4) == [0, 2, 0, 2]


def test_round_robin_takes_one_after_the_other() -> None:
    assert picks("round_robin", loads(9, 0, 0), turns=4) == [0, 1, 2, 0]
    assert round_robin(loads(0, 0, 0), ask(turn=1)) == [2, 0, 1]


def test_random_takes_each_about_as_often() -> None:
    chosen = Counter(picks("random", loads(9, 0, 0, 5), turns=4000))

    assert all(900 < count < 1100 for count in chosen.values())
    assert sorted(random(loads(0, 0, 0), ask())) == [0, inf, inf]


def test_power_of_two_never_takes_the_most_loaded_of_all() -> None:
    assert set(picks("power_of_two", loads(1, 9, 1), turns=200)) == {0, 2}
    assert sorted(power_of_two(loads(4, 4, 4), ask())) == [4, 4, inf]


def test_consistent_hash_sends_a_session_to_one_replica() -> None:
    replicas = loads(0, 0, 0, 0)

    assert (
        len({cheapest(consistent_hash(replicas, ask(turn=turn)), turn) for turn in range(9)}) == 1
    )


@given(st.integers(2, 16), st.data())
def test_consistent_hash_moves_only_the_sessions_of_the_replica_that_left(
    count: int, data: st.DataObject
) -> None:
    replicas = loads(*[0] * count)
    gone = data.draw(st.integers(0, count - 1))
    rest = [load for load in replicas if load is not replicas[gone]]
    session = data.draw(st.integers(0, 2**64 - 1))

    before = replicas[cheapest(consistent_hash(replicas, ask(session=session)), 0)]
    after = rest[cheapest(consistent_hash(rest, ask(session=session)), 0)]

    assert after is before or before is replicas[gone]


def test_consistent_hash_spreads_the_sessions_of_a_replica_that_left_over_all_others() -> None:
    replicas = loads(0, 0, 0, 0)
    asks = [ask(session=session_hash(b"%d" % number)) for number in range(1000)]
    moved = [one for one in asks if cheapest(consistent_hash(replicas, one), 0) == 0]
    heirs = Counter(cheapest(consistent_hash(replicas[1:], one), 0) for one in moved)

    assert all(count > len(moved) / 5 for count in heirs.values())
    assert len(heirs) == 3


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 6))
def test_consistent_hash_keeps_the_load_bounded(sessions: list[int], count: int) -> None:
    outstanding = [0] * count
    for total, session in enumerate(sessions):
        costs = consistent_hash(loads(*outstanding), ask(session=session))
        outstanding[cheapest(costs, 0)] += 1

        assert max(outstanding) <= ceil(1.25 * (total + 1) / count)


def test_prefix_affinity_takes_the_replica_with_the_most_of_the_prompt() -> None:
    assert prefix_affinity(loads(9, 0, 1), ask(50, 10, 20)) == [50, 90, 80]


def test_prefix_affinity_takes_the_least_loaded_where_no_cache_has_a_third() -> None:
    assert prefix_affinity(loads(9, 3, 1), ask(30, 10, 20)) == [9, 3, 1]


def test_prefix_affinity_takes_the_least_loaded_where_loads_are_far_apart() -> None:
    assert prefix_affinity(loads(70, 1), ask(90, 0)) == [70, 1]
