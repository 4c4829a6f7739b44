from __future__ import annotations

import msgspec
import pytest

from replicore.gateway.observe import catalogue
from replicore.gateway.observe.catalogue import CATALOGUE, Metric
from replicore.gateway.observe.metrics import (
    MOST_SERIES,
    OTHER,
    Meter,
)
from replicore.gateway.observe.snapshot import Count, Distribution, Snapshot, merge
from replicore.gateway.record import Finished, Outcome

CHAT = "/v1/chat/completions"


def finished(
    *,
    caller: str = "",
    route: str = CHAT,
    stream: bool = True,
    status: int = 200,
    outcome: Outcome = "ok",
    replica: str | None = "r0",
    queue_s: float = 0.0,
    ttft_s: float | None = 0.12,
    tpot_s: float | None = 0.02,
    prompt_tokens: int | None = 100,
    output_tokens: int | None = 50,
) -> Finished:
    return Finished(
        request_id="id",
        caller=caller,
        route=route,
        stream=stream,
        status=status,
        outcome=outcome,
        replica=replica,
        started_at=0.0,
        queue_s=queue_s,
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        duration_s=1.1,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        attempts=1,
        resumes=0,
    )


def snapshot_after(*requests: Finished) -> Snapshot:
    meter = Meter()
    for one in requests:
        meter.finished(one)
    return meter.snapshot()


def counts(snapshot: Snapshot, metric: Metric) -> dict[tuple[str, ...], int]:
    every = (*snapshot.counters, *snapshot.gauges)
    return {count.labels: count.value for count in every if count.metric == metric.name}


def distribution(snapshot: Snapshot, metric: Metric, replica: str = "r0") -> Distribution:
    return next(
        one for one in snapshot.histograms if one.metric == metric.name and one.labels == (replica,)
    )


def observations(snapshot: Snapshot, metric: Metric, replica: str = "r0") -> int:
    return sum(distribution(snapshot, metric, replica).counts)


def test_requests_are_counted_by_route_outcome_class_of_status_and_replica() -> None:
    snapshot = snapshot_after(
        finished(),
        finished(status=201),
        finished(status=503, outcome="refused", replica=None),
    )

    assert counts(snapshot, catalogue.REQUESTS) == {
        (CHAT, "ok", "2xx", "r0"): 2,
        (CHAT, "refused", "5xx", ""): 1,
    }


def test_request_that_the_client_left_before_an_answer_has_no_class_of_status() -> None:
    snapshot = snapshot_after(finished(status=0, outcome="client_left", ttft_s=None))

    assert counts(snapshot, catalogue.REQUESTS) == {(CHAT, "client_left", "", "r0"): 1}


def test_tokens_add_up_and_unknown_ones_count_nothing() -> None:
    snapshot = snapshot_after(finished(), finished(), finished(prompt_tokens=None))

    assert counts(snapshot, catalogue.PROMPT_TOKENS) == {("r0",): 200}
    assert counts(snapshot, catalogue.OUTPUT_TOKENS) == {("r0",): 150}


def test_observation_is_counted_in_the_first_bucket_whose_bound_it_does_not_exceed() -> None:
    bounds = catalogue.TIME_TO_FIRST_TOKEN.bounds
    snapshot = snapshot_after(finished(ttft_s=0.2), finished(ttft_s=0.21), finished(ttft_s=1e9))

    ttft = distribution(snapshot, catalogue.TIME_TO_FIRST_TOKEN)
    assert ttft.counts[bounds.index(0.2)] == 1
    assert ttft.counts[bounds.index(0.3)] == 1
    assert ttft.counts[-1] == 1
    assert ttft.sum == 0.2 + 0.21 + 1e9


@pytest.mark.parametrize(
    ("request_", "ttft", "tpot", "e2e", "queue"),
    [
        (finished(), 1, 1, 1, 1),
        (finished(tpot_s=None), 1, 0, 1, 1),
        (finished(stream=False, tpot_s=None), 0, 0, 1, 1),
        (finished(outcome="client_left"), 1, 1, 0, 1),
        (finished(outcome="error", status=400), 0, 0, 0, 1),
        (finished(outcome="error"), 1, 1, 0, 1),
    ],
)
def test_latencies_are_taken_of_the_requests_that_have_them(
    request_: Finished, ttft: int, tpot: int, e2e: int, queue: int
) -> None:
    snapshot = snapshot_after(request_)

    assert observations(snapshot, catalogue.TIME_TO_FIRST_TOKEN) == ttft
    assert observations(snapshot, catalogue.TIME_PER_OUTPUT_TOKEN) == tpot
    assert observations(snapshot, catalogue.E2E_LATENCY) == e2e
    assert observations(snapshot, catalogue.QUEUE_TIME) == queue


@pytest.mark.parametrize(("queue_s", "observed"), [(0.0, 0), (30.0, 1)])
def test_request_that_no_replica_was_asked_for_has_a_queue_time_if_it_waited(
    queue_s: float, observed: int
) -> None:
    refused = finished(outcome="refused", status=503, replica=None, queue_s=queue_s)

    assert observations(snapshot_after(refused), catalogue.QUEUE_TIME, "") == observed


def test_callers_have_their_own_counts() -> None:
    snapshot = snapshot_after(
        finished(caller="alice"), finished(caller="bob", outcome="error"), finished()
    )

    requests = counts(snapshot, catalogue.CALLER_REQUESTS)
    assert requests == {("alice", "ok"): 1, ("bob", "error"): 1}
    assert counts(snapshot, catalogue.CALLER_PROMPT_TOKENS) == {("alice",): 100, ("bob",): 100}
    assert counts(snapshot, catalogue.CALLER_OUTPUT_TOKENS) == {("alice",): 50, ("bob",): 50}


def test_callers_beyond_the_bound_are_counted_together() -> None:
    meter = Meter()
    for index in range(MOST_SERIES + 10):
        meter.finished(finished(caller=f"caller{index}"))

    requests = counts(meter.snapshot(), catalogue.CALLER_REQUESTS)
    assert len(requests) == MOST_SERIES + 1
    assert requests[OTHER, "ok"] == 10


def test_label_sets_beyond_the_bound_are_counted_together() -> None:
    meter = Meter()
    for index in range(MOST_SERIES + 10):
        meter.refused(f"reason{index}")

    refusals = counts(meter.snapshot(), catalogue.REFUSALS)
    assert len(refusals) == MOST_SERIES + 1
    assert refusals[(OTHER,)] == 10


def test_retries_resumes_and_refusals_are_counted_by_their_words() -> None:
    meter = Meter()
    meter.retried("r0", "connect")
    meter.retried("r0", "connect")
    meter.resumed("r1", "continued")
    meter.refused("queue_full")
    snapshot = meter.snapshot()

    assert counts(snapshot, catalogue.RETRIES) == {("r0", "connect"): 2}
    assert counts(snapshot, catalogue.RESUMES) == {("r1", "continued"): 1}
    assert counts(snapshot, catalogue.REFUSALS) == {("queue_full",): 1}


def test_breaker_has_one_state_and_each_opening_is_counted_once() -> None:
    meter = Meter()
    for state in ("closed", "open", "open", "half_open", "open", "half_open"):
        meter.breaker("r0", state)
    snapshot = meter.snapshot()

    assert counts(snapshot, catalogue.BREAKERS) == {("r0", "half_open"): 1}
    assert counts(snapshot, catalogue.BREAKER_OPENINGS) == {("r0",): 2}


def test_breaker_of_a_replica_that_is_gone_is_forgotten_and_its_openings_are_not() -> None:
    meter = Meter()
    meter.breaker("r0", "open")
    meter.forget("r0")
    snapshot = meter.snapshot()

    assert counts(snapshot, catalogue.BREAKERS) == {}
    assert counts(snapshot, catalogue.BREAKER_OPENINGS) == {("r0",): 1}


def test_snapshots_of_workers_add_up() -> None:
    one, other = Meter(), Meter()
    for meter in (one, other):
        meter.finished(finished(ttft_s=0.5))
        meter.breaker("r0", "closed")
    other.finished(finished(replica="r1"))
    total = merge([one.snapshot(), other.snapshot()])

    assert counts(total, catalogue.OUTPUT_TOKENS) == {("r0",): 100, ("r1",): 50}
    assert counts(total, catalogue.BREAKERS) == {("r0", "closed"): 2}
    assert distribution(total, catalogue.TIME_TO_FIRST_TOKEN).sum == 1.0
    assert observations(total, catalogue.TIME_TO_FIRST_TOKEN) == 2


def test_adding_nothing_changes_nothing() -> None:
    snapshot = snapshot_after(finished(), finished(replica="r1", caller="alice"))

    assert merge([snapshot]) == merge([Snapshot(), snapshot, Snapshot()]) == snapshot
    assert merge([]) == Snapshot()


def test_dead_worker_leaves_its_counters_and_histograms_but_no_gauge() -> None:
    meter = Meter()
    meter.finished(finished())
    meter.breaker("r0", "open")
    snapshot = meter.snapshot()

    assert snapshot.lasting().gauges == ()
    assert snapshot.lasting().counters == snapshot.counters
    assert snapshot.lasting().histograms == snapshot.histograms


def test_snapshot_survives_json() -> None:
    snapshot = snapshot_after(finished(caller="alice"))

    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot) == snapshot


def test_snapshot_is_a_copy() -> None:
    meter = Meter()
    meter.finished(finished())
    before = meter.snapshot()
    meter.finished(finished())

    assert Count(catalogue.PROMPT_TOKENS.name, ("r0",), 100) in before.counters


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_metric_is_named_by_the_conventions_of_its_type(metric: Metric) -> None:
    """Source: https://prometheus.io/docs/practices/naming/"""
    assert metric.name.startswith("replicore_")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_seconds") == (metric.kind == "histogram")
    assert list(metric.bounds) == sorted(set(metric.bounds))
    assert bool(metric.bounds) == (metric.kind == "histogram")
