"""A run in the common form that every format is read into. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from replicore.bench.compare.meaning import Departure, Metric
from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.quantiles import Distribution, distribution

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
# The statistic of a rate: there is one number, not a distribution.
RATE = "rate"


@dataclass(frozen=True, slots=True)
class Point:
    """One number, and its 95 % interval where the file has one; seconds, or per second."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one file says of one metric.

    Attributes:
        field: The file's own name for it; that of its requests' if it was computed from them.
        departures: How it is not our definition.
        points: By statistic: ``mean`` and the percentiles, or ``rate``.
        censored: Requests of which is only known that they took longer than what was seen.
        values: One for each request in the order of sending, ``(requests,)``, NaN where it is not
            defined; None where the file has only a summary, and of gaps, which are several.
        aside: Whether the tool does not report it: it is there to stand beside one that does.
    """

    field: str
    departures: frozenset[Departure] = frozenset()
    points: Mapping[str, Point]
    censored: int = 0
    values: Floats | None = None
    aside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under what the numbers were measured; None for what the file does not tell.

    Attributes:
        closed: Whether the loop was closed.
        concurrency: Requests kept in flight, or the most that may be.
        rate_per_s: Requests a second that were asked for.
        arrivals: How an open loop spreads them, in the words of the tool.
        input_tokens: Mean of the requests, as the tool counted.
        output_tokens: Mean of the answers.
        succeeded: Requests.
        failed: Requests, those that were cut off at the end not counted.
        simulated: Whether a simulator answered.
        verdict: What the run says of itself.
    """

    model: str | None = None
    closed: bool | None = None
    concurrency: int | None = None
    rate_per_s: float | None = None
    arrivals: str | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    succeeded: int | None = None
    failed: int | None = None
    simulated: bool | None = None
    verdict: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run.

    Attributes:
        name: Of the file, and of the run within it where there are several.
        tool: What wrote it.
        workload: Equal in two runs of the same requests; None where that cannot be known.
        keys: Which request of the workload each value is of, ``(requests,)``.
        notes: What a reader of the numbers must know, one sentence each.
    """

    name: str
    tool: str
    conditions: Conditions
    readings: Mapping[Metric, Reading]
    workload: Hashable = None
    keys: Sequence[Hashable] = field(default=())
    notes: Sequence[str] = field(default=())


def of_values(
    field: str,
    values: Iterable[float | None],
    *,
    depth: int | None,
    scale: float = 1.0,
    departures: Iterable[Departure] = (),
) -> Reading | None:
    """Read one value for each request, in the order of sending; None where nothing is defined.

    Args:
        depth: Requests in flight: so many may be alike.
        scale: What turns a value into seconds: 0.001 for milliseconds.
    """
    every = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    every *= scale
    points = _points(distribution(every[np.isfinite(every)], depth=depth or 1))
    if not points:
        return None
    return Reading(field=field, departures=frozenset(departures), points=points, values=every)


def of_several(
    field: str,
    values: Sequence[Sequence[float]],
    *,
    depth: int | None,
    departures: Iterable[Departure] = (),
) -> Reading | None:
    """Read values that requests have several of, such as gaps, in seconds."""
    sizes = np.array([len(own) for own in values], dtype=np.int64)
    every = np.array([value for own in values for value in own], dtype=np.float64)
    points = _points(distribution(every, sizes=sizes, depth=depth or 1))
    if not points:
        return None
    return Reading(field=field, departures=frozenset(departures), points=points)


def _points(found: Distribution) -> dict[str, Point]:
    """Return the mean, and the percentiles that the sample carries."""
    points = (
        {} if found.mean is None else {"mean": Point(found.mean, found.mean_low, found.mean_high)}
    )
    for name, p in PERCENTILES.items():
        quantile = found.at(p)
        if quantile.value is not None:
            points[name] = Point(quantile.value, quantile.low, quantile.high)
    return points


def of_summary(
    field: str,
    points: Mapping[str, float | None],
    *,
    scale: float = 1.0,
    departures: Iterable[Departure] = (),
) -> Reading | None:
    """Read what a file says of a distribution; None where it says nothing."""
    known = {name: Point(value * scale) for name, value in points.items() if value is not None}
    if not known:
        return None
    return Reading(field=field, departures=frozenset(departures), points=known)


def of_rate(
    field: str,
    value: float | None,
    *,
    low: float | None = None,
    high: float | None = None,
    departures: Iterable[Departure] = (),
) -> Reading | None:
    """Read one rate, per second; None where the file has none."""
    if value is None:
        return None
    points = {RATE: Point(value, low, high)}
    return Reading(field=field, departures=frozenset(departures), points=points)


def aside(reading: Reading | None) -> Reading | None:
    """Return a reading that is listed only beside a tool that reports the metric."""
    return None if reading is None else replace(reading, aside=True)


def present(readings: Mapping[Metric, Reading | None]) -> dict[Metric, Reading]:
    """Return the readings that there are."""
    return {metric: reading for metric, reading in readings.items() if reading is not None}
