"""SIGKILL of each kind of process, one at a time, under load."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from replicore.bench.client.tick import Tick
from replicore.bench.load.workload import Lengths, Workload
from replicore.bench.record import BenchResult
from replicore.bench.runner import run_bench
from tests.integration.deployment import SIMULATED, TIMEOUT_S, Up, eventually, family, up

LOAD = Workload(input_tokens=Lengths(32, 0), output_tokens=Lengths(40, 0), seed=1)

# At the simulator's default speed a request takes about a quarter of a second: long enough that
# every kill hits some of them half way.
REQUESTS = 40
CONCURRENCY = 8


@pytest.fixture(name="at")
def _at(tmp_path: Path) -> Iterator[Up]:
    with up(*SIMULATED, "--set", "supervisor.backoff_initial=100ms", state=tmp_path / "s") as at:
        yield at


@contextmanager
def load(at: Up, workload: Workload = LOAD) -> Iterator[list[BenchResult]]:
    """Send requests in a thread of its own; the result is there after the block."""
    results: list[BenchResult] = []
    half_way = threading.Event()

    def watch(tick: Tick) -> None:
        if tick.done >= REQUESTS // 4:
            half_way.set()

    def run() -> None:
        results.append(
            asyncio.run(
                run_bench(
                    [at.root_url],
                    workload,
                    requests=REQUESTS,
                    concurrency=CONCURRENCY,
                    progress=watch,
                )
            )
        )

    thread = threading.Thread(target=run)
    thread.start()
    assert half_way.wait(30)
    try:
        yield results
    finally:
        thread.join()


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def came_back(at: Up, pid: Callable[[], int | None]) -> None:
    """Return when everything is ready again, with another process than before the kill."""
    old = pid()
    kill(old)
    eventually(lambda: at.status().ready and pid() not in (None, old), "not ready again")


@pytest.mark.parametrize("victim", ["engine", "keeper"])
def test_a_killed_replica_comes_back_and_the_other_one_is_unharmed(at: Up, victim: str) -> None:
    incarnation = at.replica(0).incarnation
    with load(at) as results:
        came_back(at, lambda: at.replica(0).pid if victim == "engine" else at.replica(0).keeper_pid)

    other = [record for record in results[0].records if record.replica == "r1"]
    assert other
    assert all(record.succeeded for record in other)
    assert at.replica(0).incarnation == incarnation + 1
    assert at.replica(0).endpoint != at.replica(1).endpoint
    eventually(at.is_idle)


def test_a_killed_gateway_comes_back_at_the_same_address(at: Up) -> None:
    engines = [replica.pid for replica in at.status().replicas]
    with load(at) as results:
        came_back(at, lambda: at.status().gateway.pid)

    assert results[0].records[-1].succeeded
    assert [replica.pid for replica in at.status().replicas] == engines
    eventually(at.is_idle)


def test_a_killed_supervisor_leaves_nothing_and_up_works_again(tmp_path: Path) -> None:
    state = tmp_path / "s"
    with up(*SIMULATED, state=state) as first:
        processes = family(first)
        with load(first):
            kill(first.process.pid)
            first.process.wait()
            gone, left = psutil.wait_procs(processes[1:], timeout=TIMEOUT_S)

    assert left == []
    assert len(gone) >= 5
    with up(*SIMULATED, state=state) as second:
        assert second.status().ready
