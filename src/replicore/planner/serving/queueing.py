"""How long requests wait that arrive at random. Pure.

Kingman's formula for several servers: the wait of M/M/c, times how irregular arrivals and service
are. A slot is a server.
"""

from __future__ import annotations

from math import sqrt

# Policies that send a request where it is worked on soonest: all replicas have one queue.
_POOLED = frozenset({"least_outstanding", "least_work", "power_of_two", "prefix_affinity"})


def wait_s(
    *,
    utilisation: float,
    slots: float,
    slot_s: float,
    arrival_cv2: float,
    service_cv2: float,
) -> float:
    """Return the mean wait for a slot, in seconds.

    W = (ca^2 + cs^2) / 2 x rho^(sqrt(2 (c + 1)) - 1) / (c (1 - rho)) x S

    Exact for M/M/1; within a few percent of M/M/c.

    Args:
        utilisation: rho, below 1.
        slots: c.
        slot_s: S, how long a request holds a slot.

    Source: Sakasegawa, "An approximation formula Lq = alpha rho^beta / (1 - rho)" (1977).
    """
    irregular = (arrival_cv2 + service_cv2) / 2
    crowd: float = utilisation ** (sqrt(2 * (slots + 1)) - 1)
    return irregular * crowd / (slots * (1 - utilisation)) * slot_s


def queue_of(routing: str, *, replicas: int, slots: float) -> tuple[float, float]:
    """Return the servers of one queue, and the squared variation of arrivals there.

    Random routing leaves each replica random arrivals; round robin sends it every R-th request,
    whose intervals vary 1/R as much; where the shortest queue is taken there is only one.
    """
    if routing in _POOLED:
        return replicas * slots, 1.0
    return slots, 1.0 / replicas if routing == "round_robin" else 1.0
