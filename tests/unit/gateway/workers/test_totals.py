from __future__ import annotations

from replicore.gateway.table import ReplicaStats, Stats
from replicore.gateway.workers.totals import counted, total


def stats(revision: int = 1, queued: int = 0, **replicas: ReplicaStats) -> Stats:
    """Return the counters of one worker, with 10 requests of which 1 failed."""
    outstanding = sum(one.outstanding for one in replicas.values())
    return Stats(
        outstanding=outstanding,
        queued=queued,
        requests=10,
        errors=1,
        revision=revision,
        replicas=replicas,
    )


def replica(outstanding: int = 1, **more: object) -> ReplicaStats:
    return ReplicaStats(outstanding=outstanding, requests=5, errors=2, **more)  # type: ignore[arg-type]


def test_counters_of_all_workers_add_up() -> None:
    both = total([stats(queued=1, r0=replica(2)), stats(queued=2, r0=replica(3), r1=replica(4))])

    assert (both.outstanding, both.queued, both.requests, both.errors) == (9, 3, 20, 2)
    assert both.replicas["r0"] == ReplicaStats(outstanding=5, requests=10, errors=4)
    assert both.replicas["r1"] == ReplicaStats(outstanding=4, requests=5, errors=2)


def test_revision_is_the_one_that_all_workers_go_by_at_least() -> None:
    assert total([stats(revision=7), stats(revision=3)]).revision == 3


def test_replica_is_silent_only_for_as_long_as_for_every_worker_that_waits() -> None:
    waits, hears, has_none = replica(1, stalled_s=60.0), replica(1), replica(0, stalled_s=0.0)

    assert total([stats(r0=waits), stats(r0=has_none)]).replicas["r0"].stalled_s == 60
    assert total([stats(r0=waits), stats(r0=hears)]).replicas["r0"].stalled_s == 0


def test_silence_that_made_a_worker_take_its_requests_away_is_told() -> None:
    gave_up = replica(0, stalled_s=60.0)

    assert total([stats(r0=gave_up), stats(r0=replica(0))]).replicas["r0"].stalled_s == 60


def test_rate_is_the_mean_of_those_who_know_it() -> None:
    rates = [100.0, None, 300.0]
    workers = [stats(r0=replica(prefill_tokens_per_s=rate)) for rate in rates]

    assert total(workers).replicas["r0"].prefill_tokens_per_s == 200
    assert total(workers).replicas["r0"].decode_tokens_per_s is None


def test_worst_breaker_is_told() -> None:
    workers = [stats(r0=replica(breaker=state)) for state in ("closed", "open", "half_open")]

    assert total(workers).replicas["r0"].breaker == "open"


def test_worker_that_ended_leaves_what_it_counted_and_nothing_else() -> None:
    left = counted(stats(queued=3, r0=replica(2, prefill_tokens=8.0, stalled_s=9.0)))

    assert (left.outstanding, left.queued, left.requests, left.errors) == (0, 0, 10, 1)
    assert left.replicas["r0"] == ReplicaStats(outstanding=0, requests=5, errors=2)
