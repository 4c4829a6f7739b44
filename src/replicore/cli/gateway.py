"""``replicore gateway``: the front door alone, over engines that somebody else runs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TextIO

import typer
import uvloop

from replicore.cli.deployment_view import describe
from replicore.cli.pipes import discard
from replicore.cli.serving import StopSignals
from replicore.cli.settings import Set, settings_given
from replicore.cores import NO_CORES
from replicore.deploy.logs import LogReader
from replicore.deploy.lone import LoneGateway
from replicore.deploy.state import Claims, DeploymentFolder, state_root
from replicore.deploy.status import UnitStatus
from replicore.errors import ConfigError
from replicore.gateway.routing.policies import POLICIES
from replicore.gateway.table import ReplicaTable
from replicore.http.endpoint import parse_endpoint
from replicore.spec import Spec, load_spec

_RELAY_S = 0.2
_FIRST_LINES = 1000

SpecPath = Annotated[Path | None, typer.Argument(metavar="SPEC", help="Spec file.")]
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
Workers = Annotated[int | None, typer.Option(min=1, help="Gateway processes.")]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Serve other machines without API keys.")
]


def gateway(
    spec: SpecPath = None,
    endpoint: EndpointOption = None,
    slots: Slots = None,
    host: Host = None,
    port: Port = None,
    policy: Policy = None,
    workers: Workers = None,
    insecure: Insecure = False,
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
        "gateway.workers": workers,
        "gateway.insecure": insecure or None,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    loaded = load_spec(spec, environ=os.environ, overrides={**given, **settings_given(set_ or [])})
    endpoints = loaded.engine.remote.endpoints
    for url in endpoints:
        if endpoints.count(url) > 1:
            raise ConfigError(f'engine.remote.endpoints: "{url}" is named twice; name each once')
    with _private_folder() as folder:
        uvloop.run(_serve(loaded, folder))


@contextmanager
def _private_folder() -> Iterator[DeploymentFolder]:
    """Yield a folder for logs and sockets that nobody else looks at; it is removed at the end."""
    with TemporaryDirectory(prefix="replicore-gateway-") as root:
        with Claims(Path(root)) as claims:
            folder = claims.claim("gateway", "remote", NO_CORES)
        with closing(folder):
            yield folder


async def _serve(spec: Spec, folder: DeploymentFolder) -> None:
    console = _Console()
    gateway = LoneGateway(
        spec,
        folder,
        root=state_root(),
        events=console.worker_changed,
        discovered=console.table_changed,
    )
    await gateway.open()
    StopSignals(gateway)
    with _Relay(folder.path, gateway.worker_names) as relay:
        tasks = [asyncio.create_task(_announce(gateway, console)), asyncio.create_task(relay.run())]
        try:
            await gateway.serve()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _announce(gateway: LoneGateway, console: _Console) -> None:
    """Say where it serves, once it does."""
    await gateway.wait_ready()
    await console.engine_ready.wait()
    door = gateway.door
    await door.known()
    admin = f" and at {door.admin_url}" if door.admin_url else ""
    _say(f"/metrics and /admin on the Unix socket {door.admin_socket}{admin}", sys.stderr)
    _say(f"ready {door.url}/v1", sys.stdout)


class _Console:
    """Tells what changes.

    Attributes:
        engine_ready: Whether one ever was.
    """

    def __init__(self) -> None:
        self.engine_ready = asyncio.Event()
        self._states: dict[str, str] = {}

    def table_changed(self, table: ReplicaTable) -> None:
        for row in table.replicas:
            if self._states.get(row.name) != row.state:
                self._states[row.name] = row.state
                _say(f"{row.name} {row.endpoint} {row.state}", sys.stderr)
        if "ready" in self._states.values():
            self.engine_ready.set()

    def worker_changed(self, unit: UnitStatus) -> None:
        line = describe(unit)
        if unit.state == "backoff" and line is not None:
            _say(line, sys.stderr)


class _Relay:
    """Passes on to stderr what the workers print, which goes to files."""

    def __init__(self, folder: Path, workers: Sequence[str]) -> None:
        self._readers = [LogReader(folder, name, last=_FIRST_LINES) for name in workers]

    def __enter__(self) -> _Relay:
        return self

    def __exit__(self, *error: object) -> None:
        self._pass_on()  # their last words
        for reader in self._readers:
            reader.close()

    async def run(self) -> None:
        while True:
            self._pass_on()
            await asyncio.sleep(_RELAY_S)

    def _pass_on(self) -> None:
        for reader in self._readers:
            for line in reader.read():
                _say(f"{reader.unit} | {line}", sys.stderr)


def _say(line: str, stream: TextIO) -> None:
    """Print a line; where nobody reads any more it is dropped, and the gateway serves on."""
    try:
        typer.echo(line, file=stream)
    except BrokenPipeError:
        discard(stream)
