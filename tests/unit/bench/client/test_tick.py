"""Ticks of several processes as one."""

from __future__ import annotations

from replicore.bench.client.tick import ReplicaTick, merge_ticks
from tests.unit.bench.client.made import tick


def test_merged_tick_adds_up_what_the_processes_counted() -> None:
    first = tick(done=3, in_flight=2, errors=1, output_tokens=30, recent_ttft_s=(0.1,))
    second = tick(done=4, in_flight=5, errors=0, output_tokens=40, recent_ttft_s=(0.2, 0.3))
    merged = merge_ticks([first, second], total=20, warming=6, elapsed_s=2.5)

    assert (merged.done, merged.in_flight, merged.errors, merged.output_tokens) == (7, 7, 1, 70)
    assert merged.recent_ttft_s == (0.1, 0.2, 0.3)
    assert (merged.total, merged.warming, merged.elapsed_s) == (20, 6, 2.5)


def test_merged_tick_adds_up_each_replica_by_name() -> None:
    first = tick(replicas=(ReplicaTick(name="r1", done=1), ReplicaTick(name="r0", done=2)))
    second = tick(replicas=(ReplicaTick(name="r1", done=5, in_flight=1, errors=2),))
    merged = merge_ticks([first, second], total=None, warming=0, elapsed_s=1.0)

    assert merged.replicas == (
        ReplicaTick(name="r0", done=2),
        ReplicaTick(name="r1", done=6, in_flight=1, errors=2),
    )
