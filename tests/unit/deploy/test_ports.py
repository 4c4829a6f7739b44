from __future__ import annotations

import socket

import pytest

from replicore.deploy.ports import HOST, PortBlocks, ReservedPort, block_window
from replicore.errors import DeploymentError

# Deployments take the lowest blocks that are free, so that none of another test's is up here.
WINDOW = range(28_000, 28_100)


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


def test_port_for_an_engine_without_reuseport_can_be_listened_on_with_reuseaddr() -> None:
    with (
        ReservedPort(reuse_port=False) as reserved,
        listener(reserved.port, socket.SO_REUSEADDR) as server,
        socket.create_connection((HOST, reserved.port)),
    ):
        connection, _ = server.accept()
        connection.close()


@pytest.mark.parametrize("options", [(), (socket.SO_REUSEPORT,)], ids=["plain", "reuseport"])
def test_port_for_an_engine_without_reuseport_is_kept_from_the_others(
    options: tuple[int, ...],
) -> None:
    with (
        ReservedPort(reuse_port=False) as reserved,
        pytest.raises(OSError, match="already in use"),
    ):
        listener(reserved.port, *options)


@pytest.mark.parametrize("reuse_port", [True, False])
def test_deployments_never_reserve_one_port_whatever_their_engines(reuse_port: bool) -> None:
    with (
        ReservedPort(reuse_port=False) as first,
        ReservedPort(first.port, reuse_port=reuse_port) as second,
    ):
        assert second.port != first.port


def test_port_for_an_engine_without_reuseport_is_kept_in_time_wait() -> None:
    with ReservedPort(reuse_port=False) as reserved:
        port = reserved.port
        with listener(port, socket.SO_REUSEADDR) as server:
            client = socket.create_connection((HOST, port))
            connection, _ = server.accept()
            connection.close()
            client.close()

    with ReservedPort(port, reuse_port=False) as again:
        assert again.port == port


def test_blocks_are_apart_and_inside_the_window() -> None:
    with PortBlocks(3, size=16, within=WINDOW) as blocks:
        ports = [first + offset for first in blocks.first_ports for offset in range(16)]

    assert len(set(ports)) == 3 * 16
    assert set(ports) <= set(WINDOW)


def test_blocks_of_two_deployments_are_apart() -> None:
    with PortBlocks(2) as first, PortBlocks(2) as second:
        assert set(first.first_ports).isdisjoint(second.first_ports)


def test_block_with_a_port_in_use_is_passed_over() -> None:
    with listener(WINDOW[5]), PortBlocks(1, size=16, within=WINDOW) as blocks:
        assert blocks.first_ports == (WINDOW[16],)


def test_closed_blocks_are_free() -> None:
    for _ in range(2):
        with PortBlocks(1, size=16, within=WINDOW) as blocks:
            assert blocks.first_ports == (WINDOW[0],)


def test_more_blocks_than_there_are_ports_are_refused_and_none_is_kept() -> None:
    wanted = r"need 7 free blocks of 16 ports each, and there are 6 in 28000-28099"
    with pytest.raises(DeploymentError, match=wanted):
        PortBlocks(7, size=16, within=WINDOW)

    with PortBlocks(6, size=16, within=WINDOW) as blocks:
        assert len(blocks.first_ports) == 6


@pytest.mark.parametrize(
    ("ephemeral", "window"),
    [
        ("32768\t60999", range(10_240, 30_000)),
        ("25000\t60999", range(10_240, 25_000)),
        ("1024\t65535", range(10_240, 30_000)),
        (None, range(10_240, 30_000)),
    ],
)
def test_blocks_are_below_the_ports_that_the_kernel_gives_where_there_are_such(
    ephemeral: str | None, window: range
) -> None:
    assert block_window(ephemeral) == window
