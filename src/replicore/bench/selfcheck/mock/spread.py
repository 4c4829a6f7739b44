"""Many durations, counted by 10 us so that a hundred thousand a second cost no memory. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_BUCKETS_PER_S = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Quantiles of durations in seconds, rounded up to 10 us; 0 where there are none."""

    n: int
    p50_s: float
    p99_s: float
    max_s: float


class Durations:
    """Takes durations one by one."""

    __slots__ = ("_counts", "_most")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._most = 0.0

    def add(self, seconds: float) -> None:
        """Count one; what is below 0 counts as 0."""
        if seconds > self._most:
            self._most = seconds
        bucket = int(seconds * _BUCKETS_PER_S) if seconds > 0 else 0
        counts = self._counts
        counts[bucket] = counts.get(bucket, 0) + 1

    def spread(self) -> Spread:
        ordered = sorted(self._counts.items())
        n = sum(self._counts.values())
        return Spread(
            n=n,
            p50_s=self._quantile(0.5, n, ordered),
            p99_s=self._quantile(0.99, n, ordered),
            max_s=self._most,
        )

    def _quantile(self, p: float, n: int, ordered: list[tuple[int, int]]) -> float:
        """Return the upper bound of the bucket with the smallest value that n p are not above."""
        seen = 0
        for bucket, count in ordered:
            seen += count
            if seen >= p * n:
                return min((bucket + 1) / _BUCKETS_PER_S, self._most)
        return 0.0
