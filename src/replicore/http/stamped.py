"""A TCP transport that knows when bytes came in and when they went out.

What a program reads, it reads late: when its event loop comes to it. On Linux the kernel tells with
the bytes when the last of them came in (``SO_TIMESTAMPING``, software receive stamps, also on
loopback), so that the lag of the program can be measured and taken off. Elsewhere, and for the
first bytes after the kernel was asked, there is no stamp, and the time of the read stands for it.

Sending is done at once, in ``write``, so that the time of a request's last byte is known too.

Source: https://docs.kernel.org/networking/timestamping.html
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# linux/net_tstamp.h and asm-generic/socket.h; Python has no names for them.
_SO_TIMESTAMPING = 37
_RX_SOFTWARE = 1 << 3
_SOFTWARE = 1 << 4

# struct scm_timestamping {software, deprecated, hardware}, each a struct timespec
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_BYTES = socket.CMSG_SPACE(3 * _TIMESPEC.size)

_READ_BYTES = 64 * 1024

_OFFSET_LIFETIME_S = 1.0
_OFFSET_TRIES = 3


class Arrival:
    """When the bytes that a protocol is being given came in.

    One object for all connections of a thread: each read overwrites it just before the protocol is
    called.

    Attributes:
        time: On the clock of ``time.perf_counter``.
        lag: Seconds from the kernel's stamp to the read; None without a stamp, and ``time`` is then
            that of the read.
    """

    __slots__ = ("_clock", "lag", "time")

    def __init__(self, clock: StampClock | None = None) -> None:
        self._clock = clock or StampClock()
        self.time = 0.0
        self.lag: float | None = None

    def note(self, now: float, stamp: bytes | None) -> None:
        """Take note of a read at ``now`` whose bytes have the kernel's ``stamp``."""
        if stamp is None:
            self.time = now
            self.lag = None
            return
        # A wall clock that was just set can make a stamp look later than its read.
        self.time = min(now, self._clock.time_of(stamp, now))
        self.lag = now - self.time


class StampClock:
    """Converts the kernel's stamps, which are wall-clock time, to ``time.perf_counter``'s clock.

    The difference of the clocks is measured anew each second: the wall clock can be set.
    """

    __slots__ = ("_measured_at", "_monotonic", "_offset", "_wall")

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._measured_at: float | None = None
        self._offset = 0.0

    def time_of(self, stamp: bytes, now: float) -> float:
        """Return the time of a ``struct scm_timestamping`` read at ``now``."""
        if self._measured_at is None or now - self._measured_at >= _OFFSET_LIFETIME_S:
            self._measured_at = now
            self._offset = min(self._measure() for _ in range(_OFFSET_TRIES))[1]
        seconds, nanoseconds = _TIMESPEC.unpack_from(stamp)
        return float(seconds + nanoseconds * 1e-9 - self._offset)

    def _measure(self) -> tuple[float, float]:
        """Return how far apart two readings of one clock were, and the difference between both."""
        before = self._monotonic()
        wall = self._wall()
        after = self._monotonic()
        return after - before, wall - (before + after) / 2


class StampedConnector:
    """Opens stamped connections; what :class:`~replicore.http.client.Pool` takes as ``connect``.

    An address is looked up once, so that a name server is no part of a later connection's time.
    """

    def __init__(self, arrival: Arrival) -> None:
        self._arrival = arrival
        self._addresses: dict[tuple[str, int], list[tuple[Any, ...]]] = {}

    async def __call__(
        self, make_protocol: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> StampedTransport:
        """Return an open connection whose protocol has been told.

        Raises:
            OSError: No address of the host accepts it.
        """
        sock = await self._connect(host, port)
        return StampedTransport(sock, make_protocol(), self._arrival)

    async def _connect(self, host: str, port: int) -> socket.socket:
        refused: OSError | None = None
        for family, kind, protocol, _, address in await self._look_up(host, port):
            sock = socket.socket(family, kind, protocol)
            try:
                await _connect_to(sock, address)
            except OSError as error:
                sock.close()
                refused = error
            except BaseException:  # cancelled
                sock.close()
                raise
            else:
                return sock
        raise refused or OSError(f"{host} has no address")

    async def _look_up(self, host: str, port: int) -> list[tuple[Any, ...]]:
        known = self._addresses.get((host, port))
        if known is None:
            loop = asyncio.get_running_loop()
            known = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self._addresses[host, port] = known
        return known


def ask_for_stamps(sock: socket.socket) -> None:
    """Have the kernel stamp what ``sock``, or a connection that it accepts, receives, if it can."""
    if sys.platform == "linux":
        with suppress(OSError):  # a kernel without them
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)


async def _connect_to(sock: socket.socket, address: Any) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ask_for_stamps(sock)
    await asyncio.get_running_loop().sock_connect(sock, address)


class StampedTransport(asyncio.Transport):
    """A connected socket; tells ``arrival`` of each read before its protocol.

    Attributes:
        written_at: ``time.perf_counter()`` when the last byte written was given to the kernel; None
            while some wait.
    """

    def __init__(self, sock: socket.socket, protocol: asyncio.Protocol, arrival: Arrival) -> None:
        super().__init__({"socket": sock, "peername": sock.getpeername()})
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._recvmsg = sock.recvmsg
        self._protocol = protocol
        self._arrival = arrival
        self._unsent = bytearray()
        self._lost = False
        self._closing = False
        self.written_at: float | None = None
        protocol.connection_made(self)
        self._loop.add_reader(sock, self._read)

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._recvmsg(_READ_BYTES, _ANCILLARY_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        self._arrival.note(time.perf_counter(), ancillary[0][2] if ancillary else None)
        if not data:
            self._lose(None)
            return
        try:
            self._protocol.data_received(data)
        except BaseException:  # a bug in the protocol, for the loop to report
            self.abort()
            raise

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Give ``data`` to the kernel, and keep what it does not take now."""
        if self._closing:
            return
        if self._unsent:
            self._unsent += data
            return
        sent = self._send(data)
        if self._lost:
            return
        if sent == len(data):
            self.written_at = time.perf_counter()
        else:
            self.written_at = None
            self._unsent += memoryview(data)[sent:]
            self._loop.add_writer(self._sock, self._send_rest)

    def _send_rest(self) -> None:
        sent = self._send(self._unsent)
        del self._unsent[:sent]
        if self._unsent or self._lost:
            return
        self._loop.remove_writer(self._sock)
        self.written_at = time.perf_counter()
        if self._closing:
            self._lose(None)

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        """Return how many bytes the kernel took; none where it says that the connection is lost."""
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._lose(error)
            return 0

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def pause_reading(self) -> None:
        self._loop.remove_reader(self._sock)

    def resume_reading(self) -> None:
        if not self._closing:
            self._loop.add_reader(self._sock, self._read)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Close once everything is written; nothing more is read."""
        if self._closing:
            return
        self._closing = True
        self._loop.remove_reader(self._sock)
        if not self._unsent:
            self._lose(None)

    def abort(self) -> None:
        """Close now, whatever is unsent."""
        self._lose(None)

    def _lose(self, error: OSError | None) -> None:
        """End the connection; the protocol is told from the loop, as asyncio's transports do."""
        if self._lost:
            return
        self._lost = self._closing = True
        self._unsent.clear()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: OSError | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._sock.close()
