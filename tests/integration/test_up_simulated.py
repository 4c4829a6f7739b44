"""``replicore up`` with simulated replicas: queueing, restarts and faults, end to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicore.http.fetch import Reply, fetch
from tests.integration.deployment import SIMULATED, Up, eventually, up

TIMEOUT_S = 30.0


@pytest.fixture(name="at")
def _at(tmp_path: Path) -> Iterator[Up]:
    with up(*SIMULATED, "--set", "supervisor.backoff_initial=100ms", state=tmp_path / "s") as at:
        yield at


async def complete(at: Up, **body: object) -> Reply:
    data = json.dumps({"prompt": "hello", "max_tokens": 4, **body}).encode()
    return await fetch(at.root_url, "POST", "/v1/completions", body=data, timeout=TIMEOUT_S)


def test_it_says_that_it_is_simulated(at: Up) -> None:
    models = asyncio.run(fetch(at.root_url, "GET", "/v1/models", timeout=TIMEOUT_S))

    assert at.status().simulated
    assert json.loads(models.body)["data"][0]["simulated"] is True


def test_more_requests_than_slots_all_end(at: Up) -> None:
    async def flood() -> list[Reply]:
        return await asyncio.gather(*(complete(at, max_tokens=20) for _ in range(40)))

    replies = asyncio.run(flood())

    assert {reply.status for reply in replies} == {200}
    assert {reply.headers[b"x-replicore-replica"] for reply in replies} == {b"r0", b"r1"}
    eventually(at.is_idle)


def test_a_rolling_restart_loses_no_request(at: Up) -> None:
    async def load_until(done: asyncio.Event) -> list[int]:
        statuses: list[int] = []
        while not done.is_set():
            statuses.append((await complete(at, max_tokens=10)).status)
        return statuses

    async def test() -> list[int]:
        done = asyncio.Event()
        loads = [asyncio.create_task(load_until(done)) for _ in range(6)]
        command = [sys.executable, "-m", "replicore", "restart"]
        environ = {**os.environ, "REPLICORE_STATE_DIR": str(at.folder.parent)}
        restart = await asyncio.create_subprocess_exec(*command, env=environ)
        assert await restart.wait() == 0
        done.set()
        return [status for load in loads for status in await load]

    before = [replica.incarnation for replica in at.status().replicas]
    statuses = asyncio.run(test())

    assert set(statuses) == {200}
    assert [replica.incarnation for replica in at.status().replicas] == [i + 1 for i in before]


def test_a_deployment_of_one_replica_holds_requests_while_it_restarts(tmp_path: Path) -> None:
    options = ("--engine", "sim", "--replicas", "1", "--set", "supervisor.backoff_initial=100ms")
    with up(*options, state=tmp_path / "s") as at:
        pid = at.replica(0).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        reply = asyncio.run(complete(at))

    assert reply.status == 200


def test_a_replica_that_crashes_again_and_again_is_given_up(tmp_path: Path) -> None:
    settings = ("supervisor.max_failures=2", "supervisor.backoff_initial=10ms")
    fault = 'engine.sim.faults=["load-failure"]'
    options = [word for key in (*settings, fault) for word in ("--set", key)]
    command = [sys.executable, "-m", "replicore", "up", "--port", "0", *SIMULATED, *options]
    environ = {**os.environ, "REPLICORE_STATE_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert "exited with code 1" in done.stderr
    assert "Traceback" not in done.stderr
