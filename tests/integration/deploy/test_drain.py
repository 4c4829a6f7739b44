"""``replicore drain`` and ``undrain``."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicore.cli import run
from replicore.http.fetch import Reply, fetch
from tests.integration.deployment import SIMULATED, TIMEOUT_S, Up, eventually, up


@pytest.fixture(name="at")
def _at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    slow = ("--set", "engine.sim.decode_tokens_per_s=20")
    monkeypatch.setenv("REPLICORE_STATE_DIR", str(tmp_path / "s"))
    with up(*SIMULATED, *slow, state=tmp_path / "s") as at:
        yield at


async def complete(at: Up, *, max_tokens: int = 1) -> Reply:
    body = json.dumps({"prompt": "hello", "max_tokens": max_tokens, "ignore_eos": True}).encode()
    return await fetch(at.root_url, "POST", "/v1/completions", body=body, timeout=TIMEOUT_S)


def replicas_used(at: Up) -> set[bytes]:
    async def ask() -> list[Reply]:
        return [await complete(at) for _ in range(6)]

    replies = asyncio.run(ask())
    assert {reply.status for reply in replies} == {200}
    return {reply.headers[b"x-replicore-replica"] for reply in replies}


def test_drained_replica_gets_no_requests_until_it_is_undrained(at: Up) -> None:
    assert run(("drain", "r0")) == 0
    assert replicas_used(at) == {b"r1"}
    assert [replica.drained for replica in at.status().replicas] == [True, False]

    assert run(("undrain", "r0")) == 0
    assert replicas_used(at) == {b"r0", b"r1"}


def test_drained_replica_stays_so_over_a_restart(at: Up) -> None:
    assert run(("drain", "r0")) == 0
    assert run(("restart", "r0")) == 0

    assert replicas_used(at) == {b"r1"}


def test_drain_returns_when_the_running_requests_have_ended(at: Up) -> None:
    async def test() -> list[Reply]:
        both = [asyncio.create_task(complete(at, max_tokens=30)) for _ in range(2)]
        await asyncio.to_thread(eventually, lambda: outstanding(at) == [1, 1])
        command = [sys.executable, "-m", "replicore", "drain", "r0"]
        waiting = await asyncio.create_subprocess_exec(*command)
        assert await waiting.wait() == 0
        assert outstanding(at)[0] == 0
        return await asyncio.gather(*both)

    assert [reply.status for reply in asyncio.run(test())] == [200, 200]


def outstanding(at: Up) -> list[int]:
    stats = at.status().stats
    return [] if stats is None else [one.outstanding for one in stats.replicas.values()]


def test_drain_of_the_last_replica_warns(at: Up, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(("drain", "r0")) == 0
    assert "warning" not in capsys.readouterr().err
    assert run(("drain", "r1")) == 0
    assert "warning: every replica is drained" in capsys.readouterr().err


def test_drain_of_an_unknown_replica_names_the_known(
    at: Up, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(("drain", "r7")) == 1
    assert 'there is no replica "r7" in the deployment "test" (valid: r0, r1)' in (
        capsys.readouterr().err
    )


def test_admin_socket_drains_too(at: Up) -> None:
    command = ["curl", "-sS", "--unix-socket", at.status().admin_socket]
    post = [*command, "-X", "POST", "-H", "content-type: application/json"]
    subprocess.run([*post, "http://localhost/admin/replicas/r1/drain"], check=True, timeout=10)

    assert [replica.drained for replica in at.status().replicas] == [False, True]
    shown = subprocess.run(
        [*command, "http://localhost/metrics"], check=True, timeout=10, capture_output=True
    )
    assert b'replica="r1"' in shown.stdout
