"""Which replica serves the next request: policies as pure functions with one signature.

A policy gets the replicas that may serve the request, at least one, and a turn that counts up by
one with every decision, so that ties rotate and a decision can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol


class Load(Protocol):
    """What a policy may look at."""

    @property
    def outstanding(self) -> int:
        """Requests sent to the replica and neither finished nor cancelled."""
        ...


Policy = Callable[[Sequence[Load], int], int]


def least_outstanding(loads: Sequence[Load], turn: int) -> int:
    """Return the index of a replica with the fewest outstanding requests; ties rotate."""
    fewest = min(load.outstanding for load in loads)
    tied = [index for index, load in enumerate(loads) if load.outstanding == fewest]
    return tied[turn % len(tied)]


def round_robin(loads: Sequence[Load], turn: int) -> int:
    """Return one index after the other."""
    return turn % len(loads)


def random(loads: Sequence[Load], turn: int) -> int:
    """Return an index that looks random, but depends on ``turn`` alone."""
    return _scramble(turn) % len(loads)


def power_of_two(loads: Sequence[Load], turn: int) -> int:
    """Return the less loaded of two replicas that look random.

    Source: Mitzenmacher, "The power of two choices in randomized load balancing", 2001.
    """
    number = _scramble(turn)
    first = number % len(loads)
    second = (first + 1 + (number >> 32) % max(1, len(loads) - 1)) % len(loads)
    return min(first, second, key=lambda index: loads[index].outstanding)


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "least_outstanding": least_outstanding,
        "round_robin": round_robin,
        "random": random,
        "power_of_two": power_of_two,
    }
)


def _scramble(number: int) -> int:
    """Return 64 well-mixed bits of ``number``.

    Source: splitmix64, Steele et al., "Fast splittable pseudorandom number generators", 2014.
    """
    number = (number + 1) * 0x9E3779B97F4A7C15 % 2**64
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ number >> 27) * 0x94D049BB133111EB % 2**64
    return number ^ number >> 31
