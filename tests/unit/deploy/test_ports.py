from __future__ import annotations

import socket

import pytest

from replicore.deploy.ports import HOST, ReservedPort


def listener(port: int, *options: int) -> socket.socket:
    sock = socket.socket()
    try:
        for option in options:
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        sock.bind((HOST, port))
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


@pytest.mark.parametrize("options", [(), (socket.SO_REUSEADDR,)], ids=["plain", "reuseaddr"])
def test_reserved_port_cannot_be_taken_by_others(options: tuple[int, ...]) -> None:
    with ReservedPort() as reserved, pytest.raises(OSError, match="already in use"):
        listener(reserved.port, *options)


@pytest.mark.parametrize(
    "options",
    [(socket.SO_REUSEPORT,), (socket.SO_REUSEPORT, socket.SO_REUSEADDR)],
    ids=["reuseport", "both"],
)
def test_reserved_port_can_be_listened_on_with_reuseport(options: tuple[int, ...]) -> None:
    with (
        ReservedPort() as reserved,
        listener(reserved.port, *options) as server,
        socket.create_connection((HOST, reserved.port)),
    ):
        connection, _ = server.accept()
        connection.close()


def test_port_stays_reserved_between_two_listeners() -> None:
    with ReservedPort() as reserved:
        listener(reserved.port, socket.SO_REUSEPORT).close()

        with pytest.raises(OSError, match="already in use"):
            listener(reserved.port, socket.SO_REUSEADDR)
        listener(reserved.port, socket.SO_REUSEPORT).close()


def test_preferred_port_is_taken_when_it_is_free() -> None:
    with ReservedPort() as first:
        port = first.port
    with ReservedPort(port) as second:
        assert second.port == port


def test_preferred_port_that_another_deployment_has_reserved_is_not_shared() -> None:
    with ReservedPort() as first, ReservedPort(first.port) as second:
        assert second.port != first.port


def test_preferred_port_is_taken_while_old_connections_are_in_time_wait() -> None:
    with ReservedPort() as reserved:
        port = reserved.port
        with listener(port, socket.SO_REUSEPORT, socket.SO_REUSEADDR) as server:
            client = socket.create_connection((HOST, port))
            connection, _ = server.accept()
            connection.close()  # whoever closes first has the TIME_WAIT
            client.close()

    with ReservedPort(port) as again:
        assert again.port == port


def test_closed_port_is_free() -> None:
    with ReservedPort() as reserved:
        port = reserved.port

    listener(port).close()
