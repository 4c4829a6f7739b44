"""From what every run found to medians, and to who is best at what. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

OURS = "least_work"

Figures = Mapping[str, float]
# What each run found, by system, workload and policy.
Found = Mapping[tuple[str, str, str], Sequence[Figures]]
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that policies are compared by.

    Attributes:
        tolerance: Share of the figure below which a difference is no difference.
    """

    name: str
    more_is_better: bool = False
    tolerance: float = 0.02


METRICS = (
    Metric("ttft_p50_s"),
    Metric("ttft_p99_s", tolerance=0.1),
    Metric("e2e_mean_s"),
    Metric("output_tokens_per_s", more_is_better=True),
    Metric("cached_share", more_is_better=True),
    # Nobody waits for it: it matters as far as the others show it.
    Metric("imbalance", tolerance=0.05),
)


def policy_rows(found: Found) -> list[Row]:
    """Return a row per system, workload and policy, with the median of every figure."""
    return [
        {"system": system, "workload": workload, "policy": policy, "runs": len(runs)}
        | {name: round(_median(runs, name), 4) for name in runs[0]}
        for (system, workload, policy), runs in found.items()
    ]


def verdicts(found: Found) -> list[Row]:
    """Return a row per system, workload and figure: who is best, and why if it is not ours."""
    places = dict.fromkeys((system, workload) for system, workload, _ in found)
    return [row for place in places for row in _verdicts_of(found, *place)]


def _verdicts_of(found: Found, system: str, workload: str) -> Iterator[Row]:
    runs = {key[2]: of for key, of in found.items() if key[:2] == (system, workload)}
    if OURS not in runs:
        return
    for metric in METRICS:
        if all(metric.name in figures for of in runs.values() for figures in of):
            yield {"system": system, "workload": workload, **_verdict(metric, runs)}


def _verdict(metric: Metric, runs: Mapping[str, Sequence[Figures]]) -> Row:
    sign = -1 if metric.more_is_better else 1
    best = min(runs, key=lambda policy: sign * _median(runs[policy], metric.name))
    ours, theirs = (_median(runs[policy], metric.name) for policy in (OURS, best))
    noise = max(_spread(runs[OURS], metric.name), _spread(runs[best], metric.name))
    row: Row = {"figure": metric.name, "best": best, "value": round(theirs, 4)}
    row |= {"least_work": round(ours, 4), "noise": round(noise, 4)}
    if sign * (ours - theirs) > max(noise, metric.tolerance * abs(theirs)):
        return row | {"verdict": "behind", "why": _why(metric, best, runs)}
    return row | {"verdict": "best" if best == OURS else "equal"}


def _why(metric: Metric, best: str, runs: Mapping[str, Sequence[Figures]]) -> str:
    """Return what the best pays for it, in the other figures."""
    price = []
    for other in METRICS:
        if other is metric or any(other.name not in of[0] for of in (runs[OURS], runs[best])):
            continue
        ours, theirs = (_median(runs[policy], other.name) for policy in (OURS, best))
        sign = -1 if other.more_is_better else 1
        if sign * (theirs - ours) > other.tolerance * abs(ours):
            price.append(f"{other.name} {theirs:.3g} (least_work {ours:.3g})")
    if price:
        return f"{best} pays for it: " + ", ".join(price)
    return f"{best} is no worse in any other figure"


def _median(runs: Sequence[Figures], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def _spread(runs: Sequence[Figures], name: str) -> float:
    """Return half of the range over the runs."""
    values = [run[name] for run in runs]
    return (max(values) - min(values)) / 2


def table(rows: Sequence[Row]) -> str:
    """Return rows as text, one a line."""
    return "\n".join("  ".join(f"{key}={value}" for key, value in row.items()) for row in rows)
