"""``python -m replicore.gateway``: the gateway as the supervisor starts it.

It inherits the listening socket, gets settings and replica table over the control socket, and ends
with the connection to the supervisor: without the supervisor there are no engines either.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from pathlib import Path

import msgspec
import uvloop

from replicore.gateway.server import Gateway
from replicore.gateway.table import Report, Update, Welcome
from replicore.http.server import serve
from replicore.unix_socket import connect_unix

_REPORT_INTERVAL_S = 1.0

# A table line: some hundred bytes for each replica.
_LONGEST_LINE = 1024 * 1024


async def run(control: Path, listener: socket.socket) -> None:
    """Serve on ``listener`` until SIGTERM, or until the supervisor is gone."""
    reader, writer = await asyncio.open_unix_connection(
        sock=connect_unix(control), limit=_LONGEST_LINE
    )
    writer.write(b'{"op":"watch"}\n')
    welcome = msgspec.json.decode(await reader.readline(), type=Welcome)
    gateway = Gateway(welcome.settings)
    gateway.apply(welcome.table)
    server = await serve(gateway.handle, sock=listener, limits=gateway.limits)
    tasks = [
        asyncio.create_task(_follow(reader, writer, gateway)),
        asyncio.create_task(_report_forever(writer, gateway)),
    ]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, tasks[0].cancel)
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    server.close()
    await server.wait_closed(welcome.settings.drain_timeout)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await gateway.close()
    writer.close()


async def _follow(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gateway: Gateway
) -> None:
    """Apply every table, and say so, until the supervisor closes the connection."""
    async for line in reader:
        gateway.apply(msgspec.json.decode(line, type=Update).table)
        _report(writer, gateway)


async def _report_forever(writer: asyncio.StreamWriter, gateway: Gateway) -> None:
    """Send the counters, at once and then every second."""
    while True:
        _report(writer, gateway)
        await writer.drain()
        await asyncio.sleep(_REPORT_INTERVAL_S)


def _report(writer: asyncio.StreamWriter, gateway: Gateway) -> None:
    writer.write(msgspec.json.encode(Report(stats=gateway.stats())) + b"\n")


def main() -> None:
    """Parse the supervisor's arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m replicore.gateway", description=__doc__)
    parser.add_argument("--control", type=Path, required=True, help="the supervisor's socket")
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    listener = socket.socket(fileno=options.fd)
    listener.setblocking(False)
    uvloop.run(run(options.control, listener))


if __name__ == "__main__":
    main()
