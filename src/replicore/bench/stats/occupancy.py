"""How many requests are in flight, as a step function of time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from replicore.bench.record import RequestRecord
from replicore.bench.stats.arrays import Floats

Spans = Iterable[tuple[float, float]]


class Occupancy:
    """The number of half-open spans that hold a time.

    Args:
        spans: Start and end of each, in seconds of the run's clock.
    """

    __slots__ = ("_levels", "_times")

    def __init__(self, spans: Spans) -> None:
        edges = np.array(list(spans), dtype=np.float64).reshape(-1, 2)
        changes = np.concatenate((np.ones(len(edges)), -np.ones(len(edges))))
        self._times, place = np.unique(edges.T.ravel(), return_inverse=True)
        self._levels = np.cumsum(np.bincount(place.ravel(), changes, len(self._times)))

    def at(self, times: Floats) -> Floats:
        """Return the number at each time, ``(times,)``."""
        if not len(self._times):
            return np.zeros(len(times))
        levels = np.concatenate(([0.0], self._levels))
        return np.asarray(levels[np.searchsorted(self._times, times, side="right")])

    def between(self, need: float) -> tuple[float, float] | None:
        """Return the first and the last instant with at least ``need``; None if there is none."""
        enough = np.flatnonzero(self._levels >= need)
        if not len(enough):
            return None
        return float(self._times[enough[0]]), float(self._times[enough[-1] + 1])

    def mean(self, start_s: float, end_s: float) -> float:
        """Return the mean number over a window that is longer than 0."""
        lengths = self._lengths(start_s, end_s)
        return float(lengths @ self._levels[:-1]) / (end_s - start_s) if len(lengths) else 0.0

    def share(self, need: float, start_s: float, end_s: float) -> float:
        """Return the part of a window that is longer than 0 with at least ``need``."""
        lengths = self._lengths(start_s, end_s)
        enough = self._levels[:-1] >= need
        return float(lengths[enough].sum()) / (end_s - start_s) if len(lengths) else 0.0

    def _lengths(self, start_s: float, end_s: float) -> Floats:
        """Return how long each level but the last, which is 0, lasts within the window."""
        return np.diff(np.clip(self._times, start_s, end_s))


def in_flight(records: Iterable[RequestRecord]) -> Occupancy:
    """Return how many requests are on their way, each from its dispatch to its stream's end."""
    return Occupancy((record.dispatched_s, record.ended_s) for record in records)


def places(*groups: Sequence[RequestRecord]) -> Occupancy:
    """Return how many places of the loop are taken: a session keeps its own while it pauses.

    Args:
        groups: Records whose sessions are counted anew in each: warm-up, measured.
    """
    return Occupancy(span for records in groups for span in _spans(records))


def _spans(records: Sequence[RequestRecord]) -> Spans:
    if not any(record.turn for record in records):
        return [(record.dispatched_s, record.ended_s) for record in records]
    spans: dict[int, tuple[float, float]] = {}
    for record in records:
        start, end = spans.get(record.session, (record.dispatched_s, record.ended_s))
        spans[record.session] = (min(start, record.dispatched_s), max(end, record.ended_s))
    return spans.values()
