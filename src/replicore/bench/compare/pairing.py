"""Two runs' values of a metric, request by request where both are of the same requests. Pure."""

from __future__ import annotations

import numpy as np

from replicore.bench.compare.measured import Measured, Reading
from replicore.bench.stats.arrays import Floats

# Runs of one workload with fewer than this share of their requests in common are not paired.
_IN_COMMON = 0.8
# Requests that are taken to depend on each other, unless more are in flight.
_SMALLEST_BLOCK = 10


class Pairing:
    """A baseline and another run.

    Attributes:
        paired: Whether their values are of the same requests.
        block: Requests that may depend on each other: as many as are in flight.
    """

    def __init__(self, first: Measured, second: Measured) -> None:
        in_flight = (run.conditions.concurrency or 0 for run in (first, second))
        self.block = max(_SMALLEST_BLOCK, *in_flight)
        self._keys = first.keys, second.keys
        self.paired = (
            first.workload is not None
            and first.workload == second.workload
            and self._in_common() >= _IN_COMMON
        )

    def _in_common(self) -> float:
        first, second = map(set, self._keys)
        return len(first & second) / max(len(first), len(second), 1)

    def values(self, first: Reading, second: Reading) -> tuple[Floats, Floats] | None:
        """Return both runs' values of the same requests, in the order of sending, ``(pairs,)``.

        Requests without a value in either are left out. None where the runs are not paired, where
        one has no values, and where one has requests that were not seen to their end: these have
        none, and would have the largest.
        """
        if not self.paired or first.values is None or second.values is None:
            return None
        if first.censored or second.censored:
            return None
        places = {key: place for place, key in enumerate(self._keys[1])}
        pairs = np.array(
            [
                (value, second.values[places[key]])
                for key, value in zip(self._keys[0], first.values.tolist(), strict=True)
                if key in places
            ]
        ).reshape(-1, 2)
        both = pairs[np.isfinite(pairs).all(axis=1)]
        return both[:, 0], both[:, 1]
