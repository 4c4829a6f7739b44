"""One client connection over a transport without a socket, on a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from replicore.http.server import Limits, Request, Response
from tests.unit.http.fakes import Client

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LIMITS = Limits(
    header_bytes=1024,
    body_bytes=100_000,
    header_timeout=10.0,
    body_timeout=30.0,
    body_rate=100.0,
    idle_timeout=75.0,
    write_timeout=300.0,
)
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n"

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

Talk = Callable[[], Awaitable[None]]


def run(talk: Talk) -> None:
    async def in_loop() -> None:
        await talk()

    asyncio.run(in_loop())


class Handler:
    """Keeps the responses open until the test answers them."""

    def __init__(self) -> None:
        self.open: list[Response] = []

    def __call__(self, _request: Request, response: Response) -> None:
        self.open.append(response)


def hello(_request: Request, response: Response) -> None:
    response.send(200, b"hello")


def stays_open_until(client: Client, now: float) -> bool:
    """Whether the connection is open just before ``now``, and closed within a second after it."""
    client.server.sweep(now - 0.01)
    was_open = not client.transport.ended
    client.server.sweep(now + 1.0)
    return was_open and client.transport.ended


def connect(handler: Callable[[Request, Response], None] = hello) -> Client:
    return Client(handler, LIMITS)


def test_an_idle_connection_is_closed_without_a_word() -> None:
    async def talk() -> None:
        client = connect()

        assert stays_open_until(client, 75.0)
        assert client.statuses == []

    run(talk)


def test_a_connection_that_sends_only_empty_lines_is_idle() -> None:
    async def talk() -> None:
        client = connect()
        for now in range(75):
            client.send(b"\r\n")
            client.server.sweep(float(now))

        assert stays_open_until(client, 75.0)

    run(talk)


def test_a_head_that_trickles_in_is_bounded_as_a_whole() -> None:
    async def talk() -> None:
        client = connect()
        for now in range(10):
            client.send(GET[now : now + 1])
            client.server.sweep(float(now))

        assert stays_open_until(client, 10.0)
        assert client.statuses == [408]

    run(talk)


def test_every_head_has_its_own_time() -> None:
    async def talk() -> None:
        client = connect()
        client.send(GET[:5])
        client.server.sweep(9.0)
        client.send(GET[5:] + GET[:5])

        assert stays_open_until(client, 19.0)
        assert client.statuses == [200, 408]

    run(talk)


def test_a_silent_body_is_bounded() -> None:
    async def talk() -> None:
        client = connect()
        client.send(POST + b"x" * 40_000)

        assert stays_open_until(client, 30.0)
        assert client.statuses == [408]

    run(talk)


@pytest.mark.parametrize(("head", "piece"), [(POST, b"x"), (CHUNKED, b"1\r\nx\r\n")])
def test_a_body_that_trickles_in_is_bounded_as_a_whole(head: bytes, piece: bytes) -> None:
    async def talk() -> None:
        client = connect()
        client.send(head)
        for now in range(1, 30, 4):
            client.server.sweep(float(now))
            client.send(piece)

        assert stays_open_until(client, 30.5)
        assert client.statuses == [408]

    run(talk)


def test_a_slow_body_may_take_as_long_as_its_rate_allows() -> None:
    async def talk() -> None:
        client = connect()
        client.send(POST)
        for now in range(0, 500, 10):  # 1,000 bytes every 10 s are just the 100 bytes/s asked for
            client.server.sweep(float(now))
            client.send(b"x" * 1000)

        assert client.statuses == [200]

    run(talk)


def test_a_client_that_does_not_read_is_cut_off() -> None:
    async def talk() -> None:
        handler = Handler()
        client = connect(handler)
        client.send(GET)
        client.connection.pause_writing()

        assert stays_open_until(client, 300.0)

    run(talk)


def test_a_response_may_take_as_long_as_it_takes() -> None:
    async def talk() -> None:
        handler = Handler()
        client = connect(handler)
        client.send(GET)

        client.server.sweep(100_000.0)

        assert not client.transport.ended

    run(talk)


def test_a_refused_client_that_goes_on_sending_is_cut_off_soon() -> None:
    async def talk() -> None:
        client = connect()
        client.send(b"GARBAGE\r\n\r\n")
        client.transport.ended = False  # half closed: what the client sends is still read
        client.send(GET)

        assert stays_open_until(client, 2.0)
        assert client.statuses == [400]

    run(talk)


def test_what_is_pipelined_waits_for_the_response_before_it() -> None:
    async def talk() -> None:
        handler = Handler()
        client = connect(handler)
        client.send(GET * 3)
        for expected in (1, 2, 3):
            assert len(handler.open) == expected
            handler.open[-1].send(200)
            await asyncio.sleep(0)

        assert client.statuses == [200, 200, 200]

    run(talk)


def test_a_client_that_pipelines_without_end_is_not_read_on() -> None:
    async def talk() -> None:
        handler = Handler()
        client = connect(handler)
        for _ in range(1000):
            if client.transport.reading:
                client.send(GET)
        assert client.held_bytes <= LIMITS.header_bytes + len(GET)

        while handler.open:
            handler.open.pop().send(200)
            await asyncio.sleep(0)

        assert client.held_bytes == 0
        assert client.transport.reading

    run(talk)


def test_what_is_pipelined_waits_for_a_client_that_does_not_read() -> None:
    async def talk() -> None:
        client = connect()
        client.connection.pause_writing()
        client.send(GET)
        assert client.statuses == []

        client.connection.resume_writing()
        await asyncio.sleep(0)

        assert client.statuses == [200]

    run(talk)


def test_a_body_larger_than_allowed_is_refused_before_the_client_is_told_to_go_on() -> None:
    async def talk() -> None:
        client = connect()
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n"
        )

        assert client.statuses == [413]

    run(talk)


def test_a_body_that_comes_with_its_head_needs_no_100_continue() -> None:
    async def talk() -> None:
        client = connect()
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"
        )

        assert client.statuses == [200]

    run(talk)


def test_a_stream_may_end_with_trailers() -> None:
    async def talk() -> None:
        handler = Handler()
        client = connect(handler)
        client.send(GET)
        response = handler.open[0]
        response.start(200)
        response.write(b"ab")
        response.end(trailers=[(b"x-resumed", b"1"), (b"x-b", b"c")])

        assert client.transport.written.endswith(b"2\r\nab\r\n0\r\nx-resumed: 1\r\nx-b: c\r\n\r\n")

    run(talk)


@pytest.mark.parametrize(
    ("request_line", "headers"),
    [(b"GET / HTTP/1.0", []), (b"GET / HTTP/1.1", [(b"content-length", b"2")])],
)
def test_a_body_that_is_not_in_chunks_has_no_trailers(
    request_line: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    async def talk() -> None:
        handler = Handler()
        client = connect(handler)
        client.send(request_line + b"\r\nHost: a\r\n\r\n")
        response = handler.open[0]
        response.start(200, headers)
        response.write(b"ab")
        response.end(trailers=[(b"x-resumed", b"1")])

        assert client.transport.written.endswith(b"\r\n\r\nab")

    run(talk)


def test_an_http_1_0_client_that_asks_is_told_that_the_connection_is_kept() -> None:
    async def talk() -> None:
        client = connect()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert b"connection: keep-alive\r\n" in client.transport.written

        client.send(b"GET / HTTP/1.0\r\n\r\n")

        assert client.statuses == [200, 200]
        assert client.transport.ended

    run(talk)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_is_sent_without_framing(status: int) -> None:
    async def talk() -> None:
        handler = Handler()
        client = connect(handler)
        client.send(GET * 2)
        handler.open[0].send(status, b"dropped")
        await asyncio.sleep(0)
        handler.open[1].start(status)
        handler.open[1].write(b"dropped")
        handler.open[1].end()

        assert b"content-length" not in client.transport.written
        assert b"chunked" not in client.transport.written
        assert b"dropped" not in client.transport.written

    run(talk)


def test_an_upgrade_is_ignored() -> None:
    async def talk() -> None:
        client = connect()
        client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: AAMAAABkAAQ\r\n\r\n" + GET
        )

        assert client.statuses == [200, 200]

    run(talk)


def test_a_connection_that_is_lost_lets_go_of_everything() -> None:
    async def talk() -> None:
        handler = Handler()
        client = connect(handler)
        left: list[bool] = []
        client.send(GET * 2)
        handler.open[0].on_disconnect = lambda: left.append(True)

        client.connection.connection_lost(None)
        handler.open[0].write(b"nobody reads this")

        assert left == [True]
        assert client.held_bytes == 0
        assert client.statuses == []
        assert client.server.connections == set()

    run(talk)


def test_bodies_of_all_connections_together_are_bounded() -> None:
    async def talk() -> None:
        limits = Limits(body_bytes=100_000, held_bytes=60_000)
        first, second = Client(hello, limits), Client(hello, limits)
        second.connection.server = first.server
        first.send(POST, b"x" * 40_000)
        second.send(POST, b"x" * 20_001)
        first.send(b"x" * 10_000)

        assert (first.statuses, second.statuses) == ([200], [503])
        assert b"retry-after: 1\r\n" in second.transport.written
        assert first.server.held_bytes == 0

    run(talk)


def test_body_counts_until_its_response_is_done_or_its_client_has_left() -> None:
    async def talk() -> None:
        handler = Handler()
        client = connect(handler)
        client.send(POST, b"x" * 50_000)
        counts = [client.server.held_bytes]
        handler.open[0].send(200)
        counts.append(client.server.held_bytes)
        client.send(POST, b"x" * 20_000)
        counts.append(client.server.held_bytes)
        client.connection.connection_lost(None)

        assert [*counts, client.server.held_bytes] == [50_000, 0, 20_000, 0]

    run(talk)


def test_body_of_a_request_that_is_screened_out_is_not_kept() -> None:
    async def talk() -> None:
        client = connect()
        client.server.screen = lambda _, response: response.send(401)
        client.send(POST, b"x" * 20_000, b"x" * 30_000, GET)

        assert client.statuses == [401]
        assert b"connection: close\r\n" in client.transport.written
        assert client.transport.ended
        assert (client.held_bytes, client.server.held_bytes) == (0, 0)

    run(talk)
