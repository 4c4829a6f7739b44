"""Runs against the first of them: what means the same, and the ratios. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase

from replicore.bench.compare.judging import Judged, Sides, judged
from replicore.bench.compare.meaning import Metric, Relation, Sameness, relation
from replicore.bench.compare.measured import Measured, Point
from replicore.bench.compare.obstacles import Obstacle, counted_apart, obstacles, remarks
from replicore.bench.compare.pairing import Pairing
from replicore.bench.stats.scaling import holm

_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One statistic of one metric in two runs.

    Attributes:
        first: The baseline's number; None where it has none.
        judged: The second over the first, or why it is not told.
        clear: Whether the difference is more than chance, by Holm's rule over all ratios of
            the pair.
    """

    metric: Metric
    statistic: str
    first: Point | None
    second: Point | None
    judged: Judged
    clear: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One run against the baseline.

    Attributes:
        names: What the two are called.
        relations: Whether each metric's fields mean the same.
        paired: Whether the ratios are of the same requests.
        obstacles: What forbids ratios.
        remarks: What must be known to read the others, one sentence each.
    """

    first: Measured
    second: Measured
    names: tuple[str, str]
    relations: Mapping[Metric, Relation]
    lines: Sequence[Line]
    paired: bool
    obstacles: Sequence[Obstacle]
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All runs, and each but the first against the first."""

    runs: Sequence[Measured]
    pairs: Sequence[Pair]


def name_of(place: int) -> str:
    """Return what the run at a place is called: A to Z, then A1, B1 and so on."""
    around, letter = divmod(place, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(around) if around else "")


def compare(runs: Sequence[Measured]) -> Comparison:
    """Compare every run with the first one; there are at least two."""
    baseline, *others = runs
    pairs = [
        _pair(baseline, other, (name_of(0), name_of(place)))
        for place, other in enumerate(others, start=1)
    ]
    return Comparison(runs=runs, pairs=pairs)


def _pair(first: Measured, second: Measured, names: tuple[str, str]) -> Pair:
    pairing = Pairing(first, second)
    found = obstacles(first, second, names)
    relations: dict[Metric, Relation] = {}
    lines: list[Line] = []
    for metric in Metric:
        readings = first.readings.get(metric), second.readings.get(metric)
        if all(reading is None or reading.aside for reading in readings):
            continue
        sides = Sides(metric=metric, readings=readings, names=names, pairing=pairing)
        relations[metric] = _relation(sides)
        forbidden = _forbidden(metric, relations[metric], found)
        if forbidden is None and None not in readings:
            forbidden = counted_apart(first, second, metric, names)
        lines += _lines(replace(sides, forbidden=forbidden))
    return Pair(
        first=first,
        second=second,
        names=names,
        relations=relations,
        lines=_with_clear(lines),
        paired=pairing.paired,
        obstacles=found,
        remarks=remarks(first, second, names),
    )


def _relation(sides: Sides) -> Relation:
    first, second = sides.readings
    if first is None or second is None:
        return Relation(Sameness.ONE_SIDED)
    return relation((sides.names[0], first.departures), (sides.names[1], second.departures))


def _forbidden(metric: Metric, related: Relation, found: Sequence[Obstacle]) -> str | None:
    if related.sameness is Sameness.DIFFERENT:
        return "; ".join(related.reasons)
    return next((it.says for it in found if metric in it.metrics), None)


def _lines(sides: Sides) -> list[Line]:
    first, second = sides.readings
    return [
        Line(
            metric=sides.metric,
            statistic=statistic,
            first=first.points.get(statistic) if first else None,
            second=second.points.get(statistic) if second else None,
            judged=result,
        )
        for statistic, result in judged(sides).items()
    ]


def _with_clear(lines: Sequence[Line]) -> list[Line]:
    """Mark the ratios that stay significant when all of them are looked at together."""
    adjusted = iter(holm([it.judged.ratio.p_value for it in lines if it.judged.ratio]))
    return [
        replace(line, clear=next(adjusted) < _SIGNIFICANT) if line.judged.ratio else line
        for line in lines
    ]
