"""Whether a measured layout tells of another: measured times the ratio of two predictions.

Every pair of rows that differ in tp, in concurrency or in both is tried both ways: the plain
prediction of the second, and the first's measurement times predicted second over predicted first.
What a prediction gets wrong of both cancels out. No prediction has seen either row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from benchmarks.planner.rows import Row
from benchmarks.planner.whatif_points import (
    MODES,
    Point,
    at_once_points,
    offline_points,
    tpot_points,
    ttft_points,
)
from replicore.planner.prediction.fit import Array

Report = dict[str, Any]

_POINTS = {
    "TPOT": tpot_points,
    "TTFT": ttft_points,
    "tok/s, saturated": offline_points,
    "tok/s, all at once": at_once_points,
}


def whatif_report(rows: Sequence[Row]) -> Report:
    """Return the errors of both ways, by what was measured, what differs and what was known."""
    return {
        "pairs": [
            figures
            for name, points in _POINTS.items()
            for figures in _figures(name, list(points(rows)))
        ]
    }


def pairs(points: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    """Yield every measured point with every other one of its case."""
    cases: defaultdict[tuple[str, ...], list[Point]] = defaultdict(list)
    for point in points:
        cases[point.case].append(point)
    for case in cases.values():
        for first, second in permutations(case, 2):
            if (first.tp, first.concurrency) != (second.tp, second.concurrency):
                yield first, second


def _figures(name: str, points: Sequence[Point]) -> Iterator[dict[str, Any]]:
    by_change: defaultdict[str, list[tuple[Point, Point]]] = defaultdict(list)
    for first, second in pairs(points):
        by_change[_change(first, second)].append((first, second))
    for change, found in sorted(by_change.items()):
        for at, mode in enumerate(MODES):
            errors = _errors(found, at)
            yield {"of": name, "change": change, "known": mode, "pairs": len(found), **errors}


def _change(first: Point, second: Point) -> str:
    if first.tp == second.tp:
        return "concurrency"
    return "tp" if first.concurrency == second.concurrency else "tp and concurrency"


def _errors(found: Sequence[tuple[Point, Point]], mode: int) -> dict[str, float]:
    plain = np.array([second.predicted[mode] / second.measured for _, second in found])
    first = np.array([first.predicted[mode] / first.measured for first, _ in found])
    return _percentiles("plain", plain) | _percentiles("ratio", plain / first)


def _percentiles(name: str, ratio: Array) -> dict[str, float]:
    percent = 100 * np.abs(ratio - 1)
    return {
        f"{name}_median_percent": float(np.median(percent)),
        f"{name}_p90_percent": float(np.percentile(percent, 90)),
    }


def lines(report: Report) -> list[str]:
    """Return the report as a table for people."""
    head = "what if: median / p90 error, predicted alone -> by ratio to a measured row"
    return [head, *(_line(each) for each in report["pairs"])]


def _line(at: dict[str, Any]) -> str:
    plain, ratio = (
        f"{at[f'{way}_median_percent']:5.1f} / {at[f'{way}_p90_percent']:5.1f}"
        for way in ("plain", "ratio")
    )
    about = f"{at['of']:<19} {at['change']:<19} {at['known']:<13} {at['pairs']:>6} pairs"
    return f"  {about}  {plain} -> {ratio} %"
