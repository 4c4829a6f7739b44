from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from replicore.deploy.frontdoor import open_admin_port, open_front_door
from replicore.errors import ConfigError
from replicore.http.server import listen

WORKERS = 2
CONNECTIONS = 64


@pytest.fixture(name="doors")
def _doors(tmp_path: Path) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        sockets = open_front_door("127.0.0.1", 0, tmp_path, workers=WORKERS)
        yield [stack.enter_context(closing(sock)) for sock in sockets]


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def test_every_worker_has_a_socket_of_its_own_on_one_port(doors: list[socket.socket]) -> None:
    assert len(doors) == WORKERS
    assert len({port_of(sock) for sock in doors}) == 1


def test_connections_are_spread_over_the_workers(doors: list[socket.socket]) -> None:
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port_of(doors[0]))))
        ready, _, _ = select.select(doors, [], [], 5)

    assert ready == doors


def test_port_of_another_front_door_is_refused_whatever_the_workers(
    doors: list[socket.socket], tmp_path: Path
) -> None:
    for workers in (1, WORKERS):
        with pytest.raises(ConfigError, match=rf"gateway\.port: {port_of(doors[0])} is in use"):
            open_front_door("127.0.0.1", port_of(doors[0]), tmp_path, workers=workers)


def test_port_that_somebody_shares_is_refused(tmp_path: Path) -> None:
    with (
        closing(listen("127.0.0.1", 0, reuse_port=True)) as other,
        pytest.raises(ConfigError, match="is in use"),
    ):
        open_front_door("127.0.0.1", port_of(other), tmp_path, workers=WORKERS)


def test_admin_port_that_is_taken_is_called_by_its_name(
    doors: list[socket.socket], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"gateway\.admin_port: \d+ is in use") as caught:
        open_admin_port(port_of(doors[0]), tmp_path)

    assert "gateway.admin_port=0" in (caught.value.hint or "")
