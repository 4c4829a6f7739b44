"""A comparison as one JSON document. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from replicore.bench.compare.comparison import Comparison, Line, Pair, name_of
from replicore.bench.compare.meaning import QUANTITIES, Metric
from replicore.bench.compare.measured import Measured, Point, Reading

SCHEMA = "replicore-compare/1"


def document(comparison: Comparison, *, command: list[str]) -> bytes:
    """Return the document; times are seconds, rates per second."""
    fields = {
        "schema": SCHEMA,
        "command": command,
        "metrics": {metric.value: QUANTITIES[metric].formula for metric in Metric},
        "runs": {name_of(place): _run(run) for place, run in enumerate(comparison.runs)},
        "pairs": [_pair(pair) for pair in comparison.pairs],
    }
    return msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n"


def _run(run: Measured) -> dict[str, object]:
    return {
        "name": run.name,
        "tool": run.tool,
        "conditions": msgspec.to_builtins(run.conditions),
        "metrics": {metric.value: _reading(found) for metric, found in run.readings.items()},
        "notes": list(run.notes),
    }


def _reading(reading: Reading) -> dict[str, object]:
    return {
        "field": reading.field,
        "departures": sorted(departure.says for departure in reading.departures),
        "values": None if reading.values is None else len(reading.values),
        "censored": reading.censored,
        "statistics": {name: _point(point) for name, point in reading.points.items()},
    }


def _pair(pair: Pair) -> dict[str, object]:
    return {
        "first": pair.names[0],
        "second": pair.names[1],
        "paired": pair.paired,
        "obstacles": [
            {"because": it.says, "metrics": sorted(metric.value for metric in it.metrics)}
            for it in pair.obstacles
        ],
        "remarks": list(pair.remarks),
        "metrics": {metric.value: _metric(pair, metric) for metric in pair.relations},
    }


def _metric(pair: Pair, metric: Metric) -> dict[str, object]:
    related = pair.relations[metric]
    return {
        "means_the_same": related.sameness.value,
        "reasons": list(related.reasons),
        "statistics": {line.statistic: _line(line) for line in pair.lines if line.metric is metric},
    }


def _line(line: Line) -> dict[str, object]:
    return {
        "first": _point(line.first),
        "second": _point(line.second),
        "ratio": line.judged.value,
        "interval": msgspec.to_builtins(line.judged.ratio),
        "clear": line.clear,
        "because": line.judged.because,
    }


def _point(point: Point | None) -> Mapping[str, float | None] | None:
    if point is None:
        return None
    return {"value": point.value, "low": point.low, "high": point.high}
