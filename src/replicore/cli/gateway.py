"""``replicore gateway``: the front door alone, over engines that somebody else runs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
import uvloop

from replicore.cli.pipes import discard
from replicore.cli.settings import Set, settings_given
from replicore.deploy.frontdoor import open_front_door
from replicore.deploy.state import state_root
from replicore.errors import ConfigError
from replicore.gateway.discovery import Discovery
from replicore.gateway.routing import POLICIES
from replicore.gateway.server import Gateway
from replicore.gateway.settings import settings_of
from replicore.gateway.table import ReplicaTable
from replicore.http.address import url_of
from replicore.http.endpoint import parse_endpoint
from replicore.http.server import serve
from replicore.spec import Spec, load_spec

_DRAIN_S = 10.0

SpecPath = Annotated[Path | None, typer.Argument(metavar="[SPEC]", help="Spec file.")]
EndpointOption = Annotated[
    list[str] | None,
    typer.Option("--endpoint", help="Base URL of an engine; once for each: http://127.0.0.1:8001."),
]
Slots = Annotated[
    int | None, typer.Option(min=1, help="Requests per engine at once; the rest waits here.")
]
Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[str | None, typer.Option(help="Port to listen on; 0 takes any free one.")]
Policy = Annotated[str | None, typer.Option(help=f"One of {', '.join(POLICIES)}.")]


def gateway(
    spec: SpecPath = None,
    endpoint: EndpointOption = None,
    slots: Slots = None,
    host: Host = None,
    port: Port = None,
    policy: Policy = None,
    set_: Set = None,
) -> None:
    """Put one front door before engines that run already."""
    flags: dict[str, object] = {
        "engine.kind": "remote",
        "engine.remote.endpoints": [parse_endpoint(url) for url in endpoint] if endpoint else None,
        "layout.batch_size": slots,
        "gateway.host": host,
        "gateway.port": port,
        "gateway.policy": policy,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    loaded = load_spec(spec, environ=os.environ, overrides={**given, **settings_given(set_ or [])})
    endpoints = loaded.engine.remote.endpoints
    for url in endpoints:
        if endpoints.count(url) > 1:
            raise ConfigError(f'engine.remote.endpoints: "{url}" is named twice; name each once')
    uvloop.run(_serve(loaded))


async def _serve(spec: Spec) -> None:
    door = Gateway(settings_of(spec.gateway))
    sock = open_front_door(spec.gateway.host, spec.gateway.port, state_root())
    announcer = _Announcer(door, f"{url_of(sock)}/v1")
    # The default of batch_size is a guess about engines that replicore did not start.
    slots = spec.layout.batch_size if "batch_size" in spec.layout.model_fields_set else None
    discovery = Discovery(spec.engine.remote.endpoints, slots=slots)
    await serve_until_stopped(door, sock, discovery.follow(announcer.apply))


async def serve_until_stopped(
    door: Gateway, sock: socket.socket, follow: Coroutine[Any, Any, None]
) -> None:
    """Serve until SIGINT or SIGTERM; requests that are being served then finish.

    Args:
        follow: Hands tables to the gateway, and never returns; an error of it ends the serving,
            and is raised after the requests have finished.
    """
    server = await serve(door.handle, sock=sock, limits=door.limits)
    stopped = asyncio.create_task(_stop_signal().wait())
    follower = asyncio.create_task(follow)
    await asyncio.wait([follower, stopped], return_when=asyncio.FIRST_COMPLETED)
    for task in (follower, stopped):
        task.cancel()
    await asyncio.gather(follower, stopped, return_exceptions=True)
    server.close()
    await server.wait_closed(_DRAIN_S)
    await door.close()
    if not follower.cancelled():
        follower.result()


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
                _say(f"{row.name} {row.endpoint} {row.state}", sys.stderr)
        if not self._announced and "ready" in self._states.values():
            self._announced = True
            _say(f"ready {self._url}", sys.stdout)


def _say(line: str, stream: TextIO) -> None:
    """Print a line; where nobody reads any more it is dropped, and the gateway serves on."""
    try:
        typer.echo(line, file=stream)
    except BrokenPipeError:
        discard(stream)


def _stop_signal() -> asyncio.Event:
    """Return an event that SIGINT or SIGTERM sets."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped
