"""One metric of two runs: its ratios with intervals, or why there are none. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from replicore.bench.compare.meaning import QUANTITIES, Metric
from replicore.bench.compare.measured import RATE, Reading
from replicore.bench.compare.pairing import Pairing
from replicore.bench.compare.ratio import of_pairs, of_points
from replicore.bench.stats.scaling import Better, Ratio
from replicore.errors import UndefinedMetric

# Percentiles between these would say the same again, and make every p-value worth less.
STATISTICS = ("mean", "p50", "p99", RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A ratio, as far as the data carry it.

    Attributes:
        value: The second number over the first; None where that would say nothing.
        ratio: With its interval; None where that cannot be known.
        because: Why one of the two is None.
    """

    value: float | None = None
    ratio: Ratio | None = None
    because: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """One metric of two runs.

    Attributes:
        readings: None where a run has no such number.
        names: What the runs are called.
        forbidden: Why the metric is not to be compared at all.
    """

    metric: Metric
    readings: tuple[Reading | None, Reading | None]
    names: tuple[str, str]
    pairing: Pairing
    forbidden: str | None = None


def judged(sides: Sides) -> dict[str, Judged]:
    """Return the ratio of each statistic that one of the two runs has."""
    first, second = sides.readings
    statistics = [
        statistic
        for statistic in STATISTICS
        if any(reading and statistic in reading.points for reading in sides.readings)
    ]
    if first is None or second is None:
        missing = sides.names[0] if first is None else sides.names[1]
        return dict.fromkeys(statistics, Judged(because=f"{missing} has no such number"))
    found = {}
    for statistic in statistics:
        because = sides.forbidden or next(_faults(sides, statistic), None)
        if because:
            found[statistic] = Judged(because=because)
        else:
            found[statistic] = _judged(sides, first, second, statistic)
    return found


def _faults(sides: Sides, statistic: str) -> Iterator[str]:
    for name, reading in zip(sides.names, sides.readings, strict=True):
        if reading is None or statistic not in reading.points:
            yield f"{name} has no {statistic}: its sample does not carry one"
        elif not reading.points[statistic].value > 0:
            yield f"it is 0 in {name}"


def _judged(sides: Sides, first: Reading, second: Reading, statistic: str) -> Judged:
    plain = second.points[statistic].value / first.points[statistic].value
    try:
        ratio = _ratio(sides, first, second, statistic)
    except UndefinedMetric as error:
        return Judged(value=plain, because=error.message)
    return Judged(value=plain, ratio=ratio)


def _ratio(sides: Sides, first: Reading, second: Reading, statistic: str) -> Ratio:
    better: Better = "higher" if QUANTITIES[sides.metric].rate else "lower"
    pairs = sides.pairing.values(first, second)
    if pairs is not None:
        return of_pairs(*pairs, statistic, block=sides.pairing.block, better=better)
    for name, reading in zip(sides.names, (first, second), strict=True):
        if reading.points[statistic].low is None:
            raise UndefinedMetric(f"{name} has no interval of it")
    return of_points(first.points[statistic], second.points[statistic], better=better)
