"""Result files of benchmarks as calibration points: ours, and those of other tools. Pure.

A result says how fast requests were, and seldom what answered them: the layout is given besides,
and model, engine and device are those of the spec.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from replicore.bench.compare.meaning import Metric, Weight
from replicore.bench.compare.measured import Measured, Reading
from replicore.bench.selfcheck.verdict import Kind
from replicore.bench.sweep.plan import SweptLayout
from replicore.errors import ConfigError
from replicore.planner.step.traffic import Case, Observation, Traffic

# A median is below the mean where times are skewed, and else the same.
_STATISTICS = ("mean", "p50")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One result that counts.

    Attributes:
        warning: Why to doubt it; empty where there is no reason to.
    """

    observation: Observation
    layout: SweptLayout
    warning: str = ""


# The case of a layout, with the traffic of one of its replicas.
CaseOf = Callable[[SweptLayout, Traffic], Case]


def point_of(run: Measured, layout: SweptLayout | None, case_of: CaseOf) -> Point:
    """Return what a run says to the planner.

    Args:
        layout: That it was measured with; None where nobody said.

    Raises:
        ConfigError: It cannot be used; the message says why.
    """
    if layout is None:
        raise ConfigError(
            f"{run.name}: does not say with how many replicas and cores it was measured",
            hint="write it behind the file: --points result.json=2x4 is 2 replicas of 4 cores",
        )
    traffic = _traffic(run, layout)
    observation = Observation(
        case=case_of(layout, traffic),
        ttft_s=_seconds(run, Metric.TTFT),
        tpot_s=_tpot(run, traffic.output_tokens),
        source=f"{run.name} ({run.tool})",
    )
    return Point(observation=observation, layout=layout, warning=_warning(run))


def _traffic(run: Measured, layout: SweptLayout) -> Traffic:
    found = run.conditions
    if found.closed is False or found.concurrency is None:
        raise ConfigError(
            f"{run.name}: is no closed loop, so it is not known how many requests each replica had "
            "at a time; use a run with a fixed number of requests in flight"
        )
    if not found.input_tokens or not found.output_tokens:
        raise ConfigError(f"{run.name}: does not say how long its requests and answers were")
    if found.simulated:
        raise ConfigError(f"{run.name}: is of a simulator, so it says nothing about a real engine")
    return Traffic(
        input_tokens=found.input_tokens,
        output_tokens=found.output_tokens,
        concurrency=max(1.0, found.concurrency / layout.replicas),
    )


def _tpot(run: Measured, output_tokens: float) -> float:
    """Return TPOT; of a tool without one (E2E - TTFT) / (n - 1), of the means."""
    if Metric.TPOT in run.readings or Metric.E2E not in run.readings or output_tokens <= 1:
        return _seconds(run, Metric.TPOT)
    return (_seconds(run, Metric.E2E) - _seconds(run, Metric.TTFT)) / (output_tokens - 1)


def _seconds(run: Measured, metric: Metric) -> float:
    reading = run.readings.get(metric)
    if reading is None:
        others = ", ".join(sorted(run.readings)) or "nothing"
        raise ConfigError(
            f"{run.name}: has no {metric.upper().removesuffix('_S')}; it has {others}"
        )
    fatal = [one.says for one in reading.departures if one.weight is Weight.FATAL]
    if fatal:
        raise ConfigError(f"{run.name}: its {reading.field} {fatal[0]}, so it cannot be used")
    return _statistic(run, metric, reading)


def _statistic(run: Measured, metric: Metric, reading: Reading) -> float:
    for name in _STATISTICS:
        found = reading.points.get(name)
        if found is not None and found.value > 0:
            return found.value
    raise ConfigError(f"{run.name}: its {metric} has neither a mean nor a median")


def _warning(run: Measured) -> str:
    kind = run.conditions.verdict
    if kind in (None, Kind.VALID, Kind.TOO_FEW_SAMPLES):
        return ""
    return f"{run.name}: the run is {kind}, so its times may be too long; it is used all the same"
