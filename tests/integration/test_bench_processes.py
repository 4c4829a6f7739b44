"""Several client processes: they share the work, and one that dies takes only its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import uvloop

from replicore.bench.client.run import Run, send_sessions
from replicore.bench.client.tick import Tick
from replicore.bench.load.arrivals import Load
from replicore.bench.load.jobs import Job, Session
from replicore.bench.record import FailureKind
from replicore.errors import ReplicoreError
from replicore.http.server import Response
from tests.integration.bench_server import HoldUntil, Server, serving, whole

pytestmark = pytest.mark.slow

TIMEOUT_S = 60.0
BODY = b'{"prompt": [1, 2, 3], "max_tokens": 3, "stream": true}'


def single(index: int, **options: Any) -> Session:
    job = Job(index=index, body=BODY, input_tokens=3, output_tokens=3)
    return Session(index=index, jobs=[job], **options)


def singles(count: int) -> list[Session]:
    return [single(index) for index in range(count)]


def send(*servers: Server, sessions: Any, concurrency: int = 4, **options: Any) -> Run:
    async def run() -> Run:
        async with asyncio.timeout(TIMEOUT_S), serving(*servers) as urls:
            return await send_sessions(
                urls,
                sessions,
                path="/v1/completions",
                load=Load(concurrency=concurrency),
                **{"processes": 2} | options,
            )

    return uvloop.run(run())


def workers() -> list[psutil.Process]:
    """The client processes of this test, in the order in which they were started."""
    found = [child for child in psutil.Process().children() if is_worker(child)]
    return sorted(found, key=lambda child: child.pid)


def is_worker(child: psutil.Process) -> bool:
    try:
        return "replicore.bench.client.worker" in child.cmdline()
    except psutil.Error:  # a dead child of another test
        return False


def test_every_request_is_sent_once_by_its_process() -> None:
    server = Server()
    warmup = [single(index, warmup=True) for index in range(4)]
    run = send(server, sessions=[*warmup, *singles(41)])

    assert len(server.bodies) == 45
    assert (run.processes, len(run.warmup)) == (2, 4)
    assert [(record.index, record.worker) for record in run.records] == [
        # 4 places; the warm-up had the first 4 sessions
        (index, index % 4 % 2)
        for index in range(41)
    ]
    assert all(record.succeeded for record in run.records)


def test_processes_have_all_places_between_them() -> None:
    server = Server(HoldUntil(5, total=40))
    send(server, sessions=singles(40), concurrency=5)

    assert server.most_open == 5


def test_more_processes_than_places_are_not_started() -> None:
    assert send(Server(), sessions=singles(3), concurrency=1, processes=4).processes == 1


def test_round_robin_is_even_over_all_processes() -> None:
    servers = Server(), Server()
    send(*servers, sessions=singles(31), dispatch="round_robin")

    assert sorted(len(server.bodies) for server in servers) == [15, 16]


def test_ticks_of_the_processes_are_one() -> None:
    ticks: list[Tick] = []
    sessions = [single(0, warmup=True), *singles(10)]
    send(Server(), sessions=sessions, progress=ticks.append)

    first, last = ticks[0], ticks[-1]
    assert (first.warming, first.done, first.total) == (1, 0, 10)
    assert (last.warming, last.done, last.total, last.output_tokens) == (0, 10, 10, 30)
    assert sum(len(tick.recent_ttft_s) for tick in ticks) == 10


def test_more_sessions_than_are_handed_out_at_once_are_all_sent() -> None:
    run = send(Server(), sessions=(single(index) for index in range(2500)), concurrency=32)

    assert [record.index for record in run.records] == list(range(2500))


def test_run_by_time_ends_sessions_without_end() -> None:
    def endless() -> Iterator[Session]:
        index = 0
        while True:
            yield single(index)
            index += 1

    run = send(Server(), sessions=endless(), duration_s=0.3)

    assert run.records
    assert not run.stopped


def stuck_after(answered: int) -> Callable[[Server, dict[str, Any], Response], None]:
    def script(server: Server, body: dict[str, Any], response: Response) -> None:
        if len(server.bodies) <= answered:
            whole(server, body, response)

    return script


def test_stopped_run_keeps_what_it_has() -> None:
    stop = asyncio.Event()

    def stop_when_stuck(tick: Tick) -> None:
        if tick.done == 6 and tick.in_flight == 4:
            stop.set()

    run = send(Server(stuck_after(6)), sessions=singles(50), progress=stop_when_stuck, stop=stop)
    kinds = [record.failure.kind for record in run.records if record.failure is not None]

    assert run.stopped
    assert kinds == [FailureKind.INTERRUPTED] * 4
    assert len(run.records) == 10


def test_process_that_dies_takes_only_its_own_requests() -> None:
    def kill_when_stuck(tick: Tick) -> None:
        if tick.done == 6 and tick.in_flight == 4 and len(workers()) == 2:
            os.kill(workers()[1].pid, signal.SIGKILL)
            released.append(True)

    def script(server: Server, body: dict[str, Any], response: Response) -> None:
        if len(server.bodies) <= 6 or released:
            whole(server, body, response)
        else:
            held.append((body, response))
            asyncio.get_running_loop().call_later(0.05, release, server)

    def release(server: Server) -> None:
        while released and held:
            whole(server, *held.pop())
        if held:
            asyncio.get_running_loop().call_later(0.05, release, server)

    held: list[tuple[dict[str, Any], Response]] = []
    released: list[bool] = []
    run = send(Server(script), sessions=singles(40), progress=kill_when_stuck)
    lost = [record for record in run.records if not record.succeeded]

    assert [record.index for record in run.records] == list(range(40))
    assert lost
    assert {record.worker for record in lost} == {1}
    assert all(record.unfinished for record in lost)
    assert {record.failure.message for record in lost if record.failure} == {
        "client process 1 ended with signal 9 and told nothing of it"
    }
    assert not run.stopped


def test_run_whose_processes_all_die_is_stopped() -> None:
    def kill_all(tick: Tick) -> None:
        if tick.in_flight == 4:
            for worker in workers():
                os.kill(worker.pid, signal.SIGKILL)

    run = send(Server(stuck_after(0)), sessions=singles(9), progress=kill_all)

    assert run.stopped
    assert [record.unfinished for record in run.records] == [True] * 9


def test_process_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(ReplicoreError, match="client process 0 ended with code 1 before the run"):
        send(Server(), sessions=singles(4))


def test_cancelled_run_ends_its_processes() -> None:
    async def run() -> None:
        server = Server(stuck_after(0))
        async with serving(server) as urls:
            sending = asyncio.create_task(
                send_sessions(
                    urls,
                    singles(4),
                    path="/v1/completions",
                    load=Load(concurrency=4),
                    processes=2,
                )
            )
            await asyncio.wait_for(server.arrived.wait(), TIMEOUT_S)
            running = workers()
            sending.cancel()
            await asyncio.wait([sending], timeout=TIMEOUT_S)

            assert sending.cancelled()
            assert len(running) == 2
            assert not any(process.is_running() for process in running)

    uvloop.run(run())
