from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from replicore.gateway.observe import catalogue
from replicore.gateway.observe.catalogue import CATALOGUE, Metric
from replicore.gateway.observe.exposition import exposition, snapshot_of
from replicore.gateway.observe.metrics import Meter
from replicore.gateway.observe.snapshot import Count, Distribution, Snapshot, merge
from replicore.gateway.table import ReplicaRow, ReplicaStats, ReplicaTable, Stats

DOCS = Path(__file__).parents[4] / "docs" / "metrics.md"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

TABLE = ReplicaTable(
    model="m",
    replicas=(
        ReplicaRow(name="r0", endpoint="http://127.0.0.1:1", state="ready", slots=4, incarnation=3),
        ReplicaRow(name="r1", endpoint="http://127.0.0.1:2", state="backoff", drained=True),
    ),
)


def samples(text: str) -> Samples:
    """Return what Prometheus' own client reads."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_counter_is_written_with_its_labels() -> None:
    meter = Meter()
    meter.retried("r0", "connect")

    text = exposition(meter.snapshot())
    assert "# TYPE replicore_retries_total counter\n" in text
    assert '\nreplicore_retries_total{replica="r0",reason="connect"} 1\n' in text


def test_label_values_are_escaped() -> None:
    name = 'a"b\\c\nd'
    text = exposition(Snapshot(counters=(Count(catalogue.REFUSALS.name, (name,), 1),)))

    assert samples(text)[key("replicore_refusals_total", reason=name)] == 1


def test_histogram_is_cumulative_and_ends_with_infinity() -> None:
    metric = catalogue.QUEUE_TIME
    counts = (3, 0, 1, *[0] * (len(metric.bounds) - 3), 2)
    one = Distribution(metric.name, ("r0",), counts, 100.5)
    found = samples(exposition(Snapshot(histograms=(one,))))

    assert found[key(f"{metric.name}_bucket", replica="r0", le="0.001")] == 3
    assert found[key(f"{metric.name}_bucket", replica="r0", le="0.005")] == 3
    assert found[key(f"{metric.name}_bucket", replica="r0", le="0.01")] == 4
    assert found[key(f"{metric.name}_bucket", replica="r0", le="+Inf")] == 6
    assert found[key(f"{metric.name}_count", replica="r0")] == 6
    assert found[key(f"{metric.name}_sum", replica="r0")] == 100.5


def test_replicas_are_shown_as_the_table_has_them() -> None:
    found = samples(exposition(snapshot_of(TABLE, None)))

    assert found[key("replicore_replica_state", replica="r1", state="backoff")] == 1
    assert found[key("replicore_replica_starts_total", replica="r0")] == 3
    assert found[key("replicore_replica_slots", replica="r0")] == 4
    assert key("replicore_replica_slots", replica="r1") not in found
    assert found[key("replicore_replica_drained", replica="r0")] == 0
    assert found[key("replicore_replica_drained", replica="r1")] == 1


def test_requests_in_flight_and_queued_are_those_of_the_stats() -> None:
    replicas = {"r0": ReplicaStats(outstanding=3, requests=9, errors=0)}
    stats = Stats(outstanding=3, queued=7, requests=9, errors=0, replicas=replicas)
    found = samples(exposition(snapshot_of(TABLE, stats)))

    assert found[key("replicore_requests_queued")] == 7
    assert found[key("replicore_requests_in_flight", replica="r0")] == 3


def test_breaker_states_without_a_worker_are_shown_with_0() -> None:
    meter = Meter()
    meter.breaker("r0", "open")
    found = samples(exposition(merge([meter.snapshot(), snapshot_of(TABLE, None)])))

    assert found[key("replicore_breakers", replica="r0", state="open")] == 1
    assert found[key("replicore_breakers", replica="r0", state="closed")] == 0
    assert found[key("replicore_breakers", replica="r0", state="half_open")] == 0


def test_counters_of_a_replica_are_there_before_its_first_request() -> None:
    found = samples(exposition(snapshot_of(TABLE, None)))

    assert found[key("replicore_output_tokens_total", replica="r1")] == 0


def test_every_metric_is_on_an_empty_page() -> None:
    page = exposition(Snapshot())

    assert re.findall(r"^# TYPE (\S+)", page, re.M) == [metric.name for metric in CATALOGUE]


def rows_of_the_docs() -> dict[str, list[str]]:
    """Return the table of docs/metrics.md by metric: type, labels, meaning."""
    rows = re.findall(r"^\| `(replicore_\w+)` \|(.*)\|$", DOCS.read_text(encoding="utf-8"), re.M)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def test_metrics_page_lists_the_metrics_that_there_are() -> None:
    assert list(rows_of_the_docs()) == [metric.name for metric in CATALOGUE]


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_metrics_page_has_type_and_labels_of_each(metric: Metric) -> None:
    kind, labels, _meaning = rows_of_the_docs()[metric.name]

    assert kind == metric.kind
    assert tuple(re.findall(r"`(\w+)`", labels)) == metric.labels


@pytest.mark.parametrize(
    "metric", [m for m in CATALOGUE if m.bounds], ids=lambda metric: metric.name
)
def test_metrics_page_has_the_buckets_of_each_histogram(metric: Metric) -> None:
    bounds = " ".join(f"{bound:g}" for bound in metric.bounds)

    assert f"`{bounds}`" in DOCS.read_text(encoding="utf-8")
