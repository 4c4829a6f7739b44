"""Runs in the common form, for tests of what is done with them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from replicore.bench.compare.meaning import Departure, Metric
from replicore.bench.compare.measured import Conditions, Measured, Reading, of_rate, of_values


def latencies(median: float, count: int = 1000, seed: int = 1) -> list[float]:
    """Independent values around a median."""
    spread = np.random.default_rng(seed).lognormal(0.0, 0.1, count)
    return [median * value for value in spread.tolist()]


def reading(values: Iterable[float | None], *departures: Departure) -> Reading:
    found = of_values("field", values, depth=8, departures=departures)
    assert found is not None
    return found


def rate(value: float, low: float | None = None, high: float | None = None) -> Reading:
    found = of_rate("rate", value, low=low, high=high)
    assert found is not None
    return found


def run(
    readings: Mapping[Metric, Reading] | None = None,
    *,
    workload: Hashable = None,
    keys: Sequence[Hashable] = (),
    notes: Sequence[str] = (),
    **conditions: Any,
) -> Measured:
    given: dict[str, Any] = {"model": "tiny", "closed": True, "concurrency": 8}
    return Measured(
        name="run.json",
        tool="replicore 1.0",
        conditions=Conditions(**(given | conditions)),
        readings=readings or {},
        workload=workload,
        keys=keys,
        notes=notes,
    )
