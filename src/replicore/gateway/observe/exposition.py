"""Prometheus' text format of what the gateway counts. Pure.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4. OpenMetrics is
not offered: engines' metrics come in this format, and theirs differ from OpenMetrics in the names
of counters, the unit of timestamps and the form of ``le``. Every Prometheus takes this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import get_args

import replicore
from replicore.gateway.observe import catalogue
from replicore.gateway.observe.catalogue import CATALOGUE, Metric
from replicore.gateway.observe.snapshot import Count, Distribution, Snapshot
from replicore.gateway.routing.breaker import BreakerState
from replicore.gateway.table import ReplicaRow, ReplicaTable, Stats

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def snapshot_of(table: ReplicaTable, stats: Stats | None) -> Snapshot:
    """Return what the replica table and the gateway's counters say now.

    Counters of each replica are in it with 0: a series that begins at its first increment hides
    that increment from ``rate``.
    """
    counters = [count for row in table.replicas for count in _counters_of(row)]
    gauges = [count for row in table.replicas for count in _gauges_of(row)]
    gauges.append(_count(catalogue.BUILD_INFO, replicore.__version__, value=1))
    if stats is not None:
        gauges.append(_count(catalogue.QUEUED, value=stats.queued))
        gauges += [
            _count(catalogue.IN_FLIGHT, name, value=replica.outstanding)
            for name, replica in stats.replicas.items()
        ]
    return Snapshot(counters=tuple(counters), gauges=tuple(gauges))


def _counters_of(row: ReplicaRow) -> Iterator[Count]:
    zeros = (catalogue.PROMPT_TOKENS, catalogue.OUTPUT_TOKENS, catalogue.BREAKER_OPENINGS)
    yield from (_count(metric, row.name, value=0) for metric in zeros)
    yield _count(catalogue.REPLICA_STARTS, row.name, value=row.incarnation)


def _gauges_of(row: ReplicaRow) -> Iterator[Count]:
    yield _count(catalogue.REPLICA_STATE, row.name, row.state, value=1)
    yield _count(catalogue.REPLICA_DRAINED, row.name, value=int(row.drained))
    if row.slots is not None:
        yield _count(catalogue.REPLICA_SLOTS, row.name, value=row.slots)
    for state in get_args(BreakerState):
        yield _count(catalogue.BREAKERS, row.name, state, value=0)


def _count(metric: Metric, *labels: str, value: int) -> Count:
    return Count(metric.name, labels, value)


def exposition(snapshot: Snapshot) -> str:
    """Return all metrics of the catalogue; those without a series as their two header lines."""
    counts: dict[str, list[Count]] = {}
    for count in (*snapshot.counters, *snapshot.gauges):
        counts.setdefault(count.metric, []).append(count)
    distributions: dict[str, list[Distribution]] = {}
    for distribution in snapshot.histograms:
        distributions.setdefault(distribution.metric, []).append(distribution)
    lines: list[str] = []
    for metric in CATALOGUE:
        lines += (f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}")
        lines += _count_lines(metric, counts.get(metric.name, ()))
        lines += _histogram_lines(metric, distributions.get(metric.name, ()))
    return "".join(f"{line}\n" for line in lines)


def _count_lines(metric: Metric, counts: Iterable[Count]) -> Iterator[str]:
    for count in counts:
        labels = _labels(metric, count.labels)
        yield (
            f"{metric.name}{{{labels}}} {count.value}" if labels else f"{metric.name} {count.value}"
        )


def _histogram_lines(metric: Metric, distributions: Iterable[Distribution]) -> Iterator[str]:
    bounds = [*(f"{bound:g}" for bound in metric.bounds), "+Inf"]
    for one in distributions:
        labels = _labels(metric, one.labels)
        for bound, count in zip(bounds, accumulate(one.counts), strict=True):
            yield f'{metric.name}_bucket{{{labels},le="{bound}"}} {count}'
        yield f"{metric.name}_sum{{{labels}}} {one.sum}"
        yield f"{metric.name}_count{{{labels}}} {sum(one.counts)}"


def _labels(metric: Metric, values: tuple[str, ...]) -> str:
    pairs = [pair(name, value) for name, value in zip(metric.labels, values, strict=True)]
    return ",".join(pairs)


def pair(label: str, value: str) -> str:
    """Return ``label="value"`` with the value's special characters escaped."""
    return f'{label}="{value.translate(_ESCAPES)}"'
