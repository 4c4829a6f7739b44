"""What queueing theory says of a fleet, where it says anything exact. Pure.

Waits are mean seconds from arrival to service. Servers are replicas with one slot.

Source: Kleinrock, "Queueing Systems", volume 1, 1975.
"""

from __future__ import annotations

from replicore.errors import UndefinedMetric


def md1_wait_s(rate_per_s: float, service_s: float) -> float:
    """Return the wait for one server with constant service: rho / (2 (1 - rho)) * service.

    Raises:
        UndefinedMetric: The server has more than it can do, so the queue grows without end.
    """
    load = _load(rate_per_s, service_s, 1)
    return load / (2 * (1 - load)) * service_s


def mm1_wait_s(rate_per_s: float, service_s: float) -> float:
    """Return the wait for one server with exponential service: rho / (1 - rho) * service.

    Raises:
        UndefinedMetric: As of :func:`md1_wait_s`.
    """
    return mmc_wait_s(rate_per_s, service_s, 1)


def mmc_wait_s(rate_per_s: float, service_s: float, servers: int) -> float:
    """Return the wait for one of c servers: Erlang's C / (c - rate * service) * service.

    Raises:
        UndefinedMetric: As of :func:`md1_wait_s`.
    """
    load = _load(rate_per_s, service_s, servers)
    waiting = erlang_c(rate_per_s * service_s, servers)
    return waiting / (servers * (1 - load)) * service_s


def erlang_c(offered: float, servers: int) -> float:
    """Return the share of requests that wait, of a Poisson stream for ``servers`` exponential ones.

    It is worked out from Erlang's B, which has a recursion without factorials.

    Args:
        offered: Rate times service time; below ``servers``.
    """
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = offered * blocked / (server + offered * blocked)
    load = offered / servers
    return blocked / (1 - load * (1 - blocked))


def _load(rate_per_s: float, service_s: float, servers: int) -> float:
    load = rate_per_s * service_s / servers
    if load >= 1:
        raise UndefinedMetric(
            f"a load of {load:.2f} has no mean wait, as the queue grows without end; below 1 it has"
        )
    return load
