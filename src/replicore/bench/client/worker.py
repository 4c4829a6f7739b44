"""One of several processes of the client: ``python -m replicore.bench.client.worker FD``.

``FD`` is its end of a socket pair; it ends when the other one does, whatever it was doing.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvloop

from replicore.bench.client.drive import Driver
from replicore.bench.client.feed import Handed
from replicore.bench.client.messages import (
    READY,
    STOP,
    Kept,
    Report,
    Sessions,
    Setup,
    Start,
    receive,
    send,
)
from replicore.bench.client.plan import Plan
from replicore.bench.client.process import drive
from replicore.bench.client.tally import Tally
from replicore.bench.client.targets import Targets, open_targets
from replicore.bench.client.tick import Tick
from replicore.bench.record import RequestRecord

_REPORT_S = 0.1
_READ_BYTES = 64 * 1024


class _Worker:
    """Sends what it is handed until there is no more."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._feed = Handed()
        self._stop = asyncio.Event()
        self._driver: Driver | None = None

    async def run(self) -> None:
        setup = await receive(self._reader)
        if not isinstance(setup, Setup):
            return
        plan = setup.plan
        async with open_targets(plan.endpoints, plan.connections) as opened:
            targets = Targets(opened, plan.dispatch, first=plan.worker)
            send(self._writer, READY)
            start = await self._begun()
            if start is not None:
                await self._send_all(plan, targets, start.zero)

    async def _begun(self) -> Start | None:
        """Return when the run begins; None if it does not."""
        while (message := await receive(self._reader)) is not None:
            if isinstance(message, Start):
                return message
            self._take(message)
        return None

    async def _send_all(self, plan: Plan, targets: Targets, zero: float) -> None:
        tally = Tally(total=None, warmup=None)
        self._driver = Driver(plan, self._feed, targets, tally, zero=zero, keep=self._keep)
        async with self._listening():
            outcome = await drive(
                self._driver,
                plan,
                zero=zero,
                progress=self._report,
                every_s=_REPORT_S,
                stop=self._stop,
            )
        send(self._writer, outcome)
        await self._dismissed()

    async def _dismissed(self) -> None:
        """Wait until the parent closes the connection.

        It may be sending sessions still, and what is sent to a closed connection is an error that
        would take along all that it has not read.
        """
        with suppress(ConnectionError):
            while await self._reader.read(_READ_BYTES):
                pass

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(self._listen())
            yield
            listener.cancel()

    async def _listen(self) -> None:
        """Take what comes; an end of the connection is the end of the run."""
        while (message := await receive(self._reader)) is not None:
            self._take(message)
        self._stop.set()

    def _take(self, message: object) -> None:
        if message == STOP:
            self._stop.set()
        elif isinstance(message, Sessions):
            self._feed.add(message.sessions)
            if message.last:
                self._feed.close()
            if self._driver is not None:
                self._driver.advance()

    def _keep(self, record: RequestRecord, warmup: bool) -> None:
        send(self._writer, Kept(record, warmup))

    def _report(self, tick: Tick) -> None:
        send(self._writer, Report(tick, self._feed.taken))


async def _main(fd: int) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=fd))
    try:
        await _Worker(reader, writer).run()
    finally:
        writer.close()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
