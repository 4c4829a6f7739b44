"""The stamped transport over real connections: times, sending, and every way that it can end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from replicore.http.client import Pool, encode_request
from replicore.http.stamped import Arrival, StampedConnector, StampedTransport
from tests.integration.loops import run

MEGABYTES = 32 * 2**20


class Recorder(asyncio.Protocol):
    """Keeps what it is told, with the times."""

    def __init__(self, arrival: Arrival) -> None:
        self._arrival = arrival
        self.data = b""
        self.times: list[float] = []
        self.lags: list[float | None] = []
        self.lost: list[Exception | None] = []
        self.changed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.times.append(self._arrival.time)
        self.lags.append(self._arrival.lag)
        self.changed.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)
        self.changed.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self.changed.clear()
            await self.changed.wait()


class Peer:
    """The other end: a blocking socket without a loop."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def read(self, size: int) -> int:
        """Return how many bytes came, ``size`` at most, or until the end."""
        loop = asyncio.get_running_loop()
        self.sock.setblocking(False)
        read = 0
        while read < size and (data := await loop.sock_recv(self.sock, 2**20)):
            read += len(data)
        return read


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[StampedTransport, Recorder, Peer]]:
    arrival = Arrival()
    recorder = Recorder(arrival)
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        transport = await StampedConnector(arrival)(lambda: recorder, host, port)
        sock, _ = server.accept()
        with sock:
            yield transport, recorder, Peer(sock)
            transport.abort()
            await recorder.until(lambda: bool(recorder.lost))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what a socket receives")
def test_bytes_read_late_have_the_time_at_which_they_came() -> None:
    async def test() -> None:
        async with connected() as (_, recorder, peer):
            await first_stamp(recorder, peer)
            sent = len(recorder.times)
            before = time.perf_counter()
            peer.sock.sendall(b"y")
            busy_until = time.perf_counter() + 0.05
            while time.perf_counter() < busy_until:
                pass
            await recorder.until(lambda: len(recorder.times) > sent)

            # The clocks are compared to a few microseconds; the kernel itself may be late on a busy
            # machine.
            assert before - 0.001 < recorder.times[-1] < busy_until - 0.01
            lag = recorder.lags[-1]
            assert lag is not None
            assert lag > 0.01

    run(test)


async def first_stamp(recorder: Recorder, peer: Peer) -> None:
    """Return when the kernel stamps: it begins somewhat after it was first asked to."""
    for _ in range(1000):
        recorder.changed.clear()
        peer.sock.sendall(b"x")
        await recorder.changed.wait()
        if recorder.lags[-1] is not None:
            return
    pytest.skip("this kernel gives no receive stamps")


def test_bytes_are_received_in_order_and_the_end_is_told_once() -> None:
    async def test() -> None:
        async with connected() as (transport, recorder, peer):
            peer.sock.sendall(b"ab")
            peer.sock.sendall(b"cd")
            peer.sock.shutdown(socket.SHUT_WR)
            await recorder.until(lambda: bool(recorder.lost))

            assert recorder.data == b"abcd"
            assert recorder.lost == [None]
            assert transport.is_closing()

    run(test)


def test_reset_is_told_with_its_error() -> None:
    async def test() -> None:
        async with connected() as (_, recorder, peer):
            linger = b"\x01\0\0\0\0\0\0\0"
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            peer.sock.close()
            await recorder.until(lambda: bool(recorder.lost))

            assert isinstance(recorder.lost[0], ConnectionResetError)

    run(test)


def test_small_write_is_with_the_kernel_at_once() -> None:
    async def test() -> None:
        async with connected() as (transport, _, peer):
            before = time.perf_counter()
            transport.write(b"hello")

            assert transport.written_at is not None
            assert before <= transport.written_at <= time.perf_counter()
            assert await peer.read(5) == 5

    run(test)


def test_write_of_more_than_the_kernel_takes_goes_on_when_there_is_room() -> None:
    async def test() -> None:
        async with connected() as (transport, _, peer):
            transport.write(bytes(MEGABYTES))
            transport.write(b"end")
            unsent, written_at = transport.get_write_buffer_size(), transport.written_at
            read = await peer.read(MEGABYTES + 3)

            assert (unsent > 3, written_at) == (True, None)
            assert read == MEGABYTES + 3
            assert transport.get_write_buffer_size() == 0
            assert transport.written_at is not None

    run(test)


def test_close_sends_what_is_left_first() -> None:
    async def test() -> None:
        async with connected() as (transport, recorder, peer):
            transport.write(bytes(MEGABYTES))
            transport.close()
            transport.write(b"too late")

            assert await peer.read(2 * MEGABYTES) == MEGABYTES
            await recorder.until(lambda: bool(recorder.lost))
            assert recorder.lost == [None]

    run(test)


def test_abort_drops_what_is_left() -> None:
    async def test() -> None:
        async with connected() as (transport, recorder, peer):
            transport.write(bytes(MEGABYTES))
            transport.abort()
            transport.abort()
            await recorder.until(lambda: bool(recorder.lost))

            assert recorder.lost == [None]
            assert await peer.read(2 * MEGABYTES) < MEGABYTES

    run(test)


def test_paused_transport_reads_nothing_until_it_is_resumed() -> None:
    async def test() -> None:
        async with connected() as (transport, recorder, peer):
            transport.pause_reading()
            peer.sock.sendall(b"a")
            await turn_over()
            assert recorder.data == b""

            transport.resume_reading()
            await recorder.until(lambda: recorder.data == b"a")

    run(test)


async def turn_over() -> None:
    """Let the loop look at its files a few times."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_write_to_a_closed_peer_is_told_as_a_loss() -> None:
    async def test() -> None:
        async with connected() as (transport, recorder, peer):
            transport.pause_reading()  # so that only the write can find it out
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            peer.sock.close()
            while not transport.is_closing():
                transport.write(b"x")
                await asyncio.sleep(0)
            await recorder.until(lambda: bool(recorder.lost))

            assert isinstance(recorder.lost[0], ConnectionError)

    run(test)


def test_error_in_the_protocol_is_reported_and_ends_the_connection() -> None:
    class Broken(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ValueError("a bug")

    async def test() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context)
        )
        recorder = Broken(Arrival())
        with socket.create_server(("127.0.0.1", 0)) as server:
            await StampedConnector(Arrival())(lambda: recorder, *server.getsockname())
            sock, _ = server.accept()
            with sock:
                sock.sendall(b"x")
                await recorder.until(lambda: bool(recorder.lost))

        assert [str(context["exception"]) for context in reported] == ["a bug"]

    run(test)


def test_refused_connection_is_an_error_and_leaves_nothing() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
        with pytest.raises(ConnectionRefusedError):
            await StampedConnector(Arrival())(asyncio.Protocol, *address)

    run(test)


class Answer:
    """A sink that keeps a body with the times of its parts."""

    def __init__(self, arrival: Arrival) -> None:
        self._arrival = arrival
        self.body = b""
        self.times: list[float] = []
        self.ended = asyncio.Event()

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        assert status == 200

    def on_body(self, data: bytes) -> None:
        self.body += data
        self.times.append(self._arrival.time)

    def on_end(self) -> None:
        self.ended.set()

    def on_error(self, error: Exception) -> None:
        raise AssertionError(error)


def test_pool_keeps_stamped_connections_and_its_sinks_see_the_times() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                connections.add(writer)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()

    async def test() -> None:
        arrival = Arrival()
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            pool = Pool(
                f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
                connect=StampedConnector(arrival),
            )
            for fresh in (True, False):
                sink = Answer(arrival)
                asked = time.perf_counter()
                exchange = pool.send(encode_request("GET", "/", host=pool.authority), sink)
                await sink.ended.wait()

                assert sink.body == b"ok"
                assert asked < sink.times[0] <= time.perf_counter()
                assert (exchange.connected_at is not None) is fresh
            await pool.close()
        assert len(connections) == 1
        connections.clear()

    connections: set[asyncio.StreamWriter] = set()
    run(test)
