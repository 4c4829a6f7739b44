"""``python -m replicore.gateway``: one worker of the gateway, as its parent starts it.

It inherits a listening socket, gets settings and replica table from the hub, and ends with the
connection to it: without the parent there are no engines either.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import uvloop

from replicore.gateway.routing.cells import Cells
from replicore.gateway.server import Gateway
from replicore.gateway.settings import tls_of
from replicore.gateway.table import Settings
from replicore.gateway.workers.messages import (
    LONGEST_LINE,
    Answer,
    FromWorker,
    Hello,
    Question,
    ToWorker,
    Welcome,
    encode,
)
from replicore.http.server import serve
from replicore.unix_socket import connect_unix

_REPORT_INTERVAL_S = 1.0


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM, or until the parent is gone."""
    reader, writer = await asyncio.open_unix_connection(
        sock=connect_unix(options.control), limit=LONGEST_LINE
    )
    writer.write(encode(Hello(worker=options.worker)))
    welcome = msgspec.json.decode(await reader.readline(), type=Welcome)
    gateway = _make_gateway(welcome.settings, options)
    gateway.apply(welcome.table)
    listener, tls = _listener(options.fd), tls_of(welcome.settings)
    server = await serve(
        gateway.handle, sock=listener, limits=gateway.limits, tls=tls, screen=gateway.screen
    )
    _handle_signals(gateway, stop=(stopped := asyncio.Event()))
    line = _Line(gateway, reader, writer)
    tasks = [
        asyncio.create_task(work) for work in (line.follow(), line.report_forever(), stopped.wait())
    ]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    server.close()
    await server.wait_closed(welcome.settings.drain_timeout)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    line.take_leave()
    await gateway.close()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


class _Line:
    """The worker's end of its connection to the hub."""

    def __init__(
        self, gateway: Gateway, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._gateway = gateway
        self._reader = reader
        self._writer = writer

    async def follow(self) -> None:
        """Apply every table, and say so; answer every question; return when the parent is gone."""
        async for line in self._reader:
            message = msgspec.json.decode(line, type=ToWorker)
            if message.table is not None:
                self._gateway.apply(message.table)
                self._report()
            if message.question is not None:
                self._tell(FromWorker(answer=self._answer(message.question)))

    async def report_forever(self) -> None:
        """Send the counters, at once and then every second."""
        while True:
            self._report()
            await self._writer.drain()
            await asyncio.sleep(_REPORT_INTERVAL_S)

    def take_leave(self) -> None:
        """Send what has been counted to the very end."""
        snapshot = self._gateway.meter.snapshot()
        self._tell(FromWorker(stats=self._gateway.stats(), snapshot=snapshot))

    def _answer(self, question: Question) -> Answer:
        if question.explain is not None:
            return Answer(id=question.id, explanation=self._gateway.explain(question.explain))
        return Answer(id=question.id, snapshot=self._gateway.meter.snapshot())

    def _report(self) -> None:
        self._tell(FromWorker(stats=self._gateway.stats()))

    def _tell(self, message: FromWorker) -> None:
        self._writer.write(encode(message))


def _make_gateway(settings: Settings, options: argparse.Namespace) -> Gateway:
    """Return the gateway; with the others' memory, and a way to wake them, where there are any."""
    if options.cells_fd is None:
        return Gateway(settings)
    wakers: list[int] = options.wake_fds

    def wake(worker: int) -> None:
        os.eventfd_write(wakers[worker], 1)

    cells = Cells.attach(options.cells_fd, options.worker)
    gateway = Gateway(settings, cells=cells, wake=wake)
    own = wakers[options.worker]

    def freed() -> None:
        os.eventfd_read(own)
        gateway.freed()

    asyncio.get_running_loop().add_reader(own, freed)
    return gateway


def _listener(fd: int) -> socket.socket:
    listener = socket.socket(fileno=fd)
    listener.setblocking(False)
    return listener


def _handle_signals(gateway: Gateway, *, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGHUP, gateway.reopen_log)


def _raise_file_limit() -> None:
    """Allow as many connections as this process may have: the usual limit is 1024 files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    """Parse the parent's arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m replicore.gateway", description=__doc__)
    parser.add_argument("--control", type=Path, required=True, help="the hub's socket")
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    parser.add_argument("--worker", type=int, default=0, help="its number")
    parser.add_argument("--cells-fd", type=int, help="the memory that the workers share")
    parser.add_argument("--wake-fds", type=_numbers, help="an eventfd for each worker")
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    _raise_file_limit()
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
