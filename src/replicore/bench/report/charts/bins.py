"""A run cut into equal times, for charts over time. Pure."""

from __future__ import annotations

import math

import numpy as np

from replicore.bench.stats.arrays import Floats, Ints

_STEPS = (1.0, 2.0, 5.0)


def bin_edges(end_s: float, *, most: int = 100) -> Floats:
    """Return the edges of at most ``most`` bins of a round width, ``(bins + 1,)``, from 0 on.

    The last bin ends with the run. It is joined to the one before where it would be shorter than
    half a width: rates of so short a time say nothing.

    >>> bin_edges(9.0, most=5).tolist()
    [0.0, 2.0, 4.0, 6.0, 9.0]
    """
    if not end_s > 0:
        return np.array([0.0, 1.0])
    width = _round_up(end_s / most)
    edges = np.arange(math.ceil(end_s / width)) * width
    if len(edges) > 1 and end_s - edges[-1] <= width / 2:
        edges = edges[:-1]
    return np.append(edges, end_s)


def _round_up(width: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is at least ``width``."""
    power = 10.0 ** math.floor(math.log10(width))
    return next((step * power for step in _STEPS if step * power >= width), 10 * power)


def per_second(times: Floats, amounts: Floats, edges: Floats) -> Floats:
    """Return the sum of the amounts in each bin over its length, ``(bins,)``."""
    sums, _ = np.histogram(times, edges, weights=amounts)
    return np.asarray(sums / np.diff(edges), dtype=np.float64)


def in_flight(starts: Floats, ends: Floats, edges: Floats) -> Floats:
    """Return how many of the times from start to end hold a moment, in the mean of each bin.

    Args:
        edges: All starts and ends lie between the first and the last of them.
    """
    times = np.concatenate((starts, ends, edges))
    changes = np.repeat((1.0, -1.0, 0.0), (len(starts), len(ends), len(edges)))
    order = np.argsort(times)
    levels = np.cumsum(changes[order])[:-1]
    areas = np.concatenate(([0.0], np.cumsum(levels * np.diff(times[order]))))
    return np.asarray(np.diff(np.interp(edges, times[order], areas)) / np.diff(edges))


def thinned(values: Floats, *, most: int) -> Ints:
    """Return which of the values to draw, ascending: all, or the extremes of equal runs of them.

    Of each run the largest and the smallest are kept, so no outlier is lost.
    """
    if len(values) <= most:
        return np.arange(len(values))
    runs = np.array_split(np.arange(len(values)), most // 2)
    kept = {int(pick) for run in runs for pick in _extremes(values, run)}
    return np.array(sorted(kept))


def _extremes(values: Floats, run: Ints) -> tuple[np.int64, np.int64]:
    part = values[run]
    return run[part.argmin()], run[part.argmax()]
