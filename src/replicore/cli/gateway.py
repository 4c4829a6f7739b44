"""``replicore gateway``: the front door alone, over engines that somebody else runs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import Annotated

import typer
import uvloop

from replicore.errors import ConfigError
from replicore.gateway.discovery import Discovery
from replicore.gateway.routing import POLICIES
from replicore.gateway.server import Gateway
from replicore.gateway.table import ReplicaTable, Settings
from replicore.http.client import split_endpoint
from replicore.http.server import listen, serve
from replicore.units import parse_duration

_DRAIN_S = 10.0


def gateway(
    endpoint: Annotated[
        list[str], typer.Option(help="Base URL of an engine, such as http://127.0.0.1:8001.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = 8000,
    policy: Annotated[
        str, typer.Option(help=f"How an engine is picked: {', '.join(POLICIES)}.")
    ] = "least_outstanding",
    slots: Annotated[
        int | None, typer.Option(min=1, help="Requests per engine at once; the rest waits here.")
    ] = None,
    max_queue: Annotated[int, typer.Option(min=1, help="Requests that may wait.")] = 1024,
    queue_timeout: Annotated[str, typer.Option(help="Longest wait, such as 30s.")] = "30s",
) -> None:
    """Put one front door before engines that run already."""
    for url in endpoint:
        split_endpoint(url)
    if len(set(endpoint)) != len(endpoint):
        raise ConfigError("--endpoint: an engine is named twice; name each one once")
    settings = Settings(
        policy=policy, max_queue=max_queue, queue_timeout=parse_duration(queue_timeout)
    )
    uvloop.run(_serve(endpoint, host, port, settings, slots))


async def _serve(
    endpoints: Sequence[str], host: str, port: int, settings: Settings, slots: int | None
) -> None:
    """Serve until SIGINT or SIGTERM; requests that are being served then finish."""
    door = Gateway(settings)
    try:
        sock = listen(host, port)
    except OSError as error:
        raise ConfigError(
            f"--port: cannot listen on {host}:{port}: {error.strerror}",
            hint="--port 0 takes any free port",
        ) from error
    server = await serve(door.handle, sock=sock, limits=door.limits)
    stopped = asyncio.create_task(_stop_signal().wait())
    announcer = _Announcer(door, f"http://{host}:{sock.getsockname()[1]}/v1")
    follower = asyncio.create_task(Discovery(endpoints, slots=slots).follow(announcer.apply))
    await asyncio.wait([follower, stopped], return_when=asyncio.FIRST_COMPLETED)
    for task in (follower, stopped):
        task.cancel()
    await asyncio.gather(follower, stopped, return_exceptions=True)
    server.close()
    await server.wait_closed(_DRAIN_S)
    await door.close()


class _Announcer:
    """Hands tables to the gateway and tells what changed, ``ready`` first of all."""

    def __init__(self, door: Gateway, url: str) -> None:
        self._door = door
        self._url = url
        self._states: dict[str, str] = {}
        self._announced = False

    def apply(self, table: ReplicaTable) -> None:
        self._door.apply(table)
        for row in table.replicas:
            if self._states.get(row.name) != row.state:
                self._states[row.name] = row.state
                typer.echo(f"{row.name} {row.endpoint} {row.state}", err=True)
        if not self._announced and "ready" in self._states.values():
            self._announced = True
            typer.echo(f"ready {self._url}")


def _stop_signal() -> asyncio.Event:
    """Return an event that SIGINT or SIGTERM sets."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped
