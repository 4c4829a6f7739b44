"""Our own result files, ``replicore-bench/1`` and ``/2``. Pure.

The summary's numbers are taken as they are, with their intervals; the single values behind them
come from the records. Against another tool the whole run counts, as it does there; among our own
results the steady window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec

from replicore.bench.compare.formats.source import (
    Source,
    at,
    first_of,
    number,
    objects,
    quotient,
    text,
    whole,
)
from replicore.bench.compare.meaning import Metric
from replicore.bench.compare.measured import (
    PERCENTILES,
    Conditions,
    Measured,
    Point,
    Reading,
    aside,
    of_rate,
    of_several,
    of_values,
    present,
)
from replicore.bench.record import RequestRecord
from replicore.bench.stats.latency import chunk_gaps, e2e, max_stall, normalized, tpot, ttft
from replicore.errors import ConfigError, UndefinedMetric

TOOL = "replicore"
_SCHEMAS = ("replicore-bench/1", "replicore-bench/2")
_FAMILY = "replicore-bench/"
_RATE_KEYS = ("rate", "rate_per_s")


def recognises(document: object) -> bool:
    """Tell whether it is ours.

    Raises:
        ConfigError: It is, but of a schema that this version does not know.
    """
    schema = text(at(document, "schema")) or ""
    if schema.startswith(_FAMILY) and schema not in _SCHEMAS:
        raise ConfigError(
            f'schema "{schema}" is not one of {", ".join(_SCHEMAS)}',
            hint="a newer replicore wrote it; upgrade this one",
        )
    return schema in _SCHEMAS


def read(source: Source, *, whole_run: bool) -> list[Measured]:
    """Read the run of a file.

    Args:
        whole_run: Whether its latencies are of all requests, not of the steady window.

    Raises:
        ConfigError: Its records are not of the schema.
    """
    document = source.document
    summary = at(document, "summary")
    run = at(summary, "whole")
    row = run if whole_run and run else at(summary, "total")
    # Schema 1 has no such row: its latencies are of the whole run.
    records = _records(source, None if whole_run or run is None else at(summary, "window"))
    intended = at(summary, "latency_from") == "intended"
    conditions = _conditions(document)
    values = _computed(records, conditions.concurrency, intended=intended)
    return [
        Measured(
            name=source.name,
            tool=_tool(document),
            conditions=conditions,
            readings=_distributions(row, values, intended=intended) | _rates(summary),
            workload=_workload(document),
            keys=[(record.index, record.turn) for record in records],
            notes=_notes(source, records),
        )
    ]


def _tool(document: object) -> str:
    version = text(at(document, "environment", "versions", "replicore"))
    return f"{TOOL} {version}" if version else TOOL


def _notes(source: Source, records: Sequence[RequestRecord]) -> list[str]:
    found = []
    if at(source.document, "run", "interrupted") is True:
        found.append("it was interrupted")
    if not records and (name := text(at(source.document, "records_file"))):
        found.append(f"its records are not there ({name}), so there are no ratios of latencies")
    return found


def _workload(document: object) -> object:
    """Return what names the requests: equal only if every one of them is the same."""
    run = at(document, "run")
    if at(run, "workload") is None:
        return None
    return msgspec.json.encode([at(run, "model"), at(run, "workload")], order="sorted")


def _conditions(document: object) -> Conditions:
    run, summary = at(document, "run"), at(document, "summary")
    row = at(summary, "whole") or at(summary, "total")
    succeeded = whole(at(row, "succeeded"))
    arrivals = at(run, "load", "arrivals")
    concurrency = first_of(run, ("load", "concurrency"), ("concurrency",))
    return Conditions(
        model=text(at(run, "model")),
        closed=arrivals is None,
        concurrency=whole(concurrency),
        rate_per_s=number(first_of(arrivals, *((name,) for name in _RATE_KEYS))),
        arrivals=_arrivals(arrivals),
        input_tokens=quotient(number(at(row, "input_tokens")), succeeded),
        output_tokens=quotient(number(at(row, "output_tokens")), succeeded),
        succeeded=succeeded,
        failed=whole(at(row, "errors")),
        simulated=at(run, "simulated") is True,
        verdict=text(at(document, "verdict", "kind")),
    )


def _arrivals(arrivals: object) -> str | None:
    """Return what is known of them besides their rate: ``poisson``, ``gamma, shape 0.5``."""
    if not isinstance(arrivals, Mapping):
        return text(arrivals)
    plain = {k: v for k, v in arrivals.items() if isinstance(v, int | float | str)}
    kind = [str(plain.pop("kind"))] if "kind" in plain else []
    return ", ".join(kind + [f"{k} {v}" for k, v in plain.items() if k not in _RATE_KEYS]) or None


def _records(source: Source, window: object) -> list[RequestRecord]:
    """Return the successful requests in the order of sending; of the window, if given."""
    listed = at(source.document, "records")
    if listed is None and (name := text(at(source.document, "records_file"))):
        listed = [line for line in source.beside(name) if line.get("warmup") is not True]
    try:
        every = msgspec.convert(listed or [], list[RequestRecord])
    except msgspec.ValidationError as error:
        raise ConfigError(f"its records are not those of a replicore result: {error}") from None
    start, end = number(at(window, "start_s")), number(at(window, "end_s"))
    good = [record for record in every if record.succeeded]
    if start is not None and end is not None:
        good = [record for record in good if start <= record.dispatched_s < end]
    return sorted(good, key=lambda record: record.dispatched_s)


def _computed(
    records: Sequence[RequestRecord], depth: int | None, *, intended: bool
) -> dict[Metric, Reading]:
    def values(metric: Callable[[RequestRecord], float]) -> Reading | None:
        found = (_defined(metric, record) for record in records)
        return of_values("records", found, depth=depth)

    gaps = [chunk_gaps(record) for record in records]
    found = {
        Metric.TTFT: values(ttft),
        Metric.TPOT: values(tpot),
        Metric.GAP: of_several("records", gaps, depth=depth),
        Metric.STALL: values(max_stall),
        Metric.E2E: values(e2e),
        Metric.NORMALIZED: values(normalized),
        Metric.REQUEST_RATE: aside(values(lambda record: 1 / normalized(record))),
    }
    if intended:
        found |= {
            Metric.TTFT_INTENDED: values(lambda record: ttft(record, "intended")),
            Metric.E2E_INTENDED: values(lambda record: e2e(record, "intended")),
        }
    return present(found)


def _defined(metric: Callable[[RequestRecord], float], record: RequestRecord) -> float | None:
    try:
        return metric(record)
    except (UndefinedMetric, ZeroDivisionError):
        return None


def _distributions(
    row: object, values: Mapping[Metric, Reading], *, intended: bool
) -> dict[Metric, Reading]:
    """Return the summary's distributions, with the values behind them where there are any.

    Those of schema 1 have no intervals, so what its records give is better.
    """
    found = dict(values)
    for metric, name in (_FROM_PLAN if intended else _FROM_DISPATCH).items():
        points = _points(at(row, name))
        if points and (metric not in found or at(row, name, "quantiles") is not None):
            own = found.get(metric, Reading(field=name, points={}))
            censored = whole(at(row, name, "censored")) or 0
            found[metric] = replace(own, field=name, points=points, censored=censored)
    return found


# Where each is in a row, by where the row's latencies begin.
_FROM_DISPATCH = {
    Metric.TTFT: "ttft_s",
    Metric.TPOT: "tpot_s",
    Metric.GAP: "gap_s",
    Metric.STALL: "max_stall_s",
    Metric.E2E: "e2e_s",
    Metric.NORMALIZED: "normalized_s",
}
_FROM_PLAN = {
    Metric.TTFT: "ttft_dispatched_s",
    Metric.TPOT: "tpot_s",
    Metric.GAP: "gap_s",
    Metric.STALL: "max_stall_s",
    Metric.E2E: "e2e_dispatched_s",
    Metric.TTFT_INTENDED: "ttft_s",
    Metric.E2E_INTENDED: "e2e_s",
}


def _points(distribution: object) -> dict[str, Point]:
    """Return mean and percentiles, of schema 2 with their intervals."""
    quantiles = {number(at(it, "p")): it for it in objects(at(distribution, "quantiles"))}
    found = {"mean": _point(distribution, "mean", "mean_low", "mean_high")}
    for name, p in PERCENTILES.items():
        found[name] = _point(quantiles.get(p), "value", "low", "high") or _point(distribution, name)
    return {name: point for name, point in found.items() if point is not None}


def _point(block: object, value: str, low: str = "", high: str = "") -> Point | None:
    found = number(at(block, value))
    return None if found is None else Point(found, number(at(block, low)), number(at(block, high)))


_OVER_RUN = {
    Metric.OUTPUT_RATE: Metric.RUN_OUTPUT_RATE,
    Metric.TOTAL_RATE: Metric.RUN_TOTAL_RATE,
    Metric.REQUESTS_RATE: Metric.RUN_REQUESTS_RATE,
}


def _rates(summary: object) -> dict[Metric, Reading]:
    """Return the rates of the steady window, if that is what it is, and those of the whole run."""
    window, run = at(summary, "total"), at(summary, "whole")
    if at(summary, "window", "steady") is False:
        window, run = None, run or window
    of_run = {name: _rate(run, metric) for metric, name in _OVER_RUN.items()}
    if run is None:
        of_run = {Metric.RUN_OUTPUT_RATE: _rate(summary, Metric.RUN_OUTPUT_RATE)}
    return present({metric: _rate(window, metric) for metric in _OVER_RUN}) | present(of_run)


def _rate(row: object, name: str) -> Reading | None:
    """Read a rate: a number in schema 1, with an interval in schema 2."""
    given = at(row, name)
    block = given if isinstance(given, Mapping) else {"value": given}
    point = _point(block, "value", "low", "high")
    return None if point is None else of_rate(name, point.value, low=point.low, high=point.high)
