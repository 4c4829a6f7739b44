from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import pytest

from replicore.http.server import Handler, HttpServer, Limits, Request, Response, listen, serve
from tests.integration.loops import run

TIMEOUT = 10.0


def echo(request: Request, response: Response) -> None:
    """Answer with the method, the path and the body."""
    body = f"{request.method} {request.path}?{request.query} ".encode() + request.body
    response.send(200, body, content_type=b"text/plain")


@contextlib.asynccontextmanager
async def serving(
    handler: Handler, limits: Limits | None = None
) -> AsyncIterator[tuple[HttpServer, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A server and one raw connection to it."""
    sock = listen("127.0.0.1", 0)
    server = await serve(handler, sock=sock, limits=limits)
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    try:
        yield server, reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        server.close()
        await server.wait_closed(TIMEOUT)


def exchange(raw: bytes, *, limits: Limits | None = None) -> bytes:
    """Send bytes on a new connection, return all that came until the server closed it."""

    async def talk() -> bytes:
        async with serving(echo, limits) as (_, reader, writer):
            writer.write(raw)
            writer.write_eof()
            async with asyncio.timeout(TIMEOUT):
                return await reader.read()

    return asyncio.run(talk())


def test_a_request_gets_its_answer() -> None:
    answer = exchange(
        b"POST /a?b=c HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi"
    )

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 14" in head
    assert body == b"POST /a?b=c hi"


def test_pipelined_requests_are_answered_in_order() -> None:
    async def test() -> None:
        async with serving(echo) as (_, reader, writer):
            writer.write(b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % i for i in range(40)))
            for i in range(40):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                expected = b"GET /%d? " % i
                assert await reader.readexactly(len(expected)) == expected

    run(test)


def test_a_chunked_request_body_is_put_together() -> None:
    answer = exchange(
        b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    )

    assert answer.endswith(b"POST /? abcde")


def test_a_client_that_expects_100_continue_is_told_to_go_on() -> None:
    async def test() -> None:
        async with serving(echo) as (_, reader, writer):
            writer.write(
                b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n"
            )
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"z")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(9) == b"POST /? z"

    run(test)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n"
            b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2000\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n"
            + b"x" * 2000
            + b"\r\n0\r\n\r\n",
            413,
        ),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 3000 + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 3000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 431),
    ],
)
def test_a_bad_request_is_refused_and_the_connection_closed(raw: bytes, status: int) -> None:
    answer = exchange(raw, limits=Limits(header_bytes=2048, body_bytes=1024))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    assert body.startswith(b'{"error":{"message":')


def test_a_header_line_that_never_ends_is_refused() -> None:
    async def test() -> None:
        async with serving(echo, Limits(header_bytes=2048)) as (_, reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nx: ")
            while not reader.at_eof():
                writer.write(b"y" * 1000)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.01):
                        head = await reader.readuntil(b"\r\n\r\n")
                        break
            assert head.startswith(b"HTTP/1.1 431")

    run(test)


@pytest.mark.parametrize("cut", [0, 60])
def test_an_upgrade_is_ignored_and_its_body_served(cut: int) -> None:
    request = (
        b"POST /a HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
        b"http2-settings: AAMAAABkAAQ\r\ncontent-length: 4\r\n\r\nbody"
    )

    async def test() -> None:
        async with serving(echo) as (_, reader, writer):
            for part in (request[:cut], request[cut:], request):
                writer.write(part)
                await writer.drain()
            for _ in range(2):
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(13) == b"POST /a? body"

    run(test)


def test_trailers_are_not_merged_into_the_headers() -> None:
    seen: list[dict[bytes, bytes]] = []

    def look(request: Request, response: Response) -> None:
        seen.append(request.headers)
        response.send(200)

    async def test() -> None:
        async with serving(look) as (_, reader, writer):
            writer.write(
                b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
                b"1\r\na\r\n0\r\nauthorization: trailer\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")

    run(test)

    assert all(b"authorization" not in headers for headers in seen)


def test_a_client_that_sends_too_much_reads_why_before_the_connection_ends() -> None:
    size = 16 * 2**20
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size

    async def test() -> None:
        async with serving(echo, Limits(body_bytes=1024)) as (_, reader, writer):
            writer.write(head + b"x" * size)
            answer = await reader.read()

        assert answer.startswith(b"HTTP/1.1 413")
        assert answer.endswith(b"}")

    run(test)


def test_many_small_requests_may_be_cut_anywhere() -> None:
    requests = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 300
    limits = Limits(header_bytes=256)

    async def test() -> None:
        async with serving(echo, limits) as (_, reader, writer):
            for start in range(0, len(requests), 1000):
                writer.write(requests[start : start + 1000])
                await writer.drain()
                await asyncio.sleep(0)
            for _ in range(300):
                await reader.readuntil(b"GET /? ")

    run(test)


def test_a_client_that_pipelines_and_does_not_read_is_not_served_on() -> None:
    async def test() -> None:
        served = 0

        def count(_request: Request, response: Response) -> None:
            nonlocal served
            served += 1
            response.send(200, b"x" * 2**20)

        async with serving(count) as (server, _reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 200)
            (connection,) = server.connections
            while not connection._paused:  # noqa: ASYNC110
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)

        assert served < 100

    run(test)


def test_a_request_that_never_ends_is_timed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(HttpServer, "_SWEEP", 0.01)

    async def test() -> None:
        limits = Limits(header_timeout=0.1)
        async with serving(echo, limits) as (_, reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost:")
            assert (await reader.read()).startswith(b"HTTP/1.1 408")

    run(test)


def test_an_idle_connection_is_closed_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(HttpServer, "_SWEEP", 0.01)

    async def test() -> None:
        async with serving(echo, Limits(idle_timeout=0.1)) as (_, reader, _writer):
            assert await reader.read() == b""

    run(test)


def test_a_streamed_response_is_framed_as_chunks() -> None:
    def stream(_request: Request, response: Response) -> None:
        response.start(200, [(b"content-type", b"text/event-stream")])
        response.write(b"ab")
        response.write(b"cde")
        response.end()

    async def test() -> None:
        async with serving(stream) as (_, reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"transfer-encoding: chunked" in await reader.readuntil(b"\r\n\r\n")
            expected = b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
            assert await reader.readexactly(len(expected)) == expected

    run(test)


def test_a_streamed_response_to_http_1_0_ends_with_the_connection() -> None:
    def stream(_request: Request, response: Response) -> None:
        response.start(200)
        response.write(b"abc")
        response.end()

    async def test() -> None:
        async with serving(stream) as (_, reader, writer):
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert b"chunked" not in head
            assert body == b"abc"

    run(test)


def test_a_target_in_absolute_form_is_its_path() -> None:
    answer = exchange(b"GET http://x:1/a/b?c HTTP/1.1\r\nhost: x:1\r\nconnection: close\r\n\r\n")

    assert answer.endswith(b"GET /a/b?c ")


def test_head_has_no_body() -> None:
    answer = exchange(b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")

    assert b"content-length: 8" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_client_that_leaves_is_reported_once() -> None:
    async def test() -> None:
        left = asyncio.Event()

        def hang(_request: Request, response: Response) -> None:
            response.on_disconnect = left.set

        async with serving(hang) as (_, _reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await writer.drain()
            writer.close()
            await left.wait()

    run(test)


def test_a_client_that_does_not_read_pauses_the_writer_until_it_does() -> None:
    size = 64 * 2**20

    async def test() -> None:
        paused, resumed = asyncio.Event(), asyncio.Event()
        responses: list[Response] = []

        def flood(_request: Request, response: Response) -> None:
            responses.append(response)
            response.on_pause = paused.set
            response.on_resume = resumed.set
            response.start(200, [(b"content-length", b"%d" % size)])
            response.write(b"x" * size)

        async with serving(flood) as (_, reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await paused.wait()
            was_resumed = resumed.is_set()
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(size)
            await resumed.wait()
            responses[0].end()

        assert not was_resumed

    run(test)


def test_a_client_that_does_not_read_at_all_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(HttpServer, "_SWEEP", 0.01)

    async def test() -> None:
        left = asyncio.Event()

        def flood(_request: Request, response: Response) -> None:
            response.on_disconnect = left.set
            response.start(200)
            response.write(b"x" * 64 * 2**20)

        async with serving(flood, Limits(write_timeout=0.1)) as (_, _reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await left.wait()

    run(test)


def test_requests_before_a_bad_one_are_still_answered() -> None:
    async def test() -> None:
        async with serving(echo) as (_, reader, writer):
            good = b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % i for i in range(3))
            writer.write(good + b"GARBAGE\r\n\r\n")
            answers = await reader.read()

        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"200", b"200", b"400"]
        assert answers.count(b"connection: close") == 1

    run(test)


def test_a_handler_that_fails_answers_500(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_request: Request, _response: Response) -> None:
        raise ZeroDivisionError

    async def test() -> None:
        async with serving(broken) as (_, reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 500")

    run(test)

    assert "handling GET / failed" in caplog.text


def test_closing_lets_a_running_response_finish() -> None:
    async def test() -> None:
        held: list[Response] = []

        def hold(_request: Request, response: Response) -> None:
            held.append(response)
            response.start(200, [(b"content-length", b"2")])
            response.write(b"a")

        async with serving(hold) as (server, reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\na")
            server.close()
            held[0].write(b"b")
            held[0].end()
            assert await reader.read() == b"b"

    run(test)
