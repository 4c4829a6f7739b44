from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from replicore.bench.selfcheck.mock.connection import Closed, Connection
from replicore.http.stamped import Arrival

HEAD = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nContent-Length: 4\r\n\r\n"
REQUEST = HEAD + b"body"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Connection]]:
    """Return a client's socket, and the mock's connection to it."""
    client, server = socket.socketpair()
    connection = Connection(server)
    with client:
        yield client, connection
        connection.close()


def test_request_cut_anywhere_is_whole_once_all_of_it_is_there(
    pair: tuple[socket.socket, Connection],
) -> None:
    client, connection = pair
    found = []
    for byte in REQUEST:
        client.send(bytes([byte]))
        connection.read(Arrival())
        found.append(connection.request())

    assert found == [None] * (len(REQUEST) - 1) + [(HEAD, b"body")]


def test_requests_that_come_together_are_taken_one_by_one(
    pair: tuple[socket.socket, Connection],
) -> None:
    client, connection = pair
    client.send(REQUEST + REQUEST)
    connection.read(Arrival())

    assert [connection.request(), connection.request()] == [(HEAD, b"body")] * 2
    assert connection.request() is None


def test_request_of_a_client_that_closes_says_so(pair: tuple[socket.socket, Connection]) -> None:
    client, connection = pair
    client.send(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
    connection.read(Arrival())

    assert connection.request() is not None
    assert connection.close_after


def test_reading_when_nothing_came_tells_no_arrival(
    pair: tuple[socket.socket, Connection],
) -> None:
    arrival = Arrival()

    assert pair[1].read(arrival) is False
    assert arrival.time == 0.0


def test_reading_from_a_client_that_left_says_so(pair: tuple[socket.socket, Connection]) -> None:
    client, connection = pair
    client.close()

    with pytest.raises(Closed):
        connection.read(Arrival())


def test_sending_to_a_client_that_does_not_read_ends_when_its_buffers_are_full(
    pair: tuple[socket.socket, Connection],
) -> None:
    _, connection = pair

    with pytest.raises(Closed):
        _send_much(connection)


def _send_much(connection: Connection) -> None:
    """Send more than the buffers of a socket can hold."""
    for _ in range(10_000):
        connection.send(bytes(65_536))
