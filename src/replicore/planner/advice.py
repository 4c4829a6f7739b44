"""The recommendation in one sentence, with its reason from cost shares and memory. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from replicore.planner.plan import Forecast, Outcome, Plan, Service

# What costs are called in a sentence, with their verb.
_NAMES = {
    "weights": "reading weights is",
    "kv": "reading the KV cache is",
    "compute": "arithmetic of decoding is",
    "prefill": "prefill is",
    "collectives": "collectives are",
    "host": "launches and the host are",
    "queue": "waiting is",
}

# From here on a layout is told as a bet, below it as the nearest miss.
_LIKELY = 0.5

# A cost with a smaller share is no reason.
_WORTH_TELLING = 0.1

# Up to so many times as much is as much: predictions are not better than that.
_AS_MUCH = 1.05

_MINUTE_S, _HOUR_S = 60.0, 3600.0


def reason(plan: Plan) -> str:
    """Return the recommendation; where there is none, why not, and what comes nearest."""
    best = plan.best
    if best is None or best.service is None:
        return _nothing_runs(plan)
    if not plan.feasible:
        return _nearest(plan, best, best.service)
    parts = [_achieves(plan, best.service), *_setting(plan, best)]
    parts += _rivals(plan, best, best.service)
    return f"{describe(best)}: {'; '.join(parts)}"


def describe(outcome: Outcome) -> str:
    """Return ``4 x TP16 with batch 4``."""
    return f"{outcome.replicas} x TP{outcome.tp} with batch {outcome.batch_size}"


def told_s(seconds: float) -> str:
    """Return a time for people, with three digits."""
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 10 * _MINUTE_S:
        return f"{seconds:.3g} s"
    if seconds < 10 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:,.0f} h"


def share(shares: Mapping[str, float], cost: str, of: str) -> str:
    """Return ``collectives are 41 % of TPOT``."""
    return f"{_NAMES[cost]} {100 * shares[cost]:.0f} % of {of}"


def _nothing_runs(plan: Plan) -> str:
    """Return the reason of the layout that asks least of a core: the one with the largest tp."""
    with_memory = [each for each in plan.outcomes if each.memory is not None]
    candidates = with_memory or list(plan.outcomes)
    if not candidates:
        return "no layout can be run: there is no core to run it on"
    last = min(candidates, key=lambda each: (-each.tp, each.batch_size, each.replicas))
    return f"no layout can be run: with {describe(last)} {last.refusal}"


def _achieves(plan: Plan, service: Service) -> str:
    value = service.tokens_per_s.value
    said = f"{value:.0f} output tok/s" if value >= 100 else f"{value:.3g} output tok/s"
    if not plan.question.slo.stated:
        return said
    return f"{said}, and the SLO is met with a probability of {100 * service.meets:.0f} %"


def _setting(plan: Plan, best: Outcome) -> Iterator[str]:
    """Yield what the spec must say for `replicore up` to take so many slots."""
    own = plan.question.own_batch_size
    if own not in (None, best.batch_size):
        yield f"it takes layout.batch_size = {best.batch_size}, and the spec has {own}"


def _nearest(plan: Plan, best: Outcome, service: Service) -> str:
    """Return that nothing is sure to meet the SLO, what comes nearest, and what is in the way."""
    chance = f"{100 * service.meets:.0f} %"
    if service.ttft_s is None:
        return (
            f"no layout of one machine keeps up with {plan.question.load.rate_per_s:g} requests/s: "
            f"{describe(best)} comes nearest, and {service.utilisation:.2f} times as much arrives "
            "as it can do"
        )
    missed = "; ".join(_missed(plan, service))
    if service.meets >= _LIKELY:
        asked = f"{100 * (1 - plan.question.risk):.3g} %"
        return (
            f"{describe(best)} is the best bet, not a safe one: {_achieves(plan, service)}, "
            f"{asked} being asked; {'; '.join([missed, *_setting(plan, best)])}"
        )
    return (
        f"no layout is likely to meet the SLO: {describe(best)} comes nearest, with a probability "
        f"of {chance}; {missed}"
    )


def _missed(plan: Plan, service: Service) -> list[str]:
    """Return the limits that may be missed, or the nearest one, each with its largest cost."""
    slo, found = plan.question.slo, []
    if slo.ttft_p99_s is not None and service.ttft_p99_s is not None:
        found.append(_Limit("TTFT", service.ttft_p99_s, slo.ttft_p99_s, service.ttft_shares))
    if slo.tpot_p99_s is not None:
        found.append(_Limit("TPOT", service.tpot_p99_s, slo.tpot_p99_s, service.tpot_shares))
    found.sort(key=lambda each: each.forecast.value / each.limit_s, reverse=True)
    missed = [each for each in found if each.forecast.high > each.limit_s]
    return [each.told() for each in missed or found[:1]]


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit, what is predicted, and the shares of its costs."""

    name: str
    forecast: Forecast
    limit_s: float
    shares: Mapping[str, float]

    def told(self) -> str:
        cost = max(self.shares, key=lambda name: self.shares[name])
        between = f"{told_s(self.forecast.low)} to {told_s(self.forecast.high)}"
        return (
            f"{self.name} p99 is {between} of {told_s(self.limit_s)}, and "
            f"{share(self.shares, cost, self.name)}"
        )


def _rivals(plan: Plan, best: Outcome, service: Service) -> Iterator[str]:
    """Yield why neither a larger tp nor a smaller one is better."""
    served = [each for each in plan.outcomes if each.service is not None]
    for rival in (_first(served, lambda tp: tp > best.tp), _first(served, lambda tp: tp < best.tp)):
        if rival is not None and rival.service is not None:
            yield _versus(plan, service, rival, rival.service)
    smaller = [each for each in plan.outcomes if each.tp < best.tp]
    if smaller and all(each.service is None for each in smaller):
        nearest = max(smaller, key=lambda each: (each.tp, -each.batch_size, -each.replicas))
        yield f"TP{nearest.tp} cannot be run: {nearest.refusal}"


def _first(outcomes: Sequence[Outcome], wanted: Callable[[int], bool]) -> Outcome | None:
    return next((each for each in outcomes if wanted(each.tp)), None)


def _versus(plan: Plan, service: Service, rival: Outcome, theirs: Service) -> str:
    """Return how a rival falls short, and the cost of which it has more than the best one."""
    why = _why(service, rival, theirs)
    if theirs.meets < 1 - plan.question.risk:
        met = f"{100 * theirs.meets:.0f} %"
        return f"{describe(rival)} would meet the SLO with a probability of {met}{why}"
    if plan.question.load.rate_per_s is not None:
        return f"{describe(rival)} needs {rival.cores} cores{why}"
    times = service.tokens_per_s.value / theirs.tokens_per_s.value
    if times < _AS_MUCH:
        return f"as many tokens as {describe(rival)}"
    return f"{times:.2f} times the tokens of {describe(rival)}{why}"


def _why(service: Service, rival: Outcome, theirs: Service) -> str:
    cost = max(theirs.tpot_shares, key=lambda name: _excess_s(name, theirs, service))
    if _excess_s(cost, theirs, service) <= 0 or theirs.tpot_shares[cost] < _WORTH_TELLING:
        return ""
    return f", where {share(theirs.tpot_shares, cost, f'TPOT at TP{rival.tp}')}"


def _excess_s(cost: str, theirs: Service, ours: Service) -> float:
    """Return how much longer a cost takes of TPOT, in seconds."""
    return (
        theirs.tpot_shares[cost] * theirs.tpot_s.value - ours.tpot_shares[cost] * ours.tpot_s.value
    )
