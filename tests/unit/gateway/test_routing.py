from __future__ import annotations

from dataclasses import dataclass

import pytest

from replicore.gateway.routing import POLICIES, least_outstanding, power_of_two, round_robin


@dataclass(frozen=True)
class Load:
    outstanding: int


def loads(*outstanding: int) -> list[Load]:
    return [Load(count) for count in outstanding]


def test_least_outstanding_takes_the_replica_with_the_fewest() -> None:
    assert [least_outstanding(loads(3, 1, 2), turn) for turn in range(3)] == [1, 1, 1]


def test_least_outstanding_rotates_among_ties() -> None:
    assert [least_outstanding(loads(0, 5, 0), turn) for turn in range(4)] == [0, 2, 0, 2]


def test_round_robin_takes_one_after_the_other() -> None:
    assert [round_robin(loads(9, 0, 0), turn) for turn in range(4)] == [0, 1, 2, 0]


def test_power_of_two_never_takes_the_most_loaded_of_all() -> None:
    picks = {power_of_two(loads(1, 9, 1), turn) for turn in range(200)}

    assert picks == {0, 2}


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_takes_the_only_replica(name: str) -> None:
    assert {POLICIES[name](loads(7), turn) for turn in range(20)} == {0}


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_reaches_every_equally_loaded_replica(name: str) -> None:
    assert {POLICIES[name](loads(1, 1, 1, 1), turn) for turn in range(200)} == {0, 1, 2, 3}
