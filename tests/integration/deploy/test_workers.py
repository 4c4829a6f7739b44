"""``replicore up`` with two gateway workers on one port."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from replicore.cli import run
from tests.integration.deploy.deployments import pid_of
from tests.integration.deployment import SIMULATED, TIMEOUT_S, Up, eventually, up

SLOTS = 4  # two replicas with two each
CONNECTIONS = 24

# A stream that is open until its client leaves.
SLOW = {"stream": True, "max_tokens": 1000, "ignore_eos": True}


@pytest.fixture(name="at")
def _at(tmp_path: Path) -> Iterator[Up]:
    settings = ("layout.batch_size=2", "engine.sim.decode_tokens_per_s=20", "gateway.resume=false")
    options = [word for setting in settings for word in ("--set", setting)]
    with up(*SIMULATED, "--workers", "2", *options, state=tmp_path / "s") as at:
        yield at


class Client:
    """One connection to the front door."""

    def __init__(self, at: Up) -> None:
        host, _, port = at.root_url.rpartition("//")[2].rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self.port: int = self._socket.getsockname()[1]

    def ask(self, **body: object) -> None:
        data = json.dumps({"prompt": "hello", "max_tokens": 2, **body}).encode()
        head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        self._socket.sendall(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(data), data))

    def read(self) -> bytes:
        """Return what comes next; nothing at the end of the connection."""
        try:
            return self._socket.recv(65_536)
        except ConnectionResetError:
            return b""

    def ends(self) -> bool:
        """Whether the connection ends, whatever comes before that."""
        while self.read():
            pass
        return True

    def close(self) -> None:
        self._socket.close()


def peers(pid: int) -> set[int]:
    """Return the ports of the clients that a process has connections of."""
    connections = psutil.Process(pid).net_connections("tcp")
    return {c.raddr.port for c in connections if c.raddr}


@pytest.fixture(name="clients")
def _clients(at: Up) -> Iterator[list[list[Client]]]:
    """Connections by the worker that has them; with so many of them each has some."""
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(Client(at))) for _ in range(CONNECTIONS)]
        pids = [pid_of(unit) for unit in at.status().gateways]
        eventually(lambda: len(set[int]().union(*map(peers, pids))) == CONNECTIONS)
        by_worker = [[one for one in clients if one.port in peers(pid)] for pid in pids]
        assert min(len(clients) for clients in by_worker) >= SLOTS - 1
        yield by_worker


def kill_worker(at: Up, index: int) -> int:
    pid = pid_of(at.status().gateways[index])
    os.kill(pid, signal.SIGKILL)
    return pid


def counters(at: Up) -> tuple[int, int, int] | None:
    """Return how many requests are at a replica, wait, and have come in all."""
    stats = at.status().stats
    return None if stats is None else (stats.outstanding, stats.queued, stats.requests)


def test_both_workers_serve_on_one_port(at: Up, clients: list[list[Client]]) -> None:
    for client in (client for worker in clients for client in worker):
        client.ask()
        assert client.read().startswith(b"HTTP/1.1 200 ")

    assert [unit.name for unit in at.status().gateways] == ["gateway.0", "gateway.1"]
    eventually(lambda: counters(at) == (0, 0, CONNECTIONS))


def test_killed_worker_takes_its_clients_only_and_comes_back(
    at: Up, clients: list[list[Client]]
) -> None:
    killed, other = clients[0][0], clients[1][0]
    for client in (killed, other):
        client.ask(**SLOW)
        assert client.read().startswith(b"HTTP/1.1 200 ")
    eventually(lambda: counters(at) == (2, 0, 2))
    pid = kill_worker(at, 0)

    assert killed.ends()
    assert other.read()
    eventually(lambda: at.status().ready and at.status().gateways[0].pid not in (None, pid))
    other.close()
    eventually(lambda: counters(at) == (0, 0, 2))


def test_slots_of_a_killed_worker_go_to_who_waits_at_the_other(
    at: Up, clients: list[list[Client]]
) -> None:
    busy = [*clients[0][: SLOTS - 1], clients[1][0]]
    for client in busy:
        client.ask(**SLOW)
        assert client.read().startswith(b"HTTP/1.1 200 ")
    waiting = clients[1][1]
    waiting.ask()
    eventually(lambda: counters(at) == (SLOTS, 1, SLOTS + 1))
    kill_worker(at, 0)

    assert waiting.read().startswith(b"HTTP/1.1 200 ")


def test_gateway_means_all_workers(
    at: Up, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REPLICORE_STATE_DIR", str(at.folder.parent))
    before = [unit.incarnation for unit in at.status().gateways]

    assert run(("restart", "gateway")) == 0
    assert [unit.incarnation for unit in at.status().gateways] == [one + 1 for one in before]

    for index in range(2):
        (at.folder / "logs" / f"gateway.{index}.9.log").write_text(f"worker {index}\n")
    assert run(("logs", "gateway")) == 0
    assert capsys.readouterr().out == "gateway.0 | worker 0\ngateway.1 | worker 1\n"
