"""Waits against queueing theory."""

from __future__ import annotations

from math import factorial

import pytest

from replicore.planner.serving.queueing import queue_of, wait_s


def erlang_c(servers: int, utilisation: float) -> float:
    """Return the probability of waiting in M/M/c."""
    load = servers * utilisation
    full = load**servers / factorial(servers) / (1 - utilisation)
    return full / (sum(load**n / factorial(n) for n in range(servers)) + full)


def test_random_arrivals_at_one_server_of_random_service_wait_as_in_mm1() -> None:
    found = wait_s(utilisation=0.8, slots=1, slot_s=2.0, arrival_cv2=1, service_cv2=1)

    assert found == pytest.approx(0.8 / (1 - 0.8) * 2.0)  # rho / (1 - rho) x S


def test_constant_service_halves_the_wait_as_in_md1() -> None:
    found = wait_s(utilisation=0.8, slots=1, slot_s=2.0, arrival_cv2=1, service_cv2=0)

    assert found == pytest.approx(0.8 / (2 * (1 - 0.8)) * 2.0)


@pytest.mark.parametrize("servers", [2, 8, 32])
@pytest.mark.parametrize("utilisation", [0.7, 0.85])
def test_several_servers_wait_nearly_as_in_mmc(servers: int, utilisation: float) -> None:
    found = wait_s(utilisation=utilisation, slots=servers, slot_s=1.0, arrival_cv2=1, service_cv2=1)

    exact = erlang_c(servers, utilisation) / (servers * (1 - utilisation))
    assert found == pytest.approx(exact, rel=0.35, abs=0.01)


def test_routing_decides_how_many_slots_have_one_queue() -> None:
    assert queue_of("least_work", replicas=4, slots=8) == (32, 1.0)
    assert queue_of("round_robin", replicas=4, slots=8) == (8, 0.25)
    assert queue_of("random", replicas=4, slots=8) == (8, 1.0)
