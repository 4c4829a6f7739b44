"""What stands between two runs: what forbids comparing, and what must be said. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from replicore.bench.compare.meaning import LATENCIES, OWN_TOKENIZER, Metric
from replicore.bench.compare.measured import Conditions, Measured

# Mean lengths that differ by more than this make what depends on them another measurement.
_ALIKE = 0.10
# Latencies are of successful requests: a run that lets this share more fail looks faster.
_FAILED_SHARE = 0.01
# Verdicts of our own runs.
_CLIENT_BOUND, _OVERLOADED, _CACHED = "CLIENT-BOUND", "OVERLOADED", "CONTAMINATED-CACHE"

_BY_INPUT = frozenset({Metric.TTFT, Metric.TTFT_INTENDED})
_BY_OUTPUT = frozenset({Metric.NORMALIZED, Metric.REQUEST_RATE})
_BY_BOTH = frozenset(
    {
        Metric.E2E,
        Metric.E2E_INTENDED,
        Metric.TOTAL_RATE,
        Metric.RUN_TOTAL_RATE,
        Metric.REQUESTS_RATE,
        Metric.RUN_REQUESTS_RATE,
    }
)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why numbers of two runs are not compared.

    Attributes:
        metrics: Those it is about.
    """

    says: str
    metrics: frozenset[Metric] = field(default=frozenset(Metric))


def obstacles(first: Measured, second: Measured, names: tuple[str, str]) -> list[Obstacle]:
    """Return what forbids ratios between two runs, given under the names they are called by."""
    pair = first.conditions, second.conditions
    found = [*_loads(pair, names), *_verdicts(pair, names), *_lengths(pair, names)]
    if {one.simulated for one in pair} == {True, False}:
        name = names[0] if pair[0].simulated else names[1]
        found.insert(0, Obstacle(f"{name} is of a simulator, and the other of a real engine"))
    return found


def counted_apart(
    first: Measured, second: Measured, metric: Metric, names: tuple[str, str]
) -> str | None:
    """Return why tokens of two tokenizers cannot be told apart; None where they are alike.

    One of the two is the server's. Where answers then have other lengths too, it may well be that
    they were counted in other tokens.
    """
    runs = first, second
    own = [OWN_TOKENIZER in run.readings[metric].departures for run in runs]
    means = [run.conditions.output_tokens for run in runs]
    if own[0] == own[1] or alike(means[0], means[1]):
        return None
    return f"{names[own.index(True)]} counts other tokens: {_means(means[0], means[1], names)}"


def _loads(pair: tuple[Conditions, Conditions], names: tuple[str, str]) -> Iterator[Obstacle]:
    if {pair[0].closed, pair[1].closed} == {True, False}:
        closed, opened = names if pair[0].closed else names[::-1]
        yield Obstacle(
            f"{closed} is a closed loop and {opened} is not: one tells what so many users get, the "
            "other what an arrival rate gets"
        )


def _verdicts(pair: tuple[Conditions, Conditions], names: tuple[str, str]) -> Iterator[Obstacle]:
    for name, one in zip(names, pair, strict=True):
        if one.verdict == _CLIENT_BOUND:
            yield Obstacle(f"{name} is {_CLIENT_BOUND}: its numbers are of the client")
        if one.verdict == _OVERLOADED:
            says = f"{name} is {_OVERLOADED}: its latencies depend on how long it ran"
            yield Obstacle(says, LATENCIES)
    cached = [one.verdict == _CACHED for one in pair]
    if cached[0] != cached[1]:
        yield Obstacle(f"{names[cached.index(True)]} is {_CACHED}, and the other is not")


def _lengths(pair: tuple[Conditions, Conditions], names: tuple[str, str]) -> Iterator[Obstacle]:
    if not alike(pair[0].input_tokens, pair[1].input_tokens):
        means = _means(pair[0].input_tokens, pair[1].input_tokens, names)
        yield Obstacle(f"it depends on the input length, {means}", _BY_INPUT | _BY_BOTH)
    if not alike(pair[0].output_tokens, pair[1].output_tokens):
        means = _means(pair[0].output_tokens, pair[1].output_tokens, names)
        yield Obstacle(f"it depends on the output length, {means}", _BY_OUTPUT | _BY_BOTH)


def _means(first: float | None, second: float | None, names: tuple[str, str]) -> str:
    return f"on average {first:.0f} tokens in {names[0]} and {second:.0f} in {names[1]}"


def alike(first: float | None, second: float | None) -> bool:
    """Tell whether two means are the same for our purpose; unknown ones are taken to be."""
    if not first or not second:
        return True
    return abs(first - second) <= _ALIKE * max(first, second)


def remarks(first: Measured, second: Measured, names: tuple[str, str]) -> list[str]:
    """Return what must be known to read the ratios, and does not forbid them."""
    one, other = first.conditions, second.conditions
    found = [
        f"{what} differs: {a} in {names[0]}, {b} in {names[1]}"
        for what, a, b in (
            ("the model", one.model, other.model),
            ("the concurrency", one.concurrency, other.concurrency),
            ("the rate of requests", _shown(one.rate_per_s), _shown(other.rate_per_s)),
        )
        if None not in (a, b) and a != b
    ]
    if {one.simulated, other.simulated} == {True, None}:
        found.append(f"{names[0] if one.simulated else names[1]} is of a simulator")
    shares = [_failed_share(conditions) for conditions in (one, other)]
    if abs(shares[0] - shares[1]) > _FAILED_SHARE:
        found.append(
            f"{shares[0]:.1%} of the requests failed in {names[0]} and {shares[1]:.1%} in "
            f"{names[1]}; latencies are of the others only"
        )
    return found


def _shown(rate: float | None) -> str | None:
    return None if rate is None else f"{rate:g} a second"


def _failed_share(conditions: Conditions) -> float:
    failed = conditions.failed or 0
    total = failed + (conditions.succeeded or 0)
    return failed / total if total else 0.0
