"""Which replica serves the next request: policies as pure functions with one signature.

A policy gets the replicas that may serve a request, at least one, and what is asked for, and
returns a cost for each; :func:`cheapest` takes the lowest. Whatever looks random or goes in turns
depends on the ask's ``turn``, which counts up by one with every decision, so that any decision can
be repeated and explained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from types import MappingProxyType
from typing import Protocol

from xxhash import xxh3_64_intdigest

from replicore.gateway.routing.standing import Ask

# What part of a prompt must be in a replica's cache for prefix_affinity to follow it, and how far
# loads may be apart: the rules of vllm-router's cache_aware with its defaults.
_AFFINE_SHARE = 0.3
_UNEVEN_DIFFERENCE = 64
_UNEVEN_RATIO = 1.5

# What a second spread over a stream counts of a second before its first token.
_STREAM_WEIGHT = 1 / 8

# What own prefill counts: a prompt that is not in a cache drives others out of it, and about half
# of what it drives out is worked through again.
_OWN_WEIGHT = 1.5

# Policies for which a request may wait for a replica that has its prompt, though others have room.
PATIENT = frozenset({"least_work"})

# Per replica: how often a waiting request is passed over for one that fits the free replica better,
# and how many are looked at.
PATIENCE = 2
LOOK_AHEAD = 4

# What part of a prompt must be in another replica's cache for that.
_WORTH_WAITING = 1 / 8

# How far above the mean load consistent_hash fills a replica.
_BOUND_RATIO = 1.25


class Speed(Protocol):
    """How fast a replica is; see ``rates.Rates``, where these are explained."""

    @property
    def prefill_rate(self) -> float:
        """Prompt tokens a second."""
        ...

    @property
    def step_base_s(self) -> float:
        """Of a decode step, what is there at any concurrency."""
        ...

    @property
    def step_slope_s(self) -> float:
        """Of a decode step, what each request adds."""
        ...


class Load(Protocol):
    """What a policy may look at, of one replica.

    Over all workers of the gateway; see ``standing.Standing``.
    """

    @property
    def key(self) -> int:
        """Stands for the replica's name."""
        ...

    @property
    def outstanding(self) -> int:
        """Requests sent there and neither finished nor cancelled."""
        ...

    @property
    def prefill_tokens(self) -> float:
        """Prompt tokens of these still to be worked through."""
        ...

    @property
    def decode_tokens(self) -> float:
        """Output tokens of these still expected."""
        ...

    @property
    def rates(self) -> Speed: ...


Policy = Callable[[Sequence[Load], Ask], Sequence[float]]


def cheapest(costs: Sequence[float], turn: int) -> int:
    """Return the index of a lowest cost; ties rotate with ``turn``."""
    lowest = min(costs)
    ties = costs.count(lowest)
    index = costs.index(lowest)
    for _ in range(turn % ties if ties > 1 else 0):
        index = costs.index(lowest, index + 1)
    return index


def session_hash(data: bytes) -> int:
    """Return what stands for a session in :attr:`Ask.session`."""
    return xxh3_64_intdigest(data)


def least_work(loads: Sequence[Load], ask: Ask) -> list[float]:
    """Return the seconds by which the request would delay itself and others at each replica.

    cost = (prefill tokens outstanding + 1.5 * own, all without those in the prefix cache)
    / prefill rate
    + (own output tokens * decode step + others' decode tokens * slope of the decode step) / 8

    The decode step is the one with this request (see ``rates.py``). Its slope is what a request
    adds to every step of all others; ``1 / slope`` is the decode rate of a replica that is full.
    A delay spread over a stream weighs an eighth of the same delay before its first token. At full
    weight the decode term, which is much the larger, drives sessions away from their caches to gain
    little; at none, requests heap up on some replicas (``benchmarks/routing`` has the figures).

    Affinity is nothing but less prefill: a replica that has the prompt in its cache is left where
    its queue costs more than working the prompt through elsewhere.
    """
    prompt, output = ask.prompt_tokens, ask.output_tokens
    costs = []
    for load, matched in zip(loads, ask.matched, strict=True):
        rates = load.rates
        slope = rates.step_slope_s
        uncached = prompt - matched
        prefill = load.prefill_tokens + (uncached if uncached > 1.0 else 1.0) * _OWN_WEIGHT
        step = rates.step_base_s + slope * (load.outstanding + 1)
        decode = output * step + load.decode_tokens * slope
        costs.append(prefill / rates.prefill_rate + decode * _STREAM_WEIGHT)
    return costs


def worth_waiting(prompt_tokens: float, here: float, elsewhere: float) -> bool:
    """Return whether a request that waits should leave a free slot to one behind it.

    While requests wait, only one replica at a time has room, and its cache is as good as random for
    whoever is first. So the first is passed over, at most ``PATIENCE`` times per replica, where a
    replica that is full has much more of its prompt.

    Args:
        here: The most that a replica with room has of the prompt in its cache, in tokens.
        elsewhere: The most that any other has.
    """
    return elsewhere - here > _WORTH_WAITING * prompt_tokens


def holding_s(load: Load, gain: float) -> float:
    """Return the seconds that a request should wait for a replica which is full; 0 for not at all.

    It should where a slot is expected sooner than the prompt is worked through elsewhere, and for
    no longer than that would take: so at the worst, the wait and the prefill are both paid.

    Args:
        gain: How much more of the prompt it has in its cache than any that has room, in tokens.
    """
    saving_s = _OWN_WEIGHT * gain / load.rates.prefill_rate
    return saving_s if saving_s > _slot_wait_s(load) else 0.0


def _slot_wait_s(load: Load) -> float:
    """Return when the first of the requests of a full replica is expected to end.

    Of n requests that are each at a random point of an equal length, the first has 2 / (n + 1) of
    their mean rest to go.
    """
    many = load.outstanding
    rates = load.rates
    rest = 2 * load.decode_tokens / (many * (many + 1)) if many else 0.0
    return rest * (rates.step_base_s + rates.step_slope_s * many)


def least_outstanding(loads: Sequence[Load], ask: Ask) -> list[float]:
    """Return the outstanding requests."""
    return [load.outstanding for load in loads]


def round_robin(loads: Sequence[Load], ask: Ask) -> list[float]:
    """Return how many turns each has to wait for its own."""
    count = len(loads)
    return [(index - ask.turn) % count for index in range(count)]


def random(loads: Sequence[Load], ask: Ask) -> list[float]:
    """Return 0 for one that looks random, infinity for the others."""
    return _only(len(loads), {_scramble(ask.turn) % len(loads): 0.0})


def power_of_two(loads: Sequence[Load], ask: Ask) -> list[float]:
    """Return the outstanding requests of two that look random, infinity for the others.

    Source: Mitzenmacher, "The power of two choices in randomized load balancing", 2001.
    """
    count, number = len(loads), _scramble(ask.turn)
    first = number % count
    second = (first + 1 + (number >> 32) % max(1, count - 1)) % count
    return _only(count, {index: loads[index].outstanding for index in (first, second)})


def consistent_hash(loads: Sequence[Load], ask: Ask) -> list[float]:
    """Return 0 to 1, the same for a session every time; 1 more where the load is above its bound.

    When a replica leaves, only its own sessions move, and to all others evenly. No replica is given
    more than a quarter above the mean load.

    Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998;
        Mirrokni et al., "Consistent hashing with bounded loads", 2018.
    """
    total = sum(load.outstanding for load in loads)
    bound = ceil(_BOUND_RATIO * (total + 1) / len(loads))
    session = ask.session
    return [_scramble(load.key ^ session) / 2**64 + (load.outstanding >= bound) for load in loads]


def prefix_affinity(loads: Sequence[Load], ask: Ask) -> list[float]:
    """Return the prompt tokens not in the cache; the outstanding requests where that is no guide.

    That is no guide where loads are far apart, or less than a third of the prompt is in any cache.

    Source: the ``cache_aware`` policy of vllm-router, with its defaults.
    """
    outstanding = [load.outstanding for load in loads]
    most, fewest = max(outstanding), min(outstanding)
    is_uneven = most - fewest > _UNEVEN_DIFFERENCE and most > _UNEVEN_RATIO * fewest
    if is_uneven or max(ask.matched) <= _AFFINE_SHARE * ask.prompt_tokens:
        return [float(count) for count in outstanding]
    return [ask.prompt_tokens - matched for matched in ask.matched]


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "least_work": least_work,
        "least_outstanding": least_outstanding,
        "round_robin": round_robin,
        "random": random,
        "power_of_two": power_of_two,
        "consistent_hash": consistent_hash,
        "prefix_affinity": prefix_affinity,
    }
)


def _only(count: int, costs: Mapping[int, float]) -> list[float]:
    return [costs.get(index, inf) for index in range(count)]


def _scramble(number: int) -> int:
    """Return 64 well-mixed bits of ``number``.

    Source: splitmix64, Steele et al., "Fast splittable pseudorandom number generators", 2014.
    """
    number = (number + 1) * 0x9E3779B97F4A7C15 % 2**64
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ number >> 27) * 0x94D049BB133111EB % 2**64
    return number ^ number >> 31
