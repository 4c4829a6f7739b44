from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from replicore.errors import ConfigError, UpstreamError
from replicore.http.client import Exchange, Pool, _Connection, encode_request, split_endpoint
from replicore.http.fetch import fetch
from tests.integration.loops import run

TIMEOUT = 10.0
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """An endpoint that runs ``script`` for every connection."""

    running: set[asyncio.Task[None]] = set()

    async def run_script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(reader, writer)
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(run_script(reader, writer))
        running.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*running)


def always(answer: bytes) -> Script:
    """One answer to every request of a connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(answer)

    return script


def once(answer: bytes) -> Script:
    """One answer, then the connection is closed."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    return script


class Recorder:
    """A sink that keeps its calls."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.error: UpstreamError | None = None
        self.ended = asyncio.Event()
        self.got_body = asyncio.Event()

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.headers = headers

    def on_body(self, data: bytes) -> None:
        self.body += data
        self.got_body.set()

    def on_end(self) -> None:
        self.ended.set()

    def on_error(self, error: UpstreamError) -> None:
        self.error = error
        self.ended.set()


class Counter(Recorder):
    """A sink that counts the body instead of keeping it."""

    received = 0

    def on_body(self, data: bytes) -> None:
        self.received += len(data)
        self.got_body.set()


def get(endpoint: str) -> bytes:
    return encode_request("GET", "/", host=endpoint.removeprefix("http://"))


async def ask(endpoint: str) -> Recorder:
    """Send one request through a pool of its own."""
    pool = Pool(endpoint)
    sink = Recorder()
    pool.send(get(endpoint), sink)
    await sink.ended.wait()
    await pool.close()
    return sink


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    ],
    ids=["length", "chunked", "until close", "after 100"],
)
def test_a_response_is_read_however_it_is_framed(answer: bytes) -> None:
    async def test() -> None:
        async with scripted(once(answer)) as endpoint:
            sink = await ask(endpoint)

        assert (sink.status, sink.body, sink.error) == (200, b"ok", None)

    run(test)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n",
        b"not http at all\r\n\r\n",
    ],
)
def test_a_response_that_is_not_whole_is_an_error(answer: bytes) -> None:
    async def test() -> None:
        async with scripted(once(answer)) as endpoint:
            sink = await ask(endpoint)

        assert sink.error is not None

    run(test)


def test_a_connection_is_used_again() -> None:
    async def test() -> None:
        connections = 0

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await always(OK)(reader, writer)

        async with scripted(script) as endpoint:
            pool = Pool(endpoint)
            for _ in range(3):
                sink = Recorder()
                pool.send(get(endpoint), sink)
                await sink.ended.wait()
            await pool.close()

        assert connections == 1

    run(test)


def test_a_request_on_a_connection_that_was_closed_is_sent_again_on_a_fresh_one() -> None:
    async def test() -> None:
        requests = 0

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal requests
            await reader.readuntil(b"\r\n\r\n")
            requests += 1
            writer.write(OK)
            # The next request is read, and the connection closed without an answer.
            await reader.readuntil(b"\r\n\r\n")

        async with scripted(script) as endpoint:
            pool = Pool(endpoint)
            for _ in range(3):
                sink = Recorder()
                pool.send(get(endpoint), sink)
                await sink.ended.wait()
                assert sink.body == b"ok"
            await pool.close()

        assert requests == 3

    run(test)


def test_a_refused_connection_is_an_error_that_names_the_endpoint() -> None:
    async def test() -> None:
        async with scripted(once(OK)) as endpoint:
            pass
        sink = await ask(endpoint)

        assert sink.error is not None
        assert f"cannot connect to {endpoint}" in sink.error.message

    run(test)


def test_a_cancelled_exchange_cuts_the_connection_and_is_silent() -> None:
    async def test() -> None:
        cut = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart")
            with contextlib.suppress(ConnectionError):
                await reader.read()
            cut.set()

        async with scripted(script) as endpoint:
            pool, sink = Pool(endpoint), Recorder()
            exchange = pool.send(get(endpoint), sink)
            await sink.got_body.wait()
            exchange.cancel()
            await cut.wait()
            await pool.close()

        assert not sink.ended.is_set()

    run(test)


def test_an_exchange_cancelled_before_it_is_connected_is_silent() -> None:
    async def test() -> None:
        async with scripted(once(OK)) as endpoint:
            pool, sink = Pool(endpoint), Recorder()
            pool.send(get(endpoint), sink).cancel()
            await pool.close()

        assert not sink.ended.is_set()

    run(test)


def test_a_paused_exchange_stops_the_engine_until_it_is_resumed() -> None:
    size = 64 * 2**20
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size

    async def test() -> None:
        sent = asyncio.Event()

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head + b"x" * size)
            await writer.drain()
            sent.set()

        async with scripted(flood) as endpoint:
            pool, sink = Pool(endpoint), Counter()
            exchange = pool.send(get(endpoint), sink)
            await sink.got_body.wait()
            exchange.pause()
            for _ in range(100):
                await asyncio.sleep(0)
            assert not sent.is_set()

            exchange.resume()
            await sink.ended.wait()
            await pool.close()

        assert sink.received == size

    run(test)


def test_connections_can_be_opened_beforehand() -> None:
    async def test() -> None:
        async with scripted(always(OK)) as endpoint:
            pool, sink = Pool(endpoint), Recorder()
            await pool.open(2)
            assert pool.send(get(endpoint), sink).sent_at is not None
            await sink.ended.wait()
            await pool.close()

    run(test)


def test_an_exchange_cancelled_while_it_is_being_connected_leaves_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exchanges: list[Exchange] = []
    connection_made = _Connection.connection_made

    def cancel_at_once(connection: _Connection, transport: asyncio.BaseTransport) -> None:
        connection_made(connection, transport)
        exchanges.pop().cancel()

    monkeypatch.setattr(_Connection, "connection_made", cancel_at_once)

    async def test() -> None:
        async with scripted(once(OK)) as endpoint:
            pool = Pool(endpoint)
            exchanges.append(pool.send(get(endpoint), Recorder()))
            while exchanges:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await pool.close()

    run(test)


def test_a_connection_opened_beforehand_that_was_closed_meanwhile_is_replaced() -> None:
    async def test() -> None:
        first = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if first.is_set():
                await always(OK)(reader, writer)
            first.set()

        async with scripted(script) as endpoint:
            pool, sink = Pool(endpoint), Recorder()
            await pool.open(1)
            await first.wait()
            pool.send(get(endpoint), sink)
            await sink.ended.wait()
            await pool.close()

        assert (sink.body, sink.error) == (b"ok", None)

    run(test)


def test_a_body_without_a_length_that_we_cut_ourselves_is_not_whole() -> None:
    async def test() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\npart")
            await reader.read()

        async with scripted(script) as endpoint:
            pool, sink = Pool(endpoint), Recorder()
            pool.send(get(endpoint), sink)
            await sink.got_body.wait()
            await pool.close()

        assert sink.error is not None

    run(test)


def test_closing_a_pool_ends_what_is_on_its_way() -> None:
    async def test() -> None:
        async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with scripted(hang) as endpoint:
            pool, connected, connecting = Pool(endpoint), Recorder(), Recorder()
            await pool.open(1)
            pool.send(get(endpoint), connected)
            pool.send(get(endpoint), connecting)
            await pool.close()

        assert connected.error is not None
        assert connecting.error is not None

    run(test)


def test_fetch_returns_the_whole_reply() -> None:
    async def test() -> None:
        async with scripted(once(OK)) as endpoint:
            reply = await fetch(endpoint, "GET", "/health", timeout=TIMEOUT)

        assert (reply.status, reply.body) == (200, b"ok")
        assert reply.headers[b"content-length"] == b"2"

    run(test)


def test_fetch_of_a_host_that_cannot_be_is_an_error() -> None:
    async def test() -> None:
        with pytest.raises(UpstreamError, match="cannot connect to"):
            await fetch("http://a..b:1", "GET", "/", timeout=TIMEOUT)

    run(test)


def test_fetch_gives_up_after_its_timeout() -> None:
    async def test() -> None:
        async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with scripted(hang) as endpoint:
            with pytest.raises(UpstreamError, match="did not answer GET /health within"):
                await fetch(endpoint, "GET", "/health", timeout=0.05)

    run(test)


def test_fetch_refuses_a_reply_that_is_too_large() -> None:
    async def test() -> None:
        async with scripted(once(OK)) as endpoint:
            with pytest.raises(UpstreamError, match="larger"):
                await fetch(endpoint, "GET", "/", timeout=TIMEOUT, max_bytes=1)

    run(test)


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:8000", "https://a:1", "http://", "http://a:99999", "", "http://a:x"]
)
def test_an_endpoint_that_is_no_http_url_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="is not a URL such as"):
        split_endpoint(endpoint)
